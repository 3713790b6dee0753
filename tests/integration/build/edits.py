"""Small random builds, an edit of each, and which steps ran again: `python -m tests.integration.build.edits HOST [EDIT...]` asks BuildKit.

A seed makes everything; `salt` keeps the steps of one recording or test from those of another.
"""

import copy
import json
import os
import random
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.build.corpus import BASE

REPEATED = Path(__file__).parent / "repeated.json"
ROUNDS = 2
FILES = ("src/a", "src/b", "src/deep/c", "src/deep/d", "one.txt", "two.txt", "other/o", "skipped/s", "src/x.log")
TOOLS = (
    "COPY src/a /t/a",
    "RUN cat /t/* > /out; echo $USED > /used",
    "RUN ls /t | wc -l > /lines",
    "COPY other /t/other",
    "WORKDIR /tools",
)
LAST = (
    "WORKDIR /w",
    "COPY src /w/src",
    "COPY *.txt /w/txt/",
    "ADD other /w/other",
    "COPY --chmod=600 --chown=1:2 src/b /w/b",
    "COPY --from=tools /lines /w/copied",
    "COPY --link one.txt /linked/one",
    "RUN ls -R /w > /listing1",
    "RUN --mount=type=bind,source=src,target=/m ls -R /m > /listing2",
    "RUN --mount=type=bind,from=tools,source=/lines,target=/lines cat /lines > /read",
    "RUN --mount=type=cache,target=/k echo $VALUE > /value",
    "RUN echo $USED > /used",
    "USER 7",
    "LABEL l=1",
    "COPY <<EOF /here\ntext $VALUE\nEOF",
)


@dataclass
class World:
    """`files`: path -> (content, mode); `touched` gives all of them another time."""

    salt: str
    tools: list[str]
    last: list[str]
    files: dict[str, tuple[str, int]]
    links: dict[str, str] = field(default_factory=lambda: {"src/link": "a"})
    folders: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=lambda: ["skipped", "**/*.log"])
    arguments: dict[str, str] = field(default_factory=lambda: {"USED": "1"})
    variables: dict[str, str] = field(default_factory=lambda: {"VALUE": "1", "NOBODYS": "1"})
    head: str = ""
    touched: bool = False

    def dockerfile(self) -> str:
        variables = "".join(f"ENV {name}={value}\n" for name, value in self.variables.items())
        stage = f"FROM {BASE} AS {{}}\nARG USED\nARG UNUSED=1\n{variables}"
        lines = [
            stage.format("tools"),
            *(self._salted(step) for step in self.tools),
            "RUN echo 1 > /lines; cat /t/a >> /lines 2>/dev/null || true\n" if "RUN ls /t | wc -l > /lines" not in self.tools else "",
            stage.format("last"),
            *(self._salted(step) for step in self.last),
        ]
        return self.head + "".join(lines)

    def _salted(self, step: str) -> str:
        return f"{step} # {self.salt}\n" if step.startswith("RUN") else f"{step}\n"

    def write(self, folder: Path) -> None:
        for path, (content, mode) in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(f"{content} {self.salt}\n")
            (folder / path).chmod(mode)
        for path, target in self.links.items():
            (folder / path).symlink_to(target)
        for path in self.folders:
            (folder / path).mkdir(parents=True)
        (folder / "Dockerfile").write_text(self.dockerfile())
        (folder / ".dockerignore").write_text("".join(f"{line}\n" for line in [*self.ignored, "Dockerfile", ".dockerignore"]))
        if self.touched:
            for found in folder.rglob("*"):
                os.utime(found, (1_300_000_000, 1_300_000_000), follow_symlinks=False)

    def flags(self) -> list[str]:
        return [word for name, value in self.arguments.items() for word in ("--build-arg", f"{name}={value}")]


def world(chance: random.Random, salt: str) -> World:
    tools = [step for step in TOOLS if chance.random() < 0.8]
    last = [step for step in LAST if chance.random() < 0.7]
    return World(salt, tools, last, {path: (f"{path} {chance.random()}", chance.choice((0o644, 0o755))) for path in FILES})


