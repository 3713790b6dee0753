"""Building cases of the corpus with Corten's own CLI, in this process."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from corten.cli.main import run
from corten.cli.session import Session
from corten.client.configfile import ConfigFile
from tests.integration.build.corpus import BASE, Case, base_tar, observed, shown_check, shown_error, shown_warnings
from tests.support.daemon import Daemon


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    out: str
    err: str


def corten(host: str, *words: str) -> Said:
    """`corten WORDS`."""
    out, err = io.StringIO(), io.StringIO()
    environ = {**os.environ, "DOCKER_HOST": host}
    session = Session(program="corten", environ=environ, out=out, err=err, config=ConfigFile("/nonexistent"))
    try:
        status = run(session, words)
    finally:
        session.close()
    return Said(status, out.getvalue(), err.getvalue())


def import_base(daemon: Daemon) -> bytes:
    target = f"/images/create?fromSrc=-&repo={quote(BASE)}&tag=latest&changes=" + quote('CMD ["sh"]')
    daemon.call("POST", target, base_tar()).ok()
    return daemon.call("GET", f"/images/{BASE}/get").body


def made(daemon: Daemon, case: Case, folder: Path, base: bytes) -> dict[str, Any]:
    """What Corten makes of the case, in the form of `expected.json`."""
    case.write(folder)
    tag = f"corpus-case/{case.name}"
    said = corten(daemon.host, "build", "--progress", "plain", "-t", tag, *case.arguments(folder), str(folder))
    if "--check" in case.flags:
        return {"check": shown_check(said.out or said.err, str(folder)), "status": said.status}
    found: dict[str, Any] = {}
    if said.status:
        found["error"] = shown_error(said.err, str(folder))
    else:
        found = observed(daemon.call("GET", f"/images/{tag}/get").body, base)
        daemon.call("DELETE", f"/images/{tag}?force=1")
    if warnings := shown_warnings(said.err):
        found["warnings"] = warnings
    return found
