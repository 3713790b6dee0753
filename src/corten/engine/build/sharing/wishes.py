"""`--cache-to` and `--cache-from` as they come with a build: checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from corten.errors import Invalid, Unsupported
from corten.oci.reference import Reference, parse_reference

Fields = Mapping[str, str]
KINDS: Final = ("inline", "registry", "local")
_SWITCHES: Final = {"image-manifest": True, "oci-mediatypes": True, "force-compression": False}
_KNOWN: Final = frozenset({"type", "ref", "dest", "src", "mode", "compression", "ignore-error", "tag", *_SWITCHES})


@dataclass(frozen=True, slots=True)
class CacheTarget:
    """`whole`: the steps of every stage (mode=max), else those of the image alone. `forgiving`: a failure does not fail the build."""

    kind: str
    reference: Reference | None = None
    folder: str = ""
    whole: bool = False
    forgiving: bool = False

    @property
    def shown(self) -> str:
        return f"{self.kind} {self.reference.familiar if self.reference else self.folder}"


@dataclass(frozen=True, slots=True)
class CacheOrigin:
    """Kinds: "local", "registry", "image" (in the engine's own store, else at a registry), "here" (in the store alone)."""

    kind: str
    reference: Reference | None = None
    folder: str = ""

    @property
    def may_be_here(self) -> bool:
        return self.kind in ("image", "here")


def read_targets(wishes: Sequence[Fields]) -> list[CacheTarget]:
    """Raises Invalid, and Unsupported for what is not done."""
    return [_target(fields) for fields in wishes]


def read_origins(wishes: Sequence[Fields]) -> list[CacheOrigin]:
    """Raises as `read_targets`."""
    return [_origin(fields) for fields in wishes if fields.get("type") != "inline"]


def _target(fields: Fields) -> CacheTarget:
    kind = _kind(fields, "cache-to")
    mode = fields.get("mode", "min")
    if mode not in ("min", "max"):
        raise Invalid(f'invalid mode {mode!r} of --cache-to: "min" or "max"', reason="bad-cache-option")
    forgiving = _is_on(fields, "ignore-error", default=False)
    if kind == "inline":
        return CacheTarget(kind)
    if kind == "local":
        return CacheTarget(kind, None, _folder(fields, "dest", "cache-to"), mode == "max", forgiving)
    return CacheTarget(kind, _reference(fields, "cache-to"), "", mode == "max", forgiving)


def _origin(fields: Fields) -> CacheOrigin:
    kind = _kind(fields, "cache-from", ("registry", "local", "image", "here"))
    if kind == "local":
        return CacheOrigin(kind, None, _folder(fields, "src", "cache-from"))
    return CacheOrigin(kind, _reference(fields, "cache-from"))


def _kind(fields: Fields, flag: str, kinds: Sequence[str] = KINDS) -> str:
    kind = fields.get("type", "")
    if kind not in kinds:
        raise Unsupported(f"--{flag} type={kind} is not supported", reason="cache-kind", hint=f"one of {', '.join(kinds)}")
    if unknown := sorted(set(fields) - _KNOWN):
        raise Unsupported(f"--{flag} type={kind} with {unknown[0]}= is not supported", reason="cache-option")
    for name, made in _SWITCHES.items():
        if _is_on(fields, name, default=made) != made:
            raise Unsupported(f"--{flag} with {name}={fields[name]} is not supported", reason="cache-option")
    if fields.get("compression", "gzip") != "gzip":
        raise Unsupported(f"--{flag} with compression={fields['compression']} is not supported", reason="cache-option", hint="gzip")
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
        raise Invalid(f"{name}={fields[name]} is no absolute path", reason="bad-cache-option")
    return fields[name]


def _reference(fields: Fields, flag: str) -> Reference:
    if not fields.get("ref"):
        raise Invalid(f"--{flag} type={fields['type']} needs ref=REFERENCE", reason="bad-cache-option")
    return parse_reference(fields["ref"]).with_default_tag()
