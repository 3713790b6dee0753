"""User's configuration over the image's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.engine.containers.create.merge import argv, merged
from corten.engine.values.container import ContainerConfig, HealthCheck
from corten.errors import Invalid
from corten.oci.image import Healthcheck, RunConfig

IMAGE = RunConfig(entrypoint=["/entry"], cmd=["serve"], env=["PATH=/bin", "A=image"], labels={"a": "image", "b": "image"})


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "command"),
    [
        (None, None, ("/entry", "serve")),
        (None, ("other",), ("/entry", "other")),
        (("sh",), None, ("sh",)),
        (("sh",), ("-c", "x"), ("sh", "-c", "x")),
        (("",), ("plain",), ("plain",)),
    ],
)
def test_entrypoint_and_command(entrypoint: tuple[str, ...] | None, cmd: tuple[str, ...] | None, command: tuple[str, ...]) -> None:
    assert argv(merged(ContainerConfig(entrypoint=entrypoint, cmd=cmd), IMAGE)) == command


def test_no_command_at_all() -> None:
    with pytest.raises(Invalid, match="no command specified"):
        argv(merged(ContainerConfig(), RunConfig()))


def test_an_entrypoint_that_is_cleared_without_a_command() -> None:
    with pytest.raises(Invalid, match="no command specified"):
        argv(merged(ContainerConfig(entrypoint=("",)), RunConfig(entrypoint=["/entry"])))


def test_environment_and_labels_are_joined() -> None:
    config = merged(ContainerConfig(env=("A=mine", "C=x"), labels={"a": "mine"}), IMAGE)
    assert config.env == ("A=mine", "C=x", "PATH=/bin")
    assert config.labels == {"a": "mine", "b": "image"}


def test_a_variable_to_be_unset_hides_the_images() -> None:
    assert merged(ContainerConfig(env=("A",)), IMAGE).env == ("A", "PATH=/bin")


def test_a_healthcheck_is_completed_field_by_field() -> None:
    image = RunConfig(healthcheck=Healthcheck(test=["CMD", "x"], interval=5, retries=3))
    config = merged(ContainerConfig(healthcheck=HealthCheck(interval=7)), image)
    assert config.healthcheck == HealthCheck(test=("CMD", "x"), interval=7, retries=3)


NAMES = st.sampled_from(["A", "B", "C", "PATH"])
ENV = st.lists(st.tuples(NAMES, st.text("xyz", max_size=2)).map("=".join))


@settings(max_examples=30)
@given(ENV, ENV)
def test_every_name_of_both_is_there_and_the_users_value_wins(own: list[str], image: list[str]) -> None:
    env = merged(ContainerConfig(env=tuple(own)), RunConfig(env=image)).env
    assert {e.partition("=")[0] for e in env} == {e.partition("=")[0] for e in own + image}
    assert env[: len(own)] == tuple(own)
    for name in {e.partition("=")[0] for e in own}:
        assert [e for e in env if e.startswith(name + "=")] == [e for e in own if e.startswith(name + "=")]
