"""Where this machine's apt gets Debian from: the archives, suites and access settings that a new root file system is made with."""

import re
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

from corten.cli.errors import Failure

Ask = Callable[[Sequence[str]], str]
_FIELDS = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
_SECRET = re.compile(r"//[^/@\s]*@")
_SETTINGS = ("Acquire::http", "Acquire::https", "Acquire::ftp", "Acquire::Check-Valid-Until", "Acquire::Retries")


class Source(NamedTuple):
    """One line of apt's: an archive and what is wanted of it."""

    uri: str
    suite: str
    components: tuple[str, ...]

    @property
    def line(self) -> str:
        return f"deb {self.uri} {self.suite} {' '.join(self.components)}"


def ask(command: Sequence[str]) -> str:
    """What a program prints. Raises Failure when it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed: a base image is made with apt's configuration of a Debian machine") from None
    except subprocess.CalledProcessError as error:
        raise Failure(f"{command[0]}: {error.stderr.strip() or f'status {error.returncode}'}") from None
    return done.stdout


def find_sources(suite: str, mirror: str = "", run: Ask = ask) -> list[Source]:
    """The archives to make `suite` from: as apt is configured here, security and other updates too; from `mirror` alone if one is named.

    Raises Failure when apt knows no archive of Debian.
    """
    if mirror:
        return [Source(mirror.rstrip("/") + "/", suite, ("main",))]
    known = _configured(run)
    same = [s for s in known if s.suite == suite or s.suite in (f"{suite}-updates", f"{suite}-security")]
    if any(s.suite == suite for s in same):
        return same
    archive = next((s.uri for s in known if not s.suite.endswith(("-security", "-updates", "-backports"))), "")
    if not archive:
        raise Failure("apt knows no archive of Debian on this machine; name one with --mirror")
    return [Source(archive, suite, ("main",)), *_security(known, suite)]


def settings(run: Ask = ask) -> list[str]:
    """How apt reaches its archives here (proxies, certificates), as `Name "value";`."""
    lines = run(["apt-config", "dump"]).splitlines()
    return [line for line in lines if line.startswith(_SETTINGS) and not line.endswith(' "";')]


def without_secrets(text: str) -> str:
    """`text` with no name and password in any URL."""
    return _SECRET.sub("//", text)


def _configured(run: Ask) -> list[Source]:
    found: dict[tuple[str, str], list[str]] = {}
    for line in run(["apt-get", "indextargets", "--format", _FIELDS, "Created-By: Packages"]).splitlines():
        uri, suite, component = [*line.split(), "", ""][:3]
        if re.search(r"/debian(-security)?/?$", uri):
            found.setdefault((uri, suite), []).append(component)
    return [Source(uri, suite, tuple(dict.fromkeys(components))) for (uri, suite), components in found.items()]


def _security(known: Sequence[Source], suite: str) -> list[Source]:
    if suite in ("sid", "unstable", "experimental"):
        return []
    archive = next((s.uri for s in known if s.suite.endswith("-security")), "")
    return [Source(archive, f"{suite}-security", ("main",))] if archive else []
