"""Every module is imported by the newest Python that Debian has, with the packages that pip would install for it.

The interpreter is only unpacked, into a root of its own that is kept in the cache folder; nothing of it is set up or runs as a service.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corten-demo"
IMPORT_ALL = """
import importlib, pkgutil, sys, corten
names = [module.name for module in pkgutil.walk_packages(corten.__path__, "corten.") if not module.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(sys.version.split()[0], len(names))
"""


def archive() -> str:
    """This machine's own source of Debian packages."""
    texts = [path.read_text() for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")) if path.exists()]
    found = re.search(r"(?:URIs: *|^deb (?:\[[^]]*\] )?)(https?://\S+/debian/?)(?:\s|$)", "\n".join(texts), re.MULTILINE)
    assert found is not None, "no archive of Debian packages in /etc/apt"
    return found[1]


@pytest.fixture
def newest() -> Path:
    """A root with the interpreter; `usr/bin/python3.N` in it."""
    root = CACHE / "newest-python"
    if not root.exists():
        part = root.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        options = ["-q", "--variant=extract", '--aptopt=Acquire::Check-Valid-Until "false"', "--include=python3"]
        subprocess.run(["mmdebstrap", *options, "sid", str(part), f"deb {archive()} sid main"], check=True)
        for name in ("lib", "lib64"):
            if not (part / name).exists():
                (part / name).symlink_to(f"usr/{name}")
        part.rename(root)
    return root


def dependencies(version: str, target: Path) -> None:
    """What pyproject.toml names, and what that needs, as wheels for this version."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--target",
        str(target),
        "--python-version",
        version,
    ]
    text = (ROOT / "pyproject.toml").read_text()
    (named,) = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    wanted = [line.strip().strip('",') for line in named.splitlines() if "python_version" not in line]
    subprocess.run([*pip, "--only-binary=:all:", *wanted], check=True)


def test_every_module_is_imported(newest: Path) -> None:
    (python,) = [path.name for path in (newest / "usr/bin").iterdir() if re.fullmatch(r"python3\.\d+", path.name)]
    for name in ("deps", "src"):
        shutil.rmtree(newest / name, ignore_errors=True)
    dependencies(python.removeprefix("python"), newest / "deps")
    shutil.copytree(ROOT / "src", newest / "src", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"PYTHONPATH": "/src:/deps", "PATH": "/usr/sbin:/usr/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["chroot", str(newest), f"/usr/bin/{python}", "-c", IMPORT_ALL]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, modules = done.stdout.split()
    assert tuple(map(int, version.split(".")[:2])) >= (3, 14)
    assert int(modules) > 700
