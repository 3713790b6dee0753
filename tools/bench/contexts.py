"""What the measured builds build from."""

import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

STEPS = 12
FILES = 20_000
BYTES = 50_000
MODULES = 200
REQUIREMENTS = "flask\nrequests\npydantic\nclick\nhttpx\n"

DOCKERFILE = """FROM {base}
ENV PYTHONUNBUFFERED=1
WORKDIR /srv
RUN useradd -r app
COPY wheels /wheels
COPY requirements.txt .
RUN python3 -m pip install --no-index --find-links /wheels --break-system-packages --root-user-action=ignore -r requirements.txt
RUN rm -rf /wheels && mkdir -p /data
COPY app ./app
RUN python3 -m compileall -q app
ARG VERSION=1
LABEL version=$VERSION
USER app
EXPOSE 8000
CMD ["python3", "-m", "app"]
"""


@dataclass(frozen=True, slots=True)
class Context:
    work: Path

    def folder(self, name: str) -> Path:
        """Made when it is missing."""
        path = self.work / name
        path.mkdir(exist_ok=True)
        return path


def wheels() -> Path:
    """The packages of REQUIREMENTS for the base's Python, fetched once."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corten-bench" / "wheels"
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        target = ["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", "--dest", str(folder)]
        command = ["python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *target, *REQUIREMENTS.split()]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        (folder / ".complete").touch()
    return folder


def steps(folder: Path, packages: Path, base: str) -> None:
    """An application of 200 modules on a few packages."""
    shutil.copytree(packages, folder / "wheels")
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    app = folder / "app"
    app.mkdir()
    for number in range(MODULES):
        text = "".join(f"def f{n}(x):\n    return x * {n}\n\n\n" for n in range(30))
        (app / f"m{number}.py").write_text(text)
    (app / "__init__.py").touch()
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=base))


def touch(folder: Path, text: str) -> None:
    with (folder / "app" / "m7.py").open("a") as file:
        file.write(f"# {text}\n")


def large(folder: Path) -> None:
    """20,000 files of 50 kB that do not compress."""
    made = random.Random(7)
    for number in range(FILES):
        inner = folder / f"{number % 100}"
        inner.mkdir(exist_ok=True)
        (inner / f"{number}").write_bytes(made.randbytes(BYTES))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /data\n")
