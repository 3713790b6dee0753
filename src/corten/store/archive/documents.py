"""What an image archive says about itself, read from its JSON documents: docker-archive's `manifest.json` and the OCI image layout.

Archives name their members as they like and order them as they like; this module turns the documents found into a list of images,
each a config, layers by member name, and tags.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from corten.errors import Invalid, Unsupported
from corten.ids import Digest
from corten.oci import manifest as oci
from corten.oci.digest import hex_of
from corten.oci.platform import Platform, host_platform, preference
from corten.oci.reference import Reference, parse_reference

MANIFEST: Final = "manifest.json"
INDEX: Final = "index.json"
LAYOUT: Final = "oci-layout"
REPOSITORIES: Final = "repositories"
_FULL_NAME: Final = "io.containerd.image.name"
_REF_NAME: Final = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """`config` and `layers` are member names (links resolved by the caller); layers are bottom first."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[Reference, ...] = ()
    parent: str = ""
    manifest: tuple[Digest, str, bytes] | None = None
    media_types: Mapping[str, str] = field(default_factory=dict)


class _DockerImage(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None
    parent: str = ""


def blob_name(digest: str) -> str:
    """The member that holds a blob in an OCI layout."""
    return f"blobs/{digest.replace(':', '/', 1)}"


def read_images(documents: Mapping[str, bytes], platform: Platform | None) -> list[ArchivedImage]:
    """The images that the archive offers; of a multi-platform one, the best for `platform` (default: this host).

    Raises Invalid when the archive is none or contradicts itself.
    """
    if MANIFEST in documents:
        return _docker_images(documents[MANIFEST])
    if INDEX in documents:
        return list(_layout_images(documents, platform))
    if REPOSITORIES in documents:
        raise Unsupported(
            "the archive is in the format that Docker wrote before 1.10, which has no manifest.json",
            reason="archive-too-old",
            hint="load and save it once with Docker 1.10 to 24",
        )
    raise Invalid(
        "the archive holds no image: neither manifest.json nor index.json is in it", reason="no-image-in-archive",
        hint="to make an image of a root file system's archive, use import",
    )  # fmt: skip


def _docker_images(data: bytes) -> list[ArchivedImage]:
    try:
        found = msgspec.json.decode(data, type=list[_DockerImage])
    except msgspec.DecodeError as error:
        raise Invalid(f"invalid {MANIFEST}: {error}", reason="bad-archive") from error
    return [
        ArchivedImage(
            posixpath.normpath(image.config),
            tuple(posixpath.normpath(layer) for layer in image.layers or ()),
            tuple(_tag(name) for name in image.repo_tags or ()),
            image.parent,
        )
        for image in found
    ]


def _tag(name: str) -> Reference:
    reference = parse_reference(name)
    if reference.tag is None:
        raise Invalid(f'invalid tag "{name}"', reason="bad-archive")
    return reference


def _layout_images(documents: Mapping[str, bytes], platform: Platform | None) -> Iterator[ArchivedImage]:
    index = oci.parse_manifest(documents[INDEX], oci.OCI_INDEX)
    if not isinstance(index, oci.Index):
        raise Invalid(f"invalid {INDEX}: it is no index", reason="bad-archive")
    found: dict[str, tuple[oci.Descriptor, list[Reference]]] = {}
    for descriptor in index.manifests:
        if not descriptor.is_attestation:
            found.setdefault(descriptor.digest, (descriptor, []))[1].extend(_annotated_names(descriptor))
    # Several unnamed manifests side by side are one image for several platforms.
    unnamed = [descriptor for descriptor, names in found.values() if not names]
    if len(unnamed) > 1 and all(descriptor.platform for descriptor in unnamed):
        best = _best(unnamed, platform)
        found = {digest: pair for digest, pair in found.items() if pair[1] or pair[0] is best}
    for descriptor, names in found.values():
        yield _layout_image(documents, descriptor, tuple(names), platform)


def _layout_image(
    documents: Mapping[str, bytes], descriptor: oci.Descriptor, names: tuple[Reference, ...], platform: Platform | None
) -> ArchivedImage:
    raw = _document(documents, descriptor.digest)
    parsed = oci.parse_manifest(raw, descriptor.media_type)
    if isinstance(parsed, oci.Index):
        inner = _best([d for d in parsed.manifests if not d.is_attestation], platform)
        return _layout_image(documents, inner, names, platform)
    if parsed.artifact_type or parsed.config.media_type not in (oci.OCI_CONFIG, oci.DOCKER_CONFIG):
        raise Unsupported(
            f"{descriptor.digest} is an artifact ({parsed.artifact_type or parsed.config.media_type}), not an image",
            reason="not-an-image",
            hint="fetch artifacts with a tool made for them, e.g. oras",
        )
    return ArchivedImage(
        blob_name(parsed.config.digest),
        tuple(blob_name(layer.digest) for layer in parsed.layers),
        names,
        manifest=(Digest(descriptor.digest), parsed.media_type or descriptor.media_type, raw),
        media_types={layer.digest: layer.media_type for layer in parsed.layers},
    )


def _best(candidates: list[oci.Descriptor], platform: Platform | None) -> oci.Descriptor:
    host = platform or host_platform()
    ranked = [(rank, d) for d in candidates if (rank := preference(host, d.platform.normalised() if d.platform else host)) is not None]
    if not ranked:
        offered = ", ".join(str(d.platform.normalised()) for d in candidates if d.platform) or "none"
        raise Invalid(f"the archive has no image for {host}; it has: {offered}", reason="no-such-platform")
    return min(ranked, key=lambda pair: pair[0])[1]


def _document(documents: Mapping[str, bytes], digest: str) -> bytes:
    try:
        return documents[blob_name(digest)]
    except KeyError:
        raise Invalid(f"the archive lacks {hex_of(digest)}, which its index names", reason="bad-archive") from None


def _annotated_names(descriptor: oci.Descriptor) -> list[Reference]:
    """containerd and buildx write the whole name; skopeo and podman write it as the ref name, others only a tag there."""
    annotations = descriptor.annotations or {}
    for name in (annotations.get(_FULL_NAME), annotations.get(_REF_NAME)):
        if name and (":" in name or "/" in name):
            try:
                return [parse_reference(name).with_default_tag()]
            except Invalid:
                continue
    return []
