"""Version negotiation in Docker's words."""

import re
from pathlib import Path

import pytest

from corten.api import versions
from corten.api.versions import CURRENT, MAC_WARNING, MULTIPLEXED, RAW, as_meant, create_warnings, find_refusal, parse_version, stream_type
from corten.engine.containers.create.creation import CreateRequest
from corten.engine.values.container import ContainerConfig, EndpointConfig, HealthCheck, HostConfig, MountRequest
from corten.errors import Invalid


@pytest.mark.parametrize(("text", "expected"), [("1.41", (1, 41)), ("1.", (1, 0)), ("1", (1, 0)), ("1.2.3", (1, 2)), ("1.051", (1, 51))])
def test_parsing_is_docker_s(text: str, expected: tuple[int, int]) -> None:
    assert parse_version(text) == expected


@pytest.mark.parametrize("text", ["1.24", "1.51", "1.40"])
def test_served_versions(text: str) -> None:
    assert find_refusal(text, parse_version(text)) is None


def test_too_old_is_plain_text() -> None:
    reply = find_refusal("1.23", (1, 23))
    assert reply
    assert reply.content_type == "text/plain; charset=utf-8"
    assert reply.body == (
        b"client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n"
    )


def test_too_new_is_json() -> None:
    reply = find_refusal("1.99", (1, 99))
    assert reply
    assert reply.body == b'{"message":"client version 1.99 is too new. Maximum supported API version is 1.51"}\n'


@pytest.mark.parametrize(
    ("version", "multiplexed", "expected"),
    [(CURRENT, True, MULTIPLEXED), (CURRENT, False, RAW), ((1, 41), True, RAW), ((1, 42), True, MULTIPLEXED)],
)
def test_stream_types(version: tuple[int, int], multiplexed: bool, expected: str) -> None:
    assert stream_type(version, multiplexed=multiplexed) == expected


def meant(version: tuple[int, int], host: HostConfig | None = None, config: ContainerConfig | None = None) -> CreateRequest:
    return as_meant(CreateRequest(config=config or ContainerConfig(), host=host or HostConfig()), version)


def test_defaults_of_old_clients() -> None:
    assert meant((1, 39)).host.ipc_mode == "shareable"
    assert meant((1, 40)).host.ipc_mode == ""
    assert meant((1, 40)).host.cgroupns_mode == "host"
    assert meant((1, 41)).host.cgroupns_mode == ""
    assert meant((1, 39), HostConfig(ipc_mode="none")).host.ipc_mode == "none"


def test_fields_that_old_clients_cannot_know() -> None:
    host = HostConfig(annotations={"a": "b"}, mounts=(MountRequest(type="bind", target="/x", create_mountpoint=True, non_recursive=True),))
    assert meant((1, 42), host).host.annotations == {}
    assert meant((1, 43), host).host.annotations == {"a": "b"}
    assert not meant((1, 41), host).host.mounts[0].create_mountpoint
    assert meant((1, 42), host).host.mounts[0].create_mountpoint
    assert not meant((1, 39), host).host.mounts[0].non_recursive
    health = ContainerConfig(healthcheck=HealthCheck(start_interval=5))
    assert meant((1, 43), config=health).config.healthcheck == HealthCheck()
    assert meant((1, 44), config=health).config.healthcheck == HealthCheck(start_interval=5)


def test_read_only_binds_were_not_recursive_before_1_44() -> None:
    host = HostConfig(mounts=(MountRequest(type="bind", target="/x", read_only=True), MountRequest(type="bind", target="/y")))
    assert [mount.read_only_non_recursive for mount in meant((1, 43), host).host.mounts] == [True, False]
    assert [mount.read_only_non_recursive for mount in meant((1, 44), host).host.mounts] == [False, False]


@pytest.mark.parametrize(
    ("version", "mount", "message"),
    [
        ((1, 47), MountRequest(type="image", target="/x"), 'Mount type "Image" needs API v1.48 or newer'),
        ((1, 44), MountRequest(type="volume", target="/x", subpath="s"), "VolumeOptions.Subpath needs API v1.45 or newer"),
    ],
)
def test_mounts_that_need_a_newer_client(version: tuple[int, int], mount: MountRequest, message: str) -> None:
    host = HostConfig(mounts=(mount,))
    with pytest.raises(Invalid, match=re.escape(message)):
        meant(version, host)
    assert meant((version[0], version[1] + 1), host).host == host


def test_several_networks_need_1_44() -> None:
    asked = CreateRequest(config=ContainerConfig(), endpoints=(EndpointConfig(network="a"), EndpointConfig(network="b")))
    with pytest.raises(Invalid, match="multiple network endpoints: a, b"):
        as_meant(asked, (1, 43))
    assert as_meant(asked, (1, 44)).endpoints == asked.endpoints


def test_the_container_wide_mac_address_is_deprecated_since_1_44() -> None:
    asked = CreateRequest(config=ContainerConfig(mac_address="02:00:00:00:00:01"))
    assert create_warnings(asked, (1, 43)) == ()
    assert create_warnings(asked, (1, 44)) == (MAC_WARNING,)
    assert create_warnings(CreateRequest(config=ContainerConfig()), (1, 44)) == ()


def test_versions_are_compared_here_only() -> None:
    """STYLE: API versions differ in `api/versions.py`, nowhere else."""
    api = Path(versions.__file__).parent
    guilty = [
        path.name for path in api.rglob("*.py") if path.name != "versions.py" and re.search(r"version\)? *[<>]=? *[(\w]", path.read_text())
    ]
    assert guilty == []
