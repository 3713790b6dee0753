"""Runs the cases of `tests/api/cases` on Corten and, with `--reference`, on a real Docker first: a red case then means us."""

import json
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from corten.http.address import parse_address
from corten.http.client import Client
from tests.api.script import Answer, Step, complaints, filled, parse, subject_of
from tests.support.daemon import Daemon, run_name
from tests.support.images import busybox_tar

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))
REFERENCE_IMAGE = "corten-api-cases:latest"


class Engine:
    """`kind` is what `@docker` and `@corten` in a case mean."""

    def __init__(self, kind: str, host: str, image: str) -> None:
        self.kind = kind
        self.image = image
        self._address = parse_address(host)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        content_type: str = "application/json",
        sent: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        headers = [*sent, *([("Content-Type", content_type)] if body is not None else [])]
        with Client(self._address, timeout=30) as client:
            answer = client.request(method, target, headers=headers, body=body)
            return Answer(answer.status, answer.headers, answer.read())

    def tidy(self, name: str) -> None:
        """Removes what a case made: everything that carries its name."""
        filters = urllib.parse.quote(json.dumps({"name": [name]}))
        for container in self.ask("GET", f"/containers/json?all=1&filters={filters}").json():
            self.ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        for network in self.ask("GET", f"/networks?filters={filters}").json():
            self.ask("DELETE", f"/networks/{network['Id']}")
        for volume in self.ask("GET", f"/volumes?filters={filters}").json()["Volumes"] or []:
            self.ask("DELETE", f"/volumes/{volume['Name']}?force=1")
        for image in self.ask("GET", "/images/json").json():
            for tag in image["RepoTags"] or []:
                if name in tag:
                    self.ask("DELETE", f"/images/{tag}?force=1")


@pytest.fixture(scope="session")
def corten_engine(engine: Daemon) -> Engine:
    return Engine("corten", engine.host, "busybox:latest")


@pytest.fixture(scope="session")
def docker_engine(reference_host: str) -> Iterator[Engine]:
    engine = Engine("docker", reference_host, REFERENCE_IMAGE)
    changes = urllib.parse.quote('CMD ["sh"]')
    target = f"/images/create?fromSrc=-&repo=corten-api-cases&tag=latest&changes={changes}"
    assert engine.ask("POST", target, busybox_tar(), "application/x-tar").status == 200
    yield engine
    engine.ask("DELETE", f"/images/{REFERENCE_IMAGE}?force=1")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_docker_answers_so(path: Path, docker_engine: Engine) -> None:
    run(path, docker_engine)


@pytest.mark.privileged
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_corten_answers_as_docker(path: Path, corten_engine: Engine) -> None:
    run(path, corten_engine)


def run(path: Path, engine: Engine) -> None:
    name = run_name(f"::{path.stem}-{engine.kind}")
    variables = {"NAME": name, "IMAGE": engine.image}
    try:
        wrong = [
            f"{path.name}:{step.line}: {step.method} {step.target}: {text}"
            for step in steps(path, engine)
            for text in take(step, engine, variables)
        ]
    finally:
        engine.tidy(name)
    assert not wrong, "\n".join(wrong)


def steps(path: Path, engine: Engine) -> list[Step]:
    return [step for step in parse(path.read_text()) if step.engine in ("", engine.kind)]


def take(step: Step, engine: Engine, variables: dict[str, str]) -> list[str]:
    """Sends the request; what is wrong with its answer. Keeps what the step saves."""
    variables["NOW"] = f"{time.time():.9f}"
    body = filled(step.body, variables).encode() if step.body else None
    answer = engine.ask(step.method, filled(step.target, variables), body, sent=step.headers)
    wrong = list(complaints(step, answer, variables, engine.kind))
    if not wrong:
        variables.update({name: str(subject_of(subject, answer)) for name, subject in step.saves})
    return wrong
