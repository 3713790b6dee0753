"""`--cache-to` and `--cache-from` as they come with a build: checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from corten.engine.transfer.compression import HIGHEST, Compression, LayerCompression
from corten.errors import Invalid, Unsupported
from corten.oci.digest import parse_digest
from corten.oci.manifest import DOCKER_INDEX, DOCKER_LAYER, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from corten.oci.reference import Reference, parse_reference

Fields = Mapping[str, str]
KINDS: Final = ("inline", "registry", "local")
ELSEWHERE: Final = {
    "gha": "it needs the runtime token of a GitHub runner; type=registry,ref=ghcr.io/… serves there",
    "s3": "Corten has no client for object stores; type=local in a folder that is synced, or type=registry",
    "azblob": "Corten has no client for object stores; type=local in a folder that is synced, or type=registry",
}
"""Why a kind that BuildKit knows is not done, and what is instead."""
_WRITING: Final = frozenset(
    {"mode", "compression", "compression-level", "force-compression", "ignore-error", "image-manifest", "oci-mediatypes"}
)
_KNOWN: Final = {
    "to inline": frozenset({"type", *_WRITING}),
    "to registry": frozenset({"type", "ref", *_WRITING}),
    "to local": frozenset({"type", "dest", "tag", *_WRITING}),
    "from registry": frozenset({"type", "ref", *_WRITING}),  # what only writing heeds is let pass, as BuildKit does
    "from local": frozenset({"type", "src", "tag", "digest", *_WRITING}),
    "from image": frozenset({"type", "ref"}),
    "from here": frozenset({"type", "ref"}),
}


@dataclass(frozen=True, slots=True)
class CacheManifestForm:
    """What a cache is written as: a manifest or an index of layers and config; with OCI's media types or Docker's."""

    is_manifest: bool = True
    is_oci: bool = True

    @property
    def media_type(self) -> str:
        if self.is_manifest:
            return OCI_MANIFEST
        return OCI_INDEX if self.is_oci else DOCKER_INDEX

    def layer_type(self, media_type: str) -> str:
        return _DOCKERS.get(media_type, media_type) if not self.is_oci else media_type


_DOCKERS: Final = {
    OCI_LAYER: "application/vnd.docker.image.rootfs.diff.tar",
    f"{OCI_LAYER}+gzip": DOCKER_LAYER,
    f"{OCI_LAYER}+zstd": "application/vnd.docker.image.rootfs.diff.tar.zstd",
}


@dataclass(frozen=True, slots=True)
class CacheExport:
    """`whole`: the steps of every stage (mode=max), else those of the image alone. `forgiving`: a failure does not fail the build."""

    kind: str
    reference: Reference | None = None
    folder: str = ""
    whole: bool = False
    forgiving: bool = False
    packing: LayerCompression = field(default_factory=LayerCompression)
    form: CacheManifestForm = field(default_factory=CacheManifestForm)
    tag: str = "latest"

    @property
    def shown(self) -> str:
        return f"{self.kind} {self.reference.familiar if self.reference else self.folder}"


@dataclass(frozen=True, slots=True)
class CacheImport:
    """Kinds: "local", "registry", "image" (in the engine's own store, else at a registry), "here" (in the store alone)."""

    kind: str
    reference: Reference | None = None
    folder: str = ""
    tag: str = "latest"
    digest: str = ""

    @property
    def may_be_here(self) -> bool:
        return self.kind in ("image", "here")


def read_cache_exports(given: Sequence[Fields]) -> list[CacheExport]:
    """Raises Invalid, and Unsupported for what is not done."""
    return [_target(fields) for fields in given]


def read_cache_imports(given: Sequence[Fields]) -> list[CacheImport]:
    """Raises as `read_cache_exports`."""
    return [_origin(fields) for fields in given if fields.get("type") != "inline"]


def _target(fields: Fields) -> CacheExport:
    kind = _kind(fields, "cache-to", KINDS)
    mode = fields.get("mode", "min")
    if mode not in ("min", "max"):
        raise Invalid(f'invalid mode {mode!r} of --cache-to: "min" or "max"', reason="bad-cache-option")
    packing, form = _packing(fields), _form(fields)
    forgiving = _is_on(fields, "ignore-error", default=False)
    if kind == "inline":
        return CacheExport(kind)
    folder = _folder(fields, "dest", "cache-to") if kind == "local" else ""
    reference = _reference(fields, "cache-to") if kind == "registry" else None
    return CacheExport(kind, reference, folder, mode == "max", forgiving, packing, form, fields.get("tag") or "latest")


def _packing(fields: Fields) -> LayerCompression:
    kind, level = fields.get("compression") or "gzip", fields.get("compression-level") or None
    force = _is_on(fields, "force-compression", default=False)
    if kind not in HIGHEST:
        hint = "gzip, zstd or uncompressed"
        raise Unsupported(f"--cache-to with compression={kind} is not supported", reason="cache-option", hint=hint)
    if level is not None and not (level.isascii() and level.isdigit() and int(level) <= HIGHEST[kind]):
        raise Invalid(f"compression-level={level} of {kind}: 0 to {HIGHEST[kind]}", reason="bad-cache-option")
    return LayerCompression(cast("Compression", kind), int(level) if level else None, force)


def _form(fields: Fields) -> CacheManifestForm:
    oci = _is_on(fields, "oci-mediatypes", default=True)
    manifest = _is_on(fields, "image-manifest", default=oci)
    if manifest and not oci:
        text = "image-manifest=true needs oci-mediatypes=true"
        raise Invalid(text, reason="bad-cache-option", hint="Docker has no media type for such a manifest")
    return CacheManifestForm(manifest, oci)


def _origin(fields: Fields) -> CacheImport:
    kind = _kind(fields, "cache-from", ("registry", "local", "image", "here"))
    if kind == "local":
        digest = parse_digest(fields["digest"]) if fields.get("digest") else ""
        return CacheImport(kind, None, _folder(fields, "src", "cache-from"), fields.get("tag") or "latest", digest)
    return CacheImport(kind, _reference(fields, "cache-from"))


def _kind(fields: Fields, flag: str, kinds: Sequence[str]) -> str:
    kind = fields.get("type", "")
    if kind not in kinds:
        hint = ELSEWHERE.get(kind, f"one of {', '.join(KINDS)}")
        raise Unsupported(f"--{flag} type={kind} is not supported", reason="cache-kind", hint=hint)
    if unknown := sorted(set(fields) - _KNOWN[f"{flag.removeprefix('cache-')} {kind}"]):
        raise Unsupported(f"--{flag} type={kind} with {unknown[0]}= is not supported", reason="cache-option")
    return kind


def _is_on(fields: Fields, name: str, *, default: bool) -> bool:
    text = fields.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0"):
        raise Invalid(f"{name}={fields[name]}: true or false", reason="bad-cache-option")
    return text in ("true", "1")


def _folder(fields: Fields, name: str, flag: str) -> str:
    if not fields.get(name):
        raise Invalid(f"--{flag} type=local needs {name}=FOLDER", reason="bad-cache-option")
    if not fields[name].startswith("/"):
        raise Invalid(f"{name}={fields[name]} is not an absolute path", reason="bad-cache-option")
    return fields[name]


def _reference(fields: Fields, flag: str) -> Reference:
    if not fields.get("ref"):
        raise Invalid(f"--{flag} type={fields['type']} needs ref=REFERENCE", reason="bad-cache-option")
    return parse_reference(fields["ref"]).with_default_tag()
