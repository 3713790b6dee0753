"""Records what Docker answers to the corpus: `python -m tests.integration.networks.record unix:///run/docker.sock [CASE...]`. With
`corten` for HOST, what Corten answers to the lines that have a reason to differ."""

import json
import os
import subprocess
import sys
from typing import Any
from urllib.parse import quote

from corten.http.address import parse_address
from corten.http.client import Client
from tests.integration.networks.corpus import EXPECTED, answers, cases
from tests.support.daemon import IMAGE, Called, Daemon, call, import_busybox
from tests.support.images import busybox_tar

REFERENCE_IMAGE = "gn-image:latest"


def docker(host: str, words: list[str]) -> tuple[int, str, str]:
    """The stock CLI."""
    environment = {**os.environ, "DOCKER_HOST": host}
    done = subprocess.run(["docker", *words], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout, done.stderr


def main(host: str, names: list[str]) -> None:
    expected: dict[str, Any] = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    daemon = Daemon("record") if host == "corten" else None
    try:
        if daemon is not None:
            daemon.start()
            import_busybox(daemon)
        _record(expected, host if daemon is None else daemon.host, names, "docker" if daemon is None else "corten")
    finally:
        if daemon is not None:
            daemon.remove()
    kept = {case.name: expected[case.name] for case in cases() if case.name in expected}
    EXPECTED.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _record(expected: dict[str, Any], host: str, names: list[str], engine: str) -> None:
    image = IMAGE if engine == "corten" else REFERENCE_IMAGE

    def ask(method: str, target: str, body: Any = None) -> Called:
        return call(Client(parse_address(host), timeout=60), method, target, body)

    if engine == "docker":
        name, _, tag = image.partition(":")
        ask("POST", f"/images/create?fromSrc=-&repo={name}&tag={tag}&changes=" + quote('CMD ["sh"]'), busybox_tar()).ok()
    for case in cases():
        if names and case.name not in names:
            continue
        if engine == "corten" and not any(line.why for line in case.lines):
            continue
        found = answers(case, lambda words: docker(host, words), ask, image)
        old = expected.get(case.name, [])
        steps = []
        for number, (line, answer) in enumerate(zip(case.lines, found, strict=True)):
            before = old[number] if number < len(old) else {}
            step = {"line": line.text, "docker": answer if engine == "docker" else before["docker"]}
            if line.why:
                step["corten"] = answer if engine == "corten" else before.get("corten")
            steps.append(step)
        expected[case.name] = steps
        print(case.name, len(steps), flush=True)
    if engine == "docker":
        ask("DELETE", f"/images/{image}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
