"""Image references as users type them and as engines compare them: `[domain/]path[:tag][@digest]`.

The grammar is the distribution project's; the short ("familiar") forms are Docker's: no domain means `docker.io`, no slash means
`docker.io/library/`. Error texts are Docker's because clients print them.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from corten.errors import Invalid
from corten.ids import Digest, is_hex64
from corten.oci.digest import parse_digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_MAX_PATH = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"(?:({_DOMAIN})/)?({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?")
_TAG_ONLY = re.compile(_TAG)


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised name. `str()` is the full form, the key under which names are stored and compared."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        return self.name + self._suffix()

    @property
    def name(self) -> str:
        """The repository: `docker.io/library/python`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people write it: `python`, `user/app`, `ghcr.io/org/app`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        rest = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in rest else rest

    @property
    def familiar(self) -> str:
        return self.familiar_name + self._suffix()

    @property
    def is_name_only(self) -> bool:
        return self.tag is None and self.digest is None

    def with_default_tag(self) -> "Reference":
        return replace(self, tag=DEFAULT_TAG) if self.is_name_only else self

    def with_tag(self, tag: str) -> "Reference":
        """The same repository with `tag` and no digest. Raises Invalid for a malformed tag."""
        if _TAG_ONLY.fullmatch(tag) is None:
            raise Invalid("invalid tag format", reason="bad-reference")
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> "Reference":
        return replace(self, tag=None, digest=digest)

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


@lru_cache(maxsize=512)
def parse_reference(text: str) -> Reference:
    """`text` normalised. Raises Invalid with Docker's wording; a bare 64-digit hex string is an id and no name."""
    if is_hex64(text):
        raise Invalid(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings", reason="bad-reference")
    domain, rest = _split_domain(text)
    path = rest.partition("@")[0].partition(":")[0]
    if path != path.lower():
        raise Invalid(f"invalid reference format: repository name ({path}) must be lowercase", reason="bad-reference")
    match = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if match is None or match[1] is None:
        raise Invalid("invalid reference format", reason="bad-reference")
    if len(match[2]) > _MAX_PATH:
        raise Invalid("repository name must not be more than 255 characters", reason="bad-reference")
    digest = parse_digest(match[4]) if match[4] else None
    return Reference(match[1], match[2], match[3], digest)


def is_reference(text: str) -> bool:
    try:
        parse_reference(text)
    except Invalid:
        return False
    return True


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, _OFFICIAL + text
    if first == _LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    elif first != "localhost" and not any(c in first for c in ".:") and first == first.lower():
        first, rest = DEFAULT_DOMAIN, text
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = _OFFICIAL + rest
    return first, rest
