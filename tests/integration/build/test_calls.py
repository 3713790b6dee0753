"""`--call`: what a Dockerfile asks for and offers, told as buildx tells it (recorded with buildx 0.29 and Docker 28.5)."""

import base64
import json
from pathlib import Path

import pytest

from tests.integration.build.building import corten
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
TEXT = """# VERSION is used
ARG VERSION=1
ARG UNUSED=2
FROM scratch AS base
RUN --mount=type=secret,id=tok,required=true --mount=type=ssh,id=gh --mount=type=secret,id=opt true
# A is it
ARG A=1 B=2 C
FROM base AS other
ARG O=1
RUN --mount=type=ssh true

# final is what
# you get
FROM base AS final
ARG VERSION
COPY --from=other / /
ARG HTTP_PROXY TARGETARCH=amd64
"""
OUTLINE = """TARGET:      final
DESCRIPTION: is what

BUILD ARG    VALUE   DESCRIPTION
VERSION      1       is used
A            9       is it
B            2       
C                    
O            1       
HTTP_PROXY           
TARGETARCH   amd64   

SECRET   REQUIRED
tok      true
opt      

SSH       REQUIRED
gh        
default   

"""  # noqa: W291
TARGETS = """TARGET          DESCRIPTION
base            
other           
final (default) is what
"""  # noqa: W291


@pytest.fixture
def context(tmp_path: Path) -> str:
    (tmp_path / "Dockerfile").write_text(TEXT)
    (tmp_path / "W").write_text("FROM scratch AS x\nMAINTAINER me\n")
    return str(tmp_path)


def test_outline(engine: Daemon, context: str) -> None:
    said = corten(engine.host, "build", "-q", "--call", "outline", "--build-arg", "A=9", context)
    assert (said.status, said.out) == (0, OUTLINE)


def test_outline_as_json(engine: Daemon, context: str) -> None:
    said = corten(engine.host, "build", "-q", "--call=outline,format=json", "--target", "base", context)
    found = json.loads(said.out)
    assert base64.b64decode(found.pop("sources")[0]).decode() == TEXT
    at = {"ranges": [{"start": {"line": 7}, "end": {"line": 7}}]}
    run = {"ranges": [{"start": {"line": 5}, "end": {"line": 5}}]}
    assert found == {
        "name": "base",
        "args": [
            {"name": "A", "description": "is it", "value": "1", "location": at},
            {"name": "B", "value": "2", "location": at},
            {"name": "C", "location": at},
        ],
        "secrets": [{"name": "tok", "required": True, "location": run}, {"name": "opt", "location": run}],
        "ssh": [{"name": "gh", "location": run}],
    }


def test_targets(engine: Daemon, context: str) -> None:
    said = corten(engine.host, "build", "-q", "--call", "targets", context)
    assert (said.status, said.out) == (0, TARGETS)
    found = json.loads(corten(engine.host, "build", "-q", "--call", "targets,format=json", context).out)["targets"]
    assert [(t["name"], t.get("default", False), t["base"]) for t in found] == [
        ("base", False, "scratch"),
        ("other", False, "base"),
        ("final", True, "base"),
    ]


def test_check_as_json(engine: Daemon, context: str) -> None:
    said = corten(engine.host, "build", "-q", "--call", "check,format=json", "-f", f"{context}/W", context)
    found = json.loads(said.out)
    assert said.status == 1
    assert [w["ruleName"] for w in found["warnings"]] == ["MaintainerDeprecated"]
    assert found["warnings"][0]["description"].startswith("The MAINTAINER instruction is deprecated")
    assert (found["sources"][0]["filename"], found["sources"][0]["language"]) == ("W", "Dockerfile")
    assert corten(engine.host, "build", "-q", "--call", "check,ignorestatus=true", "-f", f"{context}/W", context).status == 0


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("chick", "ERROR: failed to build: failed to solve: unsupported request frontend.chick"),
        ("check,foo=1", "ERROR: invalid print field: foo=1"),
        ("check,format=xml", "invalid format 'xml' of --call: text or json"),
        ("check,ignorestatus=maybe", "invalid value 'maybe' for ignorestatus of --call"),
    ],
)
def test_wrong_ones(engine: Daemon, context: str, call: str, complaint: str) -> None:
    said = corten(engine.host, "build", "--call", call, context)
    assert said.status == 1
    assert complaint in said.err


def test_a_target_that_there_is_not(engine: Daemon, context: str) -> None:
    said = corten(engine.host, "build", "-q", "--call", "outline", "--target", "nope", context)
    assert said.err == 'ERROR: failed to build: failed to solve: target stage "nope" could not be found\n'
