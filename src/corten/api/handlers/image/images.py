"""`/images`: list, inspect, history, tag, remove, prune. Archives are in `archives`, pull and push in `registry`."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from corten.api import versions
from corten.api.filters import filter_bool, filter_until
from corten.api.request import Request
from corten.api.types.images import (
    AttestationData,
    DeletedItem,
    DescriptorAnswer,
    GraphDriver,
    HistoryItem,
    ImageData,
    ImageInspect,
    ImageSummary,
    ManifestSize,
    ManifestSummary,
    Metadata,
    PlatformAnswer,
    PlatformQuery,
    RootFsAnswer,
    UnpackedSize,
)
from corten.api.wire import json_response
from corten.engine.images.catalog import LIST_FILTERS, ImageCatalog, ImageListQuery, ListedImage, created_ns
from corten.engine.images.platforms import PlatformEntry
from corten.engine.images.removal import ImageDeleteItem, ImagePruneFilter, RemoveOptions
from corten.engine.timestamps import format_moment, parse_moment
from corten.errors import Invalid
from corten.http.response import Reply, Response
from corten.ids import ContainerId
from corten.oci.image import RunConfig
from corten.oci.platform import Platform, normalise
from corten.store.images import Image

_GO_CONFIG: Final = {
    "Cmd": None,
    "Entrypoint": None,
    "Env": None,
    "Labels": None,
    "OnBuild": None,
    "User": "",
    "Volumes": None,
    "WorkingDir": "",
}
"""What Go writes of a config even when it is not set."""
_OLD_CONFIG: Final = {
    "AttachStderr": False, "AttachStdin": False, "AttachStdout": False, "Domainname": "", "Hostname": "", "Image": "",
    "OpenStdin": False, "StdinOnce": False, "Tty": False,
}  # fmt: skip


async def image_list(request: Request) -> Reply:
    query = ImageListQuery(all=request.flag("all"), shared_size=request.flag("shared-size"), filters=_list_filters(request))
    catalog = request.app.images.catalog
    with_manifests = request.flag("manifests")
    return json_response([image_summary(request, catalog, found, with_manifests) for found in catalog.summaries(query)])


async def image_inspect(request: Request) -> Reply:
    platform = read_platform(request)
    manifests = request.flag("manifests")
    if manifests and platform is not None:
        raise Invalid("conflicting options: manifests and platform options cannot both be set", reason="conflicting-options")
    catalog = request.app.images.catalog
    image = catalog.get(request.params["name"], platform)
    return json_response(_inspect(request, catalog, image))


async def image_history(request: Request) -> Reply:
    lines = request.app.images.catalog.history(request.params["name"], read_platform(request))
    return json_response(
        [
            HistoryItem(
                comment=line.comment,
                created=line.created // 1_000_000_000,
                created_by=line.created_by,
                id=line.id,
                size=line.size,
                tags=list(line.tags) or None,
            )
            for line in lines
        ]
    )


async def image_tag(request: Request) -> Reply:
    repository = request.text("repo")
    request.app.images.catalog.tag(request.params["name"], repository, request.text("tag"))
    return Response(201 if repository else 200)


async def image_remove(request: Request) -> Reply:
    name = request.params["name"].strip()
    if not name:
        raise Invalid("image name cannot be blank", reason="bad-reference")
    _check_platforms(request, name)
    removed = await request.app.images.removal.remove(name, removal_how(request))
    return json_response(deleted_items(removed))


def _check_platforms(request: Request, name: str) -> None:
    """Which platform of it is meant (since 1.50): an image here has one. Raises NotFound when it is another, Invalid."""
    texts = request.values("platforms")
    if len(texts) > 1:
        raise Invalid("multiple platforms are not supported", reason="bad-platform")
    if texts:
        request.app.images.catalog.get(name, _platform(texts[0]))


def removal_how(request: Request) -> RemoveOptions:
    """RemoveOptions to remove images. `force-protected` is Corten's own."""
    return RemoveOptions(
        force=request.flag("force"), prune_parents=not request.flag("noprune"), force_protected=request.flag("force-protected")
    )


def prune_what(filters: dict[str, list[str]]) -> ImagePruneFilter:
    """Which images the filters of a prune mean. Raises Invalid."""
    return ImagePruneFilter(
        dangling_only=filter_bool(filters, "dangling", True),
        until=filter_until(filters),
        labels=filters.get("label", ()),
        not_labels=filters.get("label!", ()),
    )


def read_platform(request: Request) -> Platform | None:
    """The `platform` query value of calls that take it as JSON. Raises Invalid."""
    text = request.text("platform")
    return _platform(text) if text else None


def _platform(text: str) -> Platform:
    try:
        found = msgspec.json.decode(text, type=PlatformQuery)
    except msgspec.DecodeError as error:
        raise Invalid(f"failed to parse platform: {error}", reason="bad-platform") from None
    if not found.os or not found.architecture:
        raise Invalid("both OS and Architecture must be set", reason="bad-platform")
    return normalise(found.os, found.architecture, found.variant, found.os_version)


