"""The image config ("image JSON"): OCI image spec config.md with Docker's additions, read from strangers and written by us.

An image's id is the digest of these bytes, so whoever stores an image keeps the bytes as they came; these structs are what is
understood of them. Unknown fields are ignored here and survive in the bytes.
"""

from typing import Any

import msgspec

from corten.errors import Invalid
from corten.ids import ChainId, DiffId
from corten.oci.digest import parse_digest, sha256_digest


class Healthcheck(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Durations in ns; `test` as Docker's list (["CMD-SHELL", "…"], ["NONE"])."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RunConfig(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """What a container of the image runs with, unless told otherwise. Written, it holds only what is set."""

    user: str = ""
    exposed_ports: dict[str, Any] | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    volumes: dict[str, Any] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    args_escaped: bool = False
    healthcheck: Healthcheck | None = None
    on_build: list[str] | None = None
    shell: list[str] | None = None
    stop_timeout: int | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFs(msgspec.Struct, frozen=True):
    type: str = "layers"
    diff_ids: list[str] | None = None


class ImageConfig(msgspec.Struct, frozen=True, rename={"os_version": "os.version", "os_features": "os.features"}, omit_defaults=True):
    """`layers` are the diff ids bottom first; `run` never is None."""

    architecture: str = ""
    os: str = ""
    created: str | None = None
    author: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: list[str] | None = None
    config: RunConfig | None = None
    rootfs: RootFs = RootFs()
    history: list[History] | None = None
    comment: str = ""
    docker_version: str = ""
    parent: str = ""

    @property
    def run(self) -> RunConfig:
        return self.config or RunConfig()

    @property
    def layers(self) -> tuple[DiffId, ...]:
        return tuple(DiffId(d) for d in self.rootfs.diff_ids or ())


_DECODER = msgspec.json.Decoder(ImageConfig)


def parse_image_config(data: bytes) -> ImageConfig:
    """The config in `data`. Raises Invalid for what is no image config, naming the field that is wrong.

    Docker is written in Go, whose JSON reader ignores the case of names; a config that only such a reader takes is taken here too.
    """
    config = read_image_config(data)
    if config.rootfs.type != "layers":
        raise Invalid(f"invalid image config: rootfs type {config.rootfs.type!r}", reason="bad-image")
    for diff_id in config.layers:
        parse_digest(diff_id)
    return config


def read_image_config(data: bytes) -> ImageConfig:
    """`parse_image_config` for bytes that passed it before: diff ids are not checked again."""
    try:
        config = _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        return _decode_folded(data, error)
    if not config.rootfs.diff_ids and b"diff_ids" not in data:
        return _decode_folded(data, config)
    return config


def encode_image_config(config: ImageConfig) -> bytes:
    return msgspec.json.encode(config)


def chain_ids(layers: tuple[DiffId, ...]) -> list[ChainId]:
    """The name of the stack up to each layer (OCI image spec, "Layer ChainID")."""
    chain: list[ChainId] = []
    for diff_id in layers:
        chain.append(ChainId(sha256_digest(f"{chain[-1]} {diff_id}".encode())) if chain else ChainId(diff_id))
    return chain


def _decode_folded(data: bytes, failure: msgspec.DecodeError | RecursionError | ImageConfig) -> ImageConfig:
    try:
        return msgspec.convert(_fold(msgspec.json.decode(data), ImageConfig), ImageConfig)
    except (msgspec.DecodeError, RecursionError) as error:
        if isinstance(failure, ImageConfig):
            return failure
        raise Invalid(f"invalid image config: {failure}", reason="bad-image") from error


_STRUCTS: dict[tuple[type[msgspec.Struct], str], type[msgspec.Struct]] = {
    (ImageConfig, "config"): RunConfig,
    (ImageConfig, "rootfs"): RootFs,
    (ImageConfig, "history"): History,
    (RunConfig, "Healthcheck"): Healthcheck,
}


def _fold(value: Any, struct: type[msgspec.Struct]) -> Any:
    """`value` with the keys that belong to `struct` in the struct's own spelling."""
    if isinstance(value, list):
        return [_fold(item, struct) for item in value]
    if not isinstance(value, dict):
        return value
    spelling = {field.encode_name.lower(): field.encode_name for field in msgspec.structs.fields(struct)}
    folded: dict[str, Any] = {spelling.get(str(key).lower(), str(key)): item for key, item in value.items()}
    return {key: _fold(item, _STRUCTS[struct, key]) if (struct, key) in _STRUCTS else item for key, item in folded.items()}
