"""`--change` of import and commit: Dockerfile instructions applied to an image's config."""

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec

from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.lexer import lex
from corten.build.dockerfile.parser import parse_line
from corten.build.draft import Draft
from corten.build.metadata import ArgValues, apply_metadata
from corten.errors import Invalid
from corten.oci.image import RunConfig

_ALLOWED: Final = frozenset(
    ("CMD", "ENTRYPOINT", "HEALTHCHECK", "ENV", "EXPOSE", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR")
)
_NO_ARGS: Final = ArgValues({}, {})


def apply_changes(config: RunConfig, changes: Sequence[str]) -> RunConfig:
    """`config` after `changes`, in order. Raises Invalid in Docker's words for a wrong one and for one that is not allowed here."""
    draft = Draft(key="", config=config)
    for line in lex("\n".join(changes)).lines if any(change.strip() for change in changes) else ():
        word = line.text.split(maxsplit=1)[0].upper()
        if word not in _ALLOWED:
            raise Invalid(f"{word} is not a valid change command", reason="bad-change", hint=f"allowed: {', '.join(sorted(_ALLOWED))}")
        draft = _apply(draft, parse_line(line))
    return msgspec.structs.replace(draft.config, args_escaped=config.args_escaped)


def _apply(draft: Draft, instruction: ins.Instruction) -> Draft:
    if isinstance(instruction, ins.Workdir):
        path = posixpath.normpath(posixpath.join("/", draft.workdir, draft.expander().word(instruction.path)))
        return draft.with_config(working_dir=path)
    changed = apply_metadata(draft, instruction, _NO_ARGS, "")
    assert changed is not None
    return replace(changed, history=())
