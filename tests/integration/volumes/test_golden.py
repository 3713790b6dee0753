"""`system df`, `volume` and every prune, compared with what Docker printed in the same scene."""

import json
from pathlib import Path

import pytest

from tests.integration.volumes.golden import GOLDEN, scene
from tests.support.clients import DockerCli
from tests.support.daemon import Daemon, run_name

pytestmark = pytest.mark.privileged


def test_the_scene_is_dockers(golden_docker_program: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    daemon = Daemon(run_name(request.node.nodeid))
    try:
        daemon.start()
        said = list(scene(DockerCli(daemon.host, tmp_path)))
    finally:
        daemon.remove()
    recorded = [tuple(pair) for pair in json.loads(GOLDEN.read_text())]
    assert [command for command, _ in said] == [command for command, _ in recorded]
    for (command, ours), (_, dockers) in zip(said, recorded, strict=True):
        assert f"{command}\n{ours}" == f"{command}\n{dockers}"
