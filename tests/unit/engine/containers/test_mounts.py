"""`-v`, `--mount`, `--tmpfs` and VOLUME."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from corten.engine.containers.mounts import MountedVolume, ensure_sources, parse_bind, parse_mount, requested, with_volumes
from corten.engine.values.container import ContainerConfig, HostConfig, MountPoint, MountRequest
from corten.errors import EngineError, Invalid
from corten.ids import ContainerId, DiffId


@pytest.mark.parametrize(
    ("spec", "point"),
    [
        ("/a:/b", MountPoint(type="bind", source="/a", destination="/b", propagation="rprivate")),
        ("/a/:/b/", MountPoint(type="bind", source="/a", destination="/b", propagation="rprivate")),
        ("/a:/b:ro", MountPoint(type="bind", source="/a", destination="/b", mode="ro", rw=False, propagation="rprivate")),
        ("/a:/b:rshared,z", MountPoint(type="bind", source="/a", destination="/b", mode="rshared,z", propagation="rshared")),
        ("cache:/b", MountPoint(type="volume", source="", name="cache", destination="/b", mode="z")),
        ("cache:/b:ro", MountPoint(type="volume", source="", name="cache", destination="/b", mode="ro", rw=False)),
        ("/only", MountPoint(type="volume", source="", destination="/only", mode="z", anonymous=True)),
    ],
)
def test_bind(spec: str, point: MountPoint) -> None:
    assert parse_bind(spec) == point


BAD_DESTINATION = "invalid volume specification: '{spec}': invalid mount config for type \"bind\": {why}"
VOLUME_NAME = (
    'create {name}: "{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
    "If you intended to pass a host directory, use absolute path"
)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("/x:y", BAD_DESTINATION.format(spec="/x:y", why="invalid mount path: 'y' mount path must be absolute")),
        ("/x:/", BAD_DESTINATION.format(spec="/x:/", why="invalid specification: destination can't be '/'")),
        ("/x:/y:foo", "invalid mode: foo"),
        ("/x:/y:ro,rw", "invalid mode: ro,rw"),
        ("/x:/y:ro:z", "invalid volume specification: '/x:/y:ro:z'"),
        (":/y", "invalid volume specification: ':/y'"),
        ("x/y:/x", VOLUME_NAME.format(name="x/y")),
        ("..:/y", VOLUME_NAME.format(name="..")),
    ],
)
def test_bad_bind(spec: str, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_bind(spec)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (MountRequest(type="bind", source="/nonexistent-e", target="/y"), "bind source path does not exist: /nonexistent-e"),
        (MountRequest(type="bind", source="", target="/y"), "field Source must not be empty"),
        (MountRequest(type="bind", source="x", target="/y"), "invalid mount path: 'x' mount path must be absolute"),
        (MountRequest(type="bind", source="/tmp", target=""), "field Target must not be empty"),
        (MountRequest(type="bind", source="/tmp", target="/z", propagation="foo"), "invalid propagation mode: foo"),
        (MountRequest(type="tmpfs", source="/tmp", target="/z"), "field Source must not be specified"),
    ],
)
def test_bad_mount(request_: MountRequest, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_mount(request_)
    assert caught.value.message == f'invalid mount config for type "{request_.type}": {text}'


def test_two_mounts_for_one_destination() -> None:
    with pytest.raises(Invalid, match="Duplicate mount point: /y"):
        requested(ContainerConfig(), HostConfig(binds=("/a:/y", "/b:/y/")))
    with pytest.raises(Invalid, match="Duplicate mount point: /y"):
        requested(ContainerConfig(), HostConfig(binds=("/a:/y",), tmpfs={"/y": ""}))


def test_an_images_volume_gives_way() -> None:
    points = requested(ContainerConfig(volumes=("/data", "/other")), HostConfig(binds=("/a:/data",)))
    assert [(p.destination, p.anonymous) for p in points] == [("/data", False), ("/other", True)]


def test_missing_host_directories_are_made(tmp_path: Path) -> None:
    ensure_sources([parse_bind(f"{tmp_path}/a/b:/x")])
    assert (tmp_path / "a" / "b").is_dir()


def test_a_source_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=r"error while creating mount source path '.*/file/b': mkdir .*/file/b: not a directory"):
        ensure_sources([parse_bind(f"{tmp_path}/file/b:/x")])


def test_a_mounts_source_that_vanished(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    point = parse_mount(MountRequest(type="bind", source=str(tmp_path / "a"), target="/x"))
    (tmp_path / "a").rmdir()
    with pytest.raises(Invalid, match="bind source path does not exist"):
        ensure_sources([point])


class TwoVolumes:
    """Volumes that only count."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def ensure(self, request: MountRequest, *, user: ContainerId, layers: Sequence[DiffId] = ()) -> MountedVolume:
        self.asked.append((request.source, request.target))
        return MountedVolume(request.source or "made-up", "/volumes/x", anonymous=not request.source)

    async def activate(self, user: ContainerId) -> None:
        raise AssertionError

    async def deactivate(self, user: ContainerId) -> None:
        raise AssertionError

    async def release(self, user: ContainerId, *, remove_anonymous: bool, for_good: bool = False) -> None:
        raise AssertionError


async def test_volumes_are_made_for_the_container() -> None:
    volumes = TwoVolumes()
    points = requested(ContainerConfig(volumes=("/anon",)), HostConfig(binds=("cache:/c:ro",)))
    found = await with_volumes(points, volumes, user=ContainerId("c"), layers=())
    assert volumes.asked == [("cache", "/c"), ("", "/anon")]
    assert [(p.name, p.source, p.destination, p.rw, p.anonymous) for p in found] == [
        ("cache", "/volumes/x", "/c", False, False),
        ("made-up", "/volumes/x", "/anon", True, True),
    ]
