"""Our CLI and Docker's, side by side on one engine: the same command line twice, with what differs by nature evened out."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

EVENED = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "<id64>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<id12>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d [\d:.]+ \+0000 UTC"), "<time>"),
    (re.compile(r"\b(\d+|Less than a|About an?) (second|minute|hour)s?( ago)?( +)"), "<duration> "),
    (re.compile(r"\b(\d+|Less than a|About an?) (second|minute|hour)s?( ago)?"), "<duration>"),
    (re.compile(r'"time(Nano)?":\d+'), '"time":0'),
    (re.compile(r'^time="[^"]*" level=error msg="Can.t (add file|close tar).*\n', re.MULTILINE), ""),
    (re.compile(r"172\.\d+\."), "172.0."),
)
COLUMN_GAP = re.compile(r" {3,}")
"""Columns are as wide as durations that differ."""
SPEAKS = "1.50"
"""The API version of the stock CLI that the cases were taken from; both are held to it."""


class Seen(NamedTuple):
    """What one command line printed and ended with."""

    out: str
    err: str
    status: int


class Cli:
    """`program` stands for `docker` in a case, `name` for `{n}`."""

    def __init__(self, program: str, name: str, host: str, folder: Path) -> None:
        self.program = program
        self.name = name
        self.folder = folder
        config = folder / f"config-{name}"
        config.mkdir()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "CORTEN_"))},
            "DOCKER_HOST": host,
            "DOCKER_CONFIG": str(config),
            "DOCKER_API_VERSION": SPEAKS,
            "HOME": str(folder),
            "TZ": "UTC",
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }

    def run(self, case: str) -> Seen:
        """A line for the shell."""
        line = re.sub(r"(^|[|;&] )docker ", rf"\1{self.program} ", case).replace("{n}", self.name)
        command = ["bash", "-c", line]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False
        )
        return Seen(self.even(done.stdout), self.even(done.stderr), done.returncode)

    def even(self, raw: bytes) -> str:
        text = raw.decode(errors="replace").replace(self.name, "NAME")
        for pattern, word in EVENED:
            text = pattern.sub(word, text)
        return COLUMN_GAP.sub("   ", text) if "<duration>" in text else text


def our_program(folder: Path) -> str:
    """Our CLI under the name `docker`, as a drop-in is installed: its messages then name `docker` too."""
    script = folder / "docker"
    code = "import sys; from corten.cli.main import main; sys.exit(main())"
    script.write_text(f"#!{sys.executable}\n{code.replace('; ', chr(10))}\n")
    script.chmod(0o755)
    return str(script)
