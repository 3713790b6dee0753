"""Packages of any Debian release, by apt with a state of its own below ~/.cache/corten: nothing of this machine is changed or asked for.

The mirror is the one that this machine's apt uses. `download("bullseye", "linux-image-amd64")` gives the unpacked files of the newest
package of that name, with those that it needs whose names start with one of `also`.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "corten"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FRESH_SECONDS = 86400


class Archive:
    """One suite ("bullseye", "sid") for one architecture in Debian's words ("amd64", "arm64")."""

    def __init__(self, suite: str, architecture: str = "amd64") -> None:
        self._state = CACHE / "apt" / f"{suite}-{architecture}"
        self._options = _options(self._state, architecture)
        self._suite = suite

    def update(self) -> None:
        """Fetches the lists unless today's are there."""
        stamp = self._state / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < _FRESH_SECONDS:
            return
        for name in ("lists/partial", "archives/partial"):
            (self._state / name).mkdir(parents=True, exist_ok=True)
        (self._state / "status").touch()
        (self._state / "sources").write_text(f"deb [signed-by={KEYRING}] {mirror()} {self._suite} main\n")
        self._run("apt-get", "update", "-q")
        stamp.touch()

    def needs(self, package: str, also: Sequence[str]) -> list[str]:
        """`package` and what it depends on, as NAME=VERSION, of names that start with one of `also`."""
        found: dict[str, str] = {}
        todo = [package]
        while todo:
            name = todo.pop(0)
            if name in found:
                continue
            shown = self._run("apt-cache", "show", "--no-all-versions", name)
            found[name] = f"{name}={_field(shown, 'Version')}"
            todo += [need for need in re.findall(r"[a-z0-9][a-z0-9+.-]+", _field(shown, "Depends")) if need.startswith(tuple(also))]
        return list(found.values())

    @contextmanager
    def unpacked(self, packages: Sequence[str]) -> Iterator[Path]:
        """A folder with the files of `packages`, removed on leaving."""
        with tempfile.TemporaryDirectory(dir=self._state) as work:
            self._run("apt-get", "download", "-q", *packages, cwd=work)
            for package in Path(work).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(package), f"{work}/files"], check=True)
                package.unlink()
            yield Path(work, "files")

    def _run(self, program: str, *arguments: str, cwd: str | None = None) -> str:
        done = subprocess.run([program, *self._options, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def _options(state: Path, architecture: str) -> list[str]:
    settings = {
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "Dir::Etc::sourcelist": state / "sources",
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def mirror() -> str:
    """The Debian mirror of this machine's apt. Raises FileNotFoundError where it has none, or no key to check it with."""
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise FileNotFoundError("no Debian apt with its archive keyring on this machine")
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"]
    shown = subprocess.run(targets, capture_output=True, text=True, check=True).stdout
    for line in shown.splitlines():
        uri, _, origin = line.partition(" ")
        if origin == "Debian Debian":
            return uri
    raise FileNotFoundError("this machine's apt has no mirror of Debian among its sources")


def _field(stanza: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$", stanza, re.MULTILINE)
    return found[1] if found else ""