def _list_filters(request: Request) -> dict[str, list[str]]:
    filters = request.filters(*LIST_FILTERS)
    old_name_filter = request.text("filter")
    if old_name_filter and versions.has_image_name_filter(request.version):
        filters.setdefault("reference", []).append(old_name_filter)
    return filters


def deleted_items(removed: list[ImageDeleteItem] | tuple[ImageDeleteItem, ...]) -> list[DeletedItem]:
    return [DeletedItem(untagged=line.untagged, deleted=line.deleted) for line in removed]


def image_summary(request: Request, catalog: ImageCatalog, found: ListedImage, with_manifests: bool) -> ImageSummary:
    image, version = found.image, request.version
    tags, digests = list(found.tags), list(found.digests)
    if not tags and not digests and versions.names_untagged_images(version):
        tags, digests = ["<none>:<none>"], ["<none>@<none>"]
    return ImageSummary(
        containers=len(found.users) if versions.counts_image_users(version) else -1,
        created=created_ns(image) // 1_000_000_000,
        id=image.id,
        labels=image.config.run.labels,
        parent_id=image.parent,
        repo_digests=digests,
        repo_tags=tags,
        shared_size=found.shared_size,
        size=image.size,
        virtual_size=image.size if versions.has_virtual_size(version) else UNSET,
        manifests=_manifests(catalog, image, found.users) if with_manifests else UNSET,
    )


def _inspect(request: Request, catalog: ImageCatalog, image: Image) -> ImageInspect:
    config, version = image.config, request.version
    created = _in_utc(config.created) if config.created else None
    zero = format_moment(0) if versions.has_virtual_size(version) else UNSET
    paths = catalog.layer_paths(image)
    data = {"UpperDir": paths[0]} if paths else {}
    data |= {"LowerDir": ":".join(paths[1:])} if len(paths) > 1 else {}
    return ImageInspect(
        id=image.id,
        repo_tags=list(image.repo_tags),
        repo_digests=list(image.repo_digests),
        parent=image.parent,
        comment=config.comment or _last_comment(image),
        created=created or zero,
        container_config=_GO_CONFIG | _OLD_CONFIG if versions.has_container_config(version) else UNSET,
        docker_version=config.docker_version,
        author=config.author,
        architecture=config.architecture,
        variant=config.variant or UNSET,
        os=config.os,
        os_version=config.os_version or UNSET,
        size=image.size,
        virtual_size=image.size if versions.has_virtual_size(version) else UNSET,
        graph_driver=GraphDriver(data=data, name="overlay2"),
        root_fs=RootFsAnswer(type="layers", layers=list(image.layers)),
        metadata=Metadata(last_tag_time=format_moment(image.last_tagged)),
        config=_config(config.run, old=versions.has_runtime_image_config(version)),
        manifests=_manifests(catalog, image, ()) if request.flag("manifests") else UNSET,
    )


def _in_utc(text: str) -> str:
    """Moments are kept as the config has them; only another time zone needs converting."""
    return text if text.endswith("Z") else format_moment(parse_moment(text))


def _last_comment(image: Image) -> str:
    history = image.config.history or ()
    return history[-1].comment if history else ""


def _config(run: RunConfig, *, old: bool) -> dict[str, Any]:
    known: Mapping[str, Any] = msgspec.to_builtins(run)
    found: dict[str, Any] = _sorted({**_GO_CONFIG, **(_OLD_CONFIG if old else {}), **known})
    return found


def _sorted(value: Any) -> Any:
    """Docker sends it in the order of Go's maps."""
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def _manifests(catalog: ImageCatalog, image: Image, users: tuple[ContainerId, ...]) -> list[ManifestSummary]:
    """What CLI 29 draws under an image."""
    return [_manifest(entry, users if entry.image and entry.image.id == image.id else ()) for entry in catalog.entries(image)]


def _manifest(entry: PlatformEntry, users: tuple[ContainerId, ...]) -> ManifestSummary:
    descriptor, image = entry.descriptor, entry.image
    size = image.size if image else entry.kept
    fields = (image.config.architecture, image.config.os, image.config.variant) if image else ("", "", "")
    if image is None and descriptor.platform:
        fields = (descriptor.platform.architecture, descriptor.platform.os, descriptor.platform.variant)
    platform = PlatformAnswer(architecture=fields[0], os=fields[1], variant=fields[2])
    unpacked = UnpackedSize(unpacked=image.size if image else 0)
    return ManifestSummary(
        id=descriptor.digest,
        descriptor=DescriptorAnswer(media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size),
        available=entry.is_here,
        kind="attestation" if entry.is_attestation else "image",
        size=ManifestSize(content=entry.kept, total=size),
        image_data=UNSET if entry.is_attestation else ImageData(platform=platform, containers=list(users), size=unpacked),
        attestation_data=AttestationData(for_=entry.about) if entry.is_attestation else UNSET,
    )
