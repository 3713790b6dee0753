"""What is asked of registries besides pull and push: are these credentials right, what is behind a name, what is there."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from corten.errors import Denied, Invalid, NotFound
from corten.ids import Digest
from corten.oci.image import parse_image_config
from corten.oci.manifest import Index, Manifest, PlatformFields, parse_manifest
from corten.oci.reference import Reference, parse_reference
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.hosts import DOCKER_HUB, RegistrySettings
from corten.registry.search import Hit, search_registry

LARGEST_CONFIG: Final = 8 << 20
SEARCH_FILTERS: Final = ("is-automated", "is-official", "stars")
DEFAULT_HITS: Final = 25
MOST_HITS: Final = 100
_HUB_NAMES: Final = frozenset(("", DOCKER_HUB, "index.docker.io", "registry-1.docker.io", "hub.docker.com"))


@dataclass(frozen=True, slots=True)
class DistributionInspect:
    """What a registry has under a name. `platforms` are those of an index's entries, or the one of the image."""

    media_type: str
    digest: Digest
    size: int
    platforms: Sequence[PlatformFields]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """`limit` 0 = DEFAULT_HITS. Filters: SEARCH_FILTERS."""

    term: str
    limit: int = 0
    filters: Mapping[str, Sequence[str]]


class Registries:
    """Belongs to the event loop; every call works in a thread of its own."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings

    async def login(self, server: str, credentials: Credentials) -> str:
        """The identity token that stands for the credentials from now on, "" where they stand for themselves.

        `server` is a registry's name or URL, "" Docker Hub. Raises Unauthenticated, Unavailable.
        """
        with Session(_registry_of(server), self._settings, credentials, login=True) as session:
            return await asyncio.to_thread(session.login)

    async def distribution(self, reference: Reference, credentials: Credentials | None) -> DistributionInspect:
        """Raises NotFound, Denied, Unauthenticated, Unavailable, Invalid."""
        with Session(reference.domain, self._settings, credentials) as session:
            repository = Repository(session, reference.path, familiar=reference.familiar_name)
            return await asyncio.to_thread(_distributed, repository, str(reference.digest or reference.tag))

    async def search(self, wanted: Search, credentials: Credentials | None) -> list[Hit]:
        """Raises Invalid for a bad term, limit or filter; Unavailable."""
        limit = wanted.limit or DEFAULT_HITS
        if not 1 <= limit <= MOST_HITS:
            raise Invalid(f"limit {limit} is outside the range of [1, {MOST_HITS}]", reason="bad-limit")
        filters = _Filters(wanted.filters)
        domain, term = _split_term(wanted.term)
        if filters.is_automated:
            return []  # no image is any more
        hits = await asyncio.to_thread(search_registry, domain, term, limit, self._settings, credentials)
        return [hit for hit in hits if filters.lets_through(hit)]


class _Filters:
    def __init__(self, filters: Mapping[str, Sequence[str]]) -> None:
        self.is_automated = _boolean(filters, "is-automated")
        self._is_official = _boolean(filters, "is-official")
        self._stars = max((_stars(text) for text in filters.get("stars", ())), default=0)

    def lets_through(self, hit: Hit) -> bool:
        return hit.star_count >= self._stars and self._is_official in (None, hit.is_official)


def _boolean(filters: Mapping[str, Sequence[str]], name: str) -> bool | None:
    values = {value.lower() for value in filters.get(name, ())}
    if not values:
        return None
    if values <= {"1", "true"}:
        return True
    if values <= {"0", "false"}:
        return False
    raise Invalid(f"invalid filter '{name}=[{' '.join(filters[name])}]'", reason="bad-filter")


def _stars(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        message = f"invalid filter 'stars={text}': strconv.Atoi: parsing \"{text}\": invalid syntax"
        raise Invalid(message, reason="bad-filter") from None


def _split_term(term: str) -> tuple[str, str]:
    """A registry's name before the first slash, if there is one, and what to look for there."""
    if "://" in term:
        raise Invalid(f"invalid repository name: repository name ({term}) should not have a scheme", reason="bad-term")
    first, slash, rest = term.partition("/")
    if slash and (any(c in first for c in ".:") or first == "localhost"):
        return (DOCKER_HUB, rest.removeprefix("library/")) if first in _HUB_NAMES else (first, rest)
    return DOCKER_HUB, term.removeprefix("library/")


def _registry_of(server: str) -> str:
    """`https://index.docker.io/v1/`, `http://127.0.0.1:5000/v2/`, `ghcr.io`: the registry's name. Raises Invalid."""
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if host in _HUB_NAMES:
        return DOCKER_HUB
    try:
        return parse_reference(f"{host}/x").domain
    except Invalid:
        raise Invalid(f'invalid registry name "{server}"', reason="bad-registry") from None


def _distributed(repository: Repository, tag: str) -> DistributionInspect:
    try:
        top = repository.manifest(tag)
    except NotFound as error:
        if error.reason == "manifest-unknown":
            raise NotFound("manifest unknown: manifest unknown", reason=error.reason) from error
        raise Denied("denied: requested access to the resource is denied", reason=error.reason, hint=error.hint) from error
    parsed = parse_manifest(top.raw, top.media_type)
    platforms = [d.platform for d in parsed.manifests if d.platform] if isinstance(parsed, Index) else [_platform(repository, parsed)]
    return DistributionInspect(top.media_type, top.digest, len(top.raw), platforms)


def _platform(repository: Repository, manifest: Manifest) -> PlatformFields:
    """As the image's config says. An artifact, whose config is no image's, has none."""
    if manifest.config.size > LARGEST_CONFIG:
        raise Invalid(f"the image's config has {manifest.config.size} bytes", reason="bad-manifest")
    raw = repository.blob(Digest(manifest.config.digest), manifest.config.size)
    try:
        config = parse_image_config(raw)
    except Invalid:
        return PlatformFields()
    return PlatformFields(architecture=config.architecture, os=config.os, os_version=config.os_version, variant=config.variant)
