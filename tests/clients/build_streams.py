"""What POST /build streams, for a few Dockerfiles that the classic builder knows: cases, and answers with the volatile parts taken out.

`python -m tests.clients.build_streams HOST` asks a Docker at HOST (unix:///…) and writes `build_streams.json`.
"""

import io
import json
import re
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from corten.http.address import parse_address
from corten.http.client import Client
from tests.support.daemon import call
from tests.support.images import busybox_tar

GOLDEN = Path(__file__).with_suffix(".json")
BASE = "stream-base"
TAG = "stream-case"


@dataclass(frozen=True, slots=True)
class Stream:
    """`query` goes beside `t`; `twice`: the answer of a second build is the one that counts."""

    name: str
    dockerfile: str
    query: dict[str, str] = field(default_factory=dict)
    twice: bool = False


STREAMS = (
    Stream("run", "FROM {base}\nRUN echo hello\n"),
    Stream("several-steps", 'FROM {base}\nWORKDIR /srv\nCOPY file .\nRUN cat file\nCMD ["cat", "file"]\n'),
    Stream("metadata-only", 'FROM {base}\nENV A=1\nLABEL b=2\nEXPOSE 80\nUSER nobody\nVOLUME /v\nSTOPSIGNAL SIGINT\nENTRYPOINT ["sh"]\n'),
    Stream("from-alone", "FROM {base}\n"),
    Stream("from-scratch", "FROM scratch\nCOPY file /\n"),
    Stream("cached", "FROM {base}\nENV C=cached\nRUN echo once > /once\nCOPY file /\n", twice=True),
    Stream("stderr", "FROM {base}\nRUN echo out; sleep 0.5; echo err >&2; sleep 0.5; echo out again\n"),
    Stream("no-newline", "FROM {base}\nRUN printf 'no newline'\n"),
    Stream("stages", "FROM {base} AS one\nRUN echo 1 > /one\nFROM {base}\nCOPY --from=one /one /two\nRUN cat /two\n"),
    Stream("target", "FROM {base} AS one\nRUN echo 1\nFROM one AS two\nRUN echo 2\nFROM two\nRUN echo 3\n", {"target": "two"}),
    Stream("args", "ARG NAME=x\nFROM {base}\nARG NAME\nARG OTHER=default\nRUN echo $NAME $OTHER\n", {"buildargs": '{{"NAME": "given"}}'}),
    Stream("unused-arg", "FROM {base}\nRUN true\n", {"buildargs": '{{"UNUSED": "given"}}'}),
    Stream("labels", "FROM {base}\nENV A=1\n", {"labels": '{{"who": "me"}}'}),
    Stream("quiet", "FROM {base}\nRUN echo hidden\n", {"q": "1"}),
    Stream("continued", "FROM {base}\n# a comment\nRUN echo a && \\\n    # inside\n    echo b\n"),
    Stream("healthcheck", "FROM {base}\nHEALTHCHECK --interval=5s CMD true\n"),
    Stream("shell", 'FROM {base}\nSHELL ["/bin/sh", "-ec"]\nRUN echo shell\nONBUILD RUN echo later\n'),
    Stream("add-archive", "FROM {base}\nADD archive.tar /into/\nRUN cat /into/inner\n"),
    Stream("run-fails", "FROM {base}\nRUN echo before\nRUN echo failing; exit 3\n"),
    Stream("run-not-found", 'FROM {base}\nRUN ["/no/such/program"]\n'),
    Stream("copy-missing", "FROM {base}\nCOPY missing /\n"),
    Stream("bad-instruction", "FROM {base}\nRUNS true\n"),
    Stream("empty", ""),
    Stream("no-from", "RUN true\n"),
    Stream("no-such-base", "FROM localhost:1/none:1\n"),
    Stream("bad-base", "FROM Not:A:Name\n"),
    Stream("no-such-target", "FROM {base}\n", {"target": "other"}),
    Stream("no-dockerfile", "FROM {base}\n", {"dockerfile": "other"}),
    Stream("bad-workdir", "FROM {base}\nWORKDIR /etc/passwd\n"),
    Stream("bad-user", "FROM {base}\nUSER nosuchuser\nRUN true\n"),
    Stream("no-remove", "FROM {base}\nRUN echo kept\n", {"rm": "0"}),
)


def context(stream: Stream) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in {
            "Dockerfile": stream.dockerfile.format(base=BASE).encode() if stream.dockerfile else b"",
            "file": b"content\n",
            "archive.tar": _archive(),
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("inner")
        entry.size = 6
        tar.addfile(entry, io.BytesIO(b"inner\n"))
    return buffer.getvalue()


def answered(host: str, stream: Stream) -> dict[str, Any]:
    """Status and lines; text that came in pieces is joined, so that how it was cut counts for nothing.

    Left out: ids of stages that others are built on, of which Docker makes images; reasons and hints, which are ours alone.
    """
    client = Client(parse_address(host), timeout=120)
    query = {"t": TAG, "rm": "1", **{k: v.replace("{{", "{").replace("}}", "}") for k, v in stream.query.items()}}
    for fresh in (True, False)[: 1 + stream.twice]:
        wanted = {**query, "nocache": "1"} if fresh else query
        got = call(client, "POST", f"/v1.41/build?{urlencode(wanted)}", context(stream))
    call(client, "DELETE", f"/images/{TAG}?force=1")
    lines: list[dict[str, Any]] = []
    texts = got.body.splitlines()
    for text, after in zip(texts, [*texts[1:], b""], strict=True):
        line = {k: v for k, v in normal(json.loads(text)).items() if k not in ("reason", "hint")}
        if "aux" in line and b"Step " in after:
            continue
        if lines and line.keys() == lines[-1].keys() == {"stream"}:
            lines[-1]["stream"] += line["stream"]
        else:
            lines.append(line)
    shown = [{k: v.splitlines(keepends=True) if k == "stream" else v for k, v in line.items()} for line in lines]
    return {"status": got.status, "lines": shown}


def normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items()}
    if isinstance(value, str):
        value = re.sub(r"dial tcp .*?: connect", "dial tcp ADDRESS: connect", value)
        value = re.sub(r"^failed to create task .*? error during container init: ", "", value)
        return re.sub(r"\b[0-9a-f]{64}\b", "ID64", re.sub(r"\b(?=[0-9a-f]*[a-f0-9])[0-9a-f]{12}\b", "ID12", value))
    return value


def provide(host: str) -> None:
    target = f"/images/create?fromSrc=-&repo={BASE}&tag=latest"
    call(Client(parse_address(host)), "POST", target, busybox_tar()).ok()


def main(host: str) -> None:
    provide(host)
    try:
        GOLDEN.write_text(json.dumps({s.name: answered(host, s) for s in STREAMS}, indent=1) + "\n")
    finally:
        call(Client(parse_address(host)), "DELETE", f"/images/{BASE}?force=1")


if __name__ == "__main__":
    main(sys.argv[1])
