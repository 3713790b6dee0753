"""`--change` of import and commit: Dockerfile instructions applied to an image's config."""

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from corten.errors import Invalid
from corten.lazy import LazyModule
from corten.oci.image import RunConfig

if TYPE_CHECKING:
    from corten.build import imagestate, metadata
    from corten.build.dockerfile import instructions as ins
    from corten.build.dockerfile import lexer, parser
else:
    imagestate, metadata = LazyModule("corten.build.imagestate"), LazyModule("corten.build.metadata")
    ins, lexer, parser = (LazyModule(f"corten.build.dockerfile.{name}") for name in ("instructions", "lexer", "parser"))

_ALLOWED: Final = frozenset(
    ("CMD", "ENTRYPOINT", "HEALTHCHECK", "ENV", "EXPOSE", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR")
)


def apply_changes(config: RunConfig, changes: Sequence[str]) -> RunConfig:
    """`config` after `changes`, in order. Raises Invalid in Docker's words for a wrong one and for one that is not allowed here."""
    if not any(change.strip() for change in changes):
        return config
    now = imagestate.ImageState(key="", config=config)
    for line in lexer.lex("\n".join(changes)).lines:
        word = line.text.split(maxsplit=1)[0].upper()
        if word not in _ALLOWED:
            raise Invalid(f"{word} is not a valid change command", reason="bad-change", hint=f"allowed: {', '.join(sorted(_ALLOWED))}")
        now = _apply(now, parser.parse_line(line))
    return msgspec.structs.replace(now.config, args_escaped=config.args_escaped)


def _apply(now: "imagestate.ImageState", instruction: "ins.Instruction") -> "imagestate.ImageState":
    if isinstance(instruction, ins.Workdir):
        path = posixpath.normpath(posixpath.join("/", now.workdir, now.expander().word(instruction.path)))
        return now.with_config(working_dir=path)
    changed = metadata.apply_metadata(now, instruction, metadata.ArgValues({}, {}), "")
    assert changed is not None
    return replace(changed, history=())
