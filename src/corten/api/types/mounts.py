"""`HostConfig.Mounts` on the wire, both ways, and the `Mounts` that inspect and list show."""

from typing import Final, Literal

from msgspec import UNSET, UnsetType, field

from corten.api.wire import AnswerStruct, Int64, WireStruct
from corten.engine.values.container import MountPoint, MountRequest
from corten.errors import Invalid

_Kind = Literal["bind", "volume", "tmpfs", "image"]
_KINDS: Final[tuple[_Kind, ...]] = ("bind", "volume", "tmpfs", "image")


class BindOptionsBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    propagation: str | None = None
    non_recursive: bool | None = None
    create_mountpoint: bool | None = None
    read_only_non_recursive: bool | None = None
    read_only_force_recursive: bool | None = None


class DriverBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    name: str | None = None
    options: dict[str, str] | None = None


class VolumeOptionsBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    no_copy: bool | None = None
    labels: dict[str, str] | None = None
    driver_config: DriverBody | None = None
    subpath: str | None = None


class ImageOptionsBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    subpath: str | None = None


class TmpfsOptionsBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    size_bytes: Int64 | None = None
    mode: Int64 | None = None
    options: list[list[str]] | None = None


class MountBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    type: str | None = None
    source: str | None = None
    target: str | None = None
    read_only: bool | None = None
    consistency: str | None = None
    bind_options: BindOptionsBody | None = None
    volume_options: VolumeOptionsBody | None = None
    image_options: ImageOptionsBody | None = None
    tmpfs_options: TmpfsOptionsBody | None = None
    cluster_options: dict[str, str] | None = None


class MountPointAnswer(AnswerStruct, frozen=True, kw_only=True):
    """A mount as it was resolved."""

    type: str
    name: str | UnsetType = UNSET
    source: str
    destination: str
    driver: str | UnsetType = UNSET
    mode: str
    rw: bool = field(name="RW")
    propagation: str


def to_mount(body: MountBody) -> MountRequest:
    """Raises Invalid for an unknown type and for options of another type than the mount's, with Docker's words."""
    kind = _to_kind(body.type or "")
    bind = body.bind_options or BindOptionsBody()
    volume = body.volume_options or VolumeOptionsBody()
    image = body.image_options or ImageOptionsBody()
    tmpfs = body.tmpfs_options or TmpfsOptionsBody()
    driver = volume.driver_config or DriverBody()
    given = (("bind", body.bind_options), ("volume", body.volume_options), ("image", body.image_options), ("tmpfs", body.tmpfs_options))
    for name, options in given:
        if options is not None and name != kind:
            raise Invalid(f'{name.capitalize()}Options must not be specified on mount type "{kind}"', reason="bad-mount")
    return MountRequest(
        type=kind,
        target=body.target or "",
        source=body.source or "",
        read_only=bool(body.read_only),
        consistency=body.consistency or "",
        propagation=bind.propagation or "",
        non_recursive=bool(bind.non_recursive),
        create_mountpoint=bool(bind.create_mountpoint),
        read_only_non_recursive=bool(bind.read_only_non_recursive),
        read_only_force_recursive=bool(bind.read_only_force_recursive),
        no_copy=bool(volume.no_copy),
        labels=volume.labels or {},
        driver=driver.name or "",
        driver_options=driver.options or {},
        subpath=volume.subpath or image.subpath or "",
        tmpfs_size=tmpfs.size_bytes or 0,
        tmpfs_mode=tmpfs.mode or 0,
        tmpfs_options=tuple(tuple(option) for option in tmpfs.options or ()),
    )


def _to_kind(text: str) -> _Kind:
    for kind in _KINDS:
        if kind == text:
            return kind
    raise Invalid(f'invalid mount config for type "{text}": mount type unknown', reason="bad-mount")


def from_mount(mount: MountRequest) -> MountBody:
    """Only what was said: the options object of its type appears when one of its fields is set."""
    bind = BindOptionsBody(
        propagation=mount.propagation or None,
        non_recursive=mount.non_recursive or None,
        create_mountpoint=mount.create_mountpoint or None,
        read_only_non_recursive=mount.read_only_non_recursive or None,
        read_only_force_recursive=mount.read_only_force_recursive or None,
    )
    driver = DriverBody(name=mount.driver or None, options=mount.driver_options or None)
    subpath = mount.subpath or None
    volume = VolumeOptionsBody(
        no_copy=mount.no_copy or None,
        labels=mount.labels or None,
        driver_config=None if driver == DriverBody() else driver,
        subpath=subpath if mount.type == "volume" else None,
    )
    image = ImageOptionsBody(subpath=subpath if mount.type == "image" else None)
    tmpfs = TmpfsOptionsBody(
        size_bytes=mount.tmpfs_size or None,
        mode=mount.tmpfs_mode or None,
        options=[list(option) for option in mount.tmpfs_options] or None,
    )
    return MountBody(
        type=mount.type,
        source=mount.source or None,
        target=mount.target,
        read_only=mount.read_only or None,
        consistency=mount.consistency or None,
        bind_options=None if bind == BindOptionsBody() else bind,
        volume_options=None if volume == VolumeOptionsBody() else volume,
        image_options=None if image == ImageOptionsBody() else image,
        tmpfs_options=None if tmpfs == TmpfsOptionsBody() else tmpfs,
    )


def from_mount_point(point: MountPoint) -> MountPointAnswer:
    return MountPointAnswer(
        type=point.type,
        name=point.name or UNSET,
        source=point.source,
        destination=point.destination,
        driver=point.driver or UNSET,
        mode=point.mode,
        rw=point.rw,
        propagation=point.propagation,
    )
