"""`--output`: where the result of a build goes besides the engine's images: archives, folders, registries. `delivering` brings it there."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from corten.cli.build.unsupported import check_option
from corten.cli.errors import Failure
from corten.cli.kinds import csv_fields

KINDS = ("docker", "oci", "tar", "local", "image", "registry", "cacheonly")
ARCHIVES = ("docker", "oci", "tar")
SWITCHES = (
    *("push", "tar", "unpack", "store", "oci-mediatypes", "rewrite-timestamp", "force-compression", "platform-split"),
    *("push-by-digest", "name-canonical"),
)
KEYS = ("type", "dest", "name", "compression", *SWITCHES)
REFUSED = ("annotation", "compression-level", "dangling-name-prefix", "mode")


class Output(NamedTuple):
    """`destination` "" is the engine itself, "-" stdout; `unpacked`: a folder for an archive's members; `split`: one for the platform."""

    kind: str
    destination: str
    names: tuple[str, ...] = ()
    push: bool = False
    unpacked: bool = False
    split: bool = False
    store: bool = True
    rewrite: bool | None = None  # rewrite-timestamp, where it was given

    @property
    def is_stored(self) -> bool:
        """The engine keeps the image."""
        return not self.destination and self.kind != "cacheonly" and self.store

    @property
    def is_elsewhere(self) -> bool:
        """Something has to be brought somewhere."""
        return bool(self.push or self.destination)


class ExportedImage(NamedTuple):
    """What went elsewhere: `name` with its tag and `digest` at a registry, or an archive's own `descriptor` of the image `image`."""

    name: str = ""
    digest: str = ""
    image: str = ""
    descriptor: Mapping[str, Any] = {}


def read_outputs(texts: Sequence[str], *, push: bool, load: bool, split: bool = False) -> list[Output]:
    """`type=KIND,dest=PATH,…`, a folder's path, or "-"; none at all: the engine's store. Raises Failure.

    `split`: a folder gets one for the platform unless it is said otherwise.
    """
    found = [_output(text, split=split) for text in texts]
    if push:
        found = [o._replace(push=True) if o.kind == "image" else o for o in found]
        if not any(o.push for o in found):
            found.append(Output("registry", "", (), push=True))
    if not found or (load and not any(o.is_stored for o in found)):
        found.append(Output("docker", ""))
    for output in found:
        _check_destination(output)
    return found


def stored_names(outputs: Sequence[Output], tags: Sequence[str]) -> list[str]:
    """The names that the image gets in the store: `--tag` goes before an output's own. Raises Failure for a push without a name."""
    names = [name for output in outputs if output.is_stored for name in tags or output.names]
    if any(output.push and not (tags or output.names) for output in outputs):
        raise Failure("ERROR: failed to build: tag is needed when pushing to registry")
    return list(dict.fromkeys(names))


def _output(text: str, *, split: bool) -> Output:
    if text == "-":
        return Output("tar", "-")
    fields = csv_fields(text)
    if fields == [text] and not text.startswith("type="):
        return Output("local", text, split=split)
    values = _values(fields)
    kind, destination = values.get("type", ""), values.get("dest", "")
    if not kind:
        raise Failure("ERROR: type is required for output")
    if kind not in KINDS:
        hint = f"one of {', '.join(KINDS)}"
        raise Failure(f'ERROR: failed to build: failed to solve: exporter "{kind}" could not be found\nhint: {hint}')
    switches = {key: _switch(key, values[key]) for key in SWITCHES if key in values}
    _check_compression(kind, destination, values.get("compression", ""))
    check_option(kind, destination, values, switches)
    unpacked = kind == "oci" and not switches.get("tar", True)
    if kind == "local" and not destination:
        raise Failure("ERROR: failed to build: dest is required for local exporter")
    if kind in ("tar", "oci") and not destination:
        destination = "-"
    names = tuple(filter(None, values.get("name", "").split(",")))
    push, split = kind == "registry" or switches.get("push", False), kind == "local" and switches.get("platform-split", split)
    return Output(kind, destination, names, push, unpacked, split, switches.get("store", True), switches.get("rewrite-timestamp"))


def _values(fields: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise Failure(f"ERROR: invalid value {field}")
        if key not in KEYS and key.partition(".")[0] not in REFUSED:
            raise Failure(f"--output: {key} is not supported\nhint: one of {', '.join(KEYS)}")
        found[key] = value
    return found


def _switch(key: str, text: str) -> bool:
    if text.lower() not in ("", "true", "1", "false", "0"):
        raise Failure(f"ERROR: invalid value {text!r} for {key} of --output: true or false")
    return text.lower() not in ("false", "0")


def _check_compression(kind: str, destination: str, wanted: str) -> None:
    made = "uncompressed" if destination else "gzip"
    if wanted not in ("", made):
        raise Failure(f"--output: type={kind} with compression={wanted} is not supported: such layers are written {made}")


def _check_destination(output: Output) -> None:
    where = output.destination
    is_folder = output.kind == "local" or output.unpacked
    if where == "-" and is_folder:
        raise Failure(f"ERROR: failed to build: dest cannot be stdout for {output.kind} exporter")
    if where == "-" and sys.stdout.isatty():
        raise Failure(f"ERROR: failed to build: dest file is required for {output.kind} exporter. refusing to write to console")
    if where in ("", "-"):
        return
    if is_folder and os.path.exists(where) and not os.path.isdir(where):
        raise Failure(f"ERROR: failed to build: destination directory {where} is a file")
    if not is_folder and os.path.isdir(where):
        raise Failure(f"ERROR: failed to build: destination file {where} is a directory")
    if not is_folder and not os.path.isdir(os.path.dirname(where) or "."):
        raise Failure(f"ERROR: failed to build: failed to open open {where}: no such file or directory")