def _content(path: str) -> Callable[[World], None]:
    return lambda w: w.files.update({path: ("other", w.files[path][1])})


def _mode(path: str) -> Callable[[World], None]:
    return lambda w: w.files.update({path: (w.files[path][0], w.files[path][1] ^ 0o111)})


EDITS: dict[str, Callable[[World], None]] = {
    "touch": lambda w: setattr(w, "touched", True),
    "content-a": _content("src/a"),
    "content-b": _content("src/b"),
    "content-deep": _content("src/deep/c"),
    "content-txt": _content("one.txt"),
    "content-other": _content("other/o"),
    "content-ignored": _content("skipped/s"),
    "content-log": _content("src/x.log"),
    "mode-b": _mode("src/b"),
    "mode-txt": _mode("two.txt"),
    "rename": lambda w: w.files.update({"src/deep/e": w.files.pop("src/deep/d")}),
    "rename-txt": lambda w: w.files.update({"three.txt": w.files.pop("two.txt")}),
    "delete": lambda w: w.files.pop("src/deep/d") and None,
    "new-file": lambda w: w.files.update({"src/new": ("new", 0o644)}),
    "new-ignored": lambda w: w.files.update({"src/new.log": ("new", 0o644)}),
    "new-folder": lambda w: w.folders.append("src/empty"),
    "link": lambda w: w.links.update({"src/link": "b"}),
    "argument-used": lambda w: w.arguments.update(USED="2"),
    "argument-unused": lambda w: w.arguments.update(UNUSED="2"),
    "variable-used": lambda w: w.variables.update(VALUE="2"),
    "variable-nobodys": lambda w: w.variables.update(NOBODYS="2"),
    "comment": lambda w: setattr(w, "head", "# a comment\n\n"),
    "swap": lambda w: w.last.append(w.last.pop(0)),
    "label": lambda w: w.last.insert(len(w.last) // 2, "LABEL new=1"),
    "step": lambda w: w.last.insert(len(w.last) // 2, "RUN echo new > /new"),
    "same-tools": lambda w: w.tools.insert(0, "RUN true"),
    "ignore-more": lambda w: w.ignored.append("src/deep/d"),
    "nothing": lambda w: None,
}


@dataclass(frozen=True)
class Edited:
    name: str
    before: World
    after: World


def edited(name: str, number: int, salt: str) -> Edited:
    before = world(random.Random(f"{name} {number}"), salt)
    after = copy.deepcopy(before)
    EDITS[name](after)
    return Edited(f"{name}-{number}", before, after)


def repeated(said: str, salt: str) -> list[str]:
    """The steps of a plain progress that were not cached."""
    names = dict(re.findall(r"^(#\d+) \[[^\]]*\d+/\d+\] ((?:RUN|COPY|ADD|WORKDIR) .*)$", said, re.MULTILINE))
    cached = set(re.findall(r"^(#\d+) CACHED$", said, re.MULTILINE))
    return sorted(text.replace(f" # {salt}", "").replace(salt, "") for number, text in names.items() if number not in cached)


def record(host: str, names: list[str]) -> None:
    """The base image must be there: the corpus' recording makes it."""
    found: dict[str, list[str]] = json.loads(REPEATED.read_text()) if names else {}
    salt = secrets.token_hex(4)
    for name in names or EDITS:
        for number in range(ROUNDS):
            case = edited(name, number, f"{salt}-{name}-{number}")
            for at in (case.before, case.after):
                with tempfile.TemporaryDirectory() as work:
                    at.write(Path(work))
                    command = ["docker", "buildx", "build", "--progress", "plain", "--provenance=false", *at.flags(), work]
                    done = subprocess.run(command, env={**os.environ, "DOCKER_HOST": host}, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
            found[case.name] = repeated(done.stderr, case.after.salt)
            print(case.name, found[case.name], flush=True)
    REPEATED.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    record(sys.argv[1], sys.argv[2:])
