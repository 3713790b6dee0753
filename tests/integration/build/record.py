"""Records what BuildKit makes of the corpus: `python -m tests.integration.build.record unix:///var/run/docker.sock [NAME...]`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from corten.http.address import parse_address
from corten.http.client import Client
from tests.integration.build.corpus import BASE, EXPECTED, OWN, Case, base_tar, cases, observed, shown_check, shown_error, shown_warnings
from tests.support.daemon import call


def main(host: str, names: list[str]) -> None:
    expected: dict[str, Any] = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    base = _base(host)
    known = cases()
    for case in known:
        if case.name not in OWN and (not names or case.name in names):
            expected[case.name] = _recorded(host, case, base)
            print(case.name, "error" if "error" in expected[case.name] else "built", flush=True)
    kept = {case.name: expected[case.name] for case in known if case.name in expected}
    EXPECTED.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _base(host: str) -> bytes:
    target = f"/images/create?fromSrc=-&repo={quote(BASE)}&tag=latest&changes=" + quote('CMD ["sh"]')
    call(Client(parse_address(host)), "POST", target, base_tar()).ok()
    return call(Client(parse_address(host)), "GET", f"/images/{BASE}/get").body


def _recorded(host: str, case: Case, base: bytes) -> dict[str, Any]:
    tag = f"corpus-case/{case.name}"
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "context"
        folder.mkdir()
        case.write(folder)
        command = ["docker", "buildx", "build", "--progress", "plain", "--provenance=false"]
        command += ["-t", tag, *case.arguments(folder), str(folder)]
        done = subprocess.run(command, env={**os.environ, "DOCKER_HOST": host}, capture_output=True, text=True, check=False)
    said = done.stderr + done.stdout
    found: dict[str, Any] = {}
    if "--check" in case.flags:
        return {"check": shown_check(done.stdout or said, str(folder)), "status": done.returncode}
    if done.returncode:
        found["error"] = shown_error(said, str(folder))
    else:
        saved = call(Client(parse_address(host)), "GET", f"/images/{tag}/get")
        # An image without layers cannot be saved there ("empty export - not implemented").
        found = observed(saved.body, base) if saved.status == 200 else {"config": _inspected(host, tag)}
        call(Client(parse_address(host)), "DELETE", f"/images/{tag}?force=1")
    if warnings := shown_warnings(said):
        found["warnings"] = warnings
    return found


def _inspected(host: str, tag: str) -> dict[str, Any]:
    config = call(Client(parse_address(host)), "GET", f"/images/{tag}/json").ok()["Config"]
    return {k: v for k, v in sorted(config.items()) if v}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
