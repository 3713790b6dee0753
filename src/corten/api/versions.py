"""API versions: negotiation, and every difference between their answers. No other module compares versions."""

from dataclasses import replace
from typing import Final

from corten import __version__
from corten.engine.containers.create.creation import CreateRequest
from corten.engine.values.container import MountRequest
from corten.errors import Invalid
from corten.http.response import Response
from corten.http.websocket import Opcode

Version = tuple[int, int]

MINIMUM: Final[Version] = (1, 24)
DOCKER_COMPATIBLE: Final = f"28.5.2+corten.{__version__}"
"""The engine's version as clients that gate on Docker's read it: the Docker whose API is served, and ours as build metadata."""
CURRENT: Final[Version] = (1, 51)

MULTIPLEXED: Final = "application/vnd.docker.multiplexed-stream"
RAW: Final = "application/vnd.docker.raw-stream"


def format_version(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def parse_version(text: str) -> Version:
    """`1.41`. What does not parse counts as 0, as in Docker: `1.` is 1.0, further members are dropped."""
    members = [int(member) if member.isdecimal() else 0 for member in text.split(".")]
    return members[0], members[1] if len(members) > 1 else 0


def find_refusal(text: str, version: Version) -> Response | None:
    """The answer to a client whose version is not served. Clients read these words, and too old means plain text."""
    if version < MINIMUM:
        message = (
            f"client version {text} is too old. Minimum supported API version is {format_version(MINIMUM)}, "
            "please upgrade your client to a newer version\n"
        )
        return Response(400, message.encode(), "text/plain; charset=utf-8", (("X-Content-Type-Options", "nosniff"),))
    if version > CURRENT:
        message = f"client version {text} is too new. Maximum supported API version is {format_version(CURRENT)}"
        return Response(400, b'{"message":"%b"}\n' % message.encode(), "application/json")
    return None


def stream_type(version: Version, *, multiplexed: bool) -> str:
    """The content type of attach, exec and log streams: 1.42 tells framed ones apart."""
    return MULTIPLEXED if multiplexed and version >= (1, 42) else RAW


def websocket_opcode(version: Version) -> Opcode:
    """What attach by WebSocket sends: 1.28 brought binary messages."""
    return Opcode.BINARY if version >= (1, 28) else Opcode.TEXT


def chooses_websocket_streams(version: Version) -> bool:
    """Whether stdin, stdout and stderr are asked for by name; before 1.42 attach by WebSocket gave all of them."""
    return version >= (1, 42)


def as_meant(asked: CreateRequest, version: Version) -> CreateRequest:
    """What a client of that version means: defaults as they were, fields that it cannot know dropped, as dockerd does.

    Raises Invalid for what dockerd refuses old clients.
    """
    host = replace(asked.host, mounts=tuple(_mount_as_meant(mount, version) for mount in asked.host.mounts))
    config = asked.config
    if version < (1, 40) and not host.ipc_mode:
        host = replace(host, ipc_mode="shareable")
    if version < (1, 41) and not host.cgroupns_mode:
        host = replace(host, cgroupns_mode="host")
    if version < (1, 43):
        host = replace(host, annotations={})
    if version < (1, 44):
        if len(asked.endpoints) > 1:
            names = ", ".join(endpoint.network for endpoint in asked.endpoints)
            raise Invalid(f"Container cannot be created with multiple network endpoints: {names}", reason="too-old-for-networks")
        if config.healthcheck is not None:
            config = replace(config, healthcheck=replace(config.healthcheck, start_interval=0))
        return replace(asked, config=config, host=host)
    return replace(asked, host=host)


def create_warnings(asked: CreateRequest, version: Version) -> tuple[str, ...]:
    """What the answer to create says of fields that a client of that version should no longer send."""
    return (MAC_WARNING,) if version >= (1, 44) and asked.config.mac_address else ()


MAC_WARNING: Final = "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."


def _mount_as_meant(mount: MountRequest, version: Version) -> MountRequest:
    if version < (1, 48) and mount.type == "image":
        raise Invalid('Mount type "Image" needs API v1.48 or newer', reason="too-old-for-mount")
    if version < (1, 45) and mount.type == "volume" and mount.subpath:
        raise Invalid("VolumeOptions.Subpath needs API v1.45 or newer", reason="too-old-for-mount")
    if version < (1, 40):
        mount = replace(mount, non_recursive=False)
    if version < (1, 42):
        mount = replace(mount, create_mountpoint=False)
    if version < (1, 44) and mount.type == "bind" and mount.read_only:
        mount = replace(mount, read_only_non_recursive=True, read_only_force_recursive=False)
    return mount


def transfers_platforms(version: Version) -> bool:
    """Whether save and load take `platform`; one alone, as clients of before 1.52 may."""
    return version >= (1, 48)


def spares_named_volumes(version: Version) -> bool:
    """Whether `volumes/prune` without the filter `all` takes anonymous volumes only."""
    return version >= (1, 42)


def chooses_usage(version: Version) -> bool:
    """Whether `system/df` takes `type`, and has no `BuilderSize` any more."""
    return version >= (1, 42)


def has_image_name_filter(version: Version) -> bool:
    """Whether `images/json` takes a name in `filter`, beside `filters`."""
    return version < (1, 41)


def names_untagged_images(version: Version) -> bool:
    """Whether an image without names is called `<none>:<none>` instead of having none."""
    return version < (1, 43)


def has_virtual_size(version: Version) -> bool:
    """Whether an image has `VirtualSize`, and a moment for "never tagged"."""
    return version < (1, 44)


def has_container_config(version: Version) -> bool:
    """Whether an image's inspect has `Container` and `ContainerConfig`."""
    return version < (1, 45)


def has_runtime_image_config(version: Version) -> bool:
    """Whether an image's `Config` has the fields that only a container uses (Hostname, AttachStdin, ...)."""
    return version < (1, 50)


def has_discovered_devices(version: Version) -> bool:
    """1.50 lists CDI devices in /info."""
    return version >= (1, 50)


def counts_image_users(version: Version) -> bool:
    """Whether an image list says how many containers use each; -1 before."""
    return version >= (1, 51)
