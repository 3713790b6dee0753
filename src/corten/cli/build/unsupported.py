"""Flags and options of `build` that are not supported: refused before anything is sent. A flag without effect is worse than none."""

import os
from collections.abc import Iterable, Mapping, Sequence

from corten.cli.errors import Failure
from corten.cli.flags import Values

BUILDERS = ("default", "corten")
ANNOTATED = ("", "manifest", "index", "manifest-descriptor", "index-descriptor")


def refuse_unsupported(values: Values) -> None:
    """Raises Failure."""
    if values.texts("security-opt"):
        raise Failure("--security-opt is not supported: security options are not supported on linux")
    if values.on("squash"):
        raise Failure("--squash is not supported: FROM scratch with one COPY --from= makes one layer of a stage")
    if values.texts("policy"):
        hint = "hint: pin images by digest (FROM NAME@sha256:…) and files by --checksum"
        raise Failure(f"--policy is not supported: Corten evaluates no policies about sources\n{hint}")
    if values.text("isolation") not in ("", "default"):
        raise Failure(f'--isolation: unsupported isolation: "{values.text("isolation")}"')
    check_builder(values.text("builder"))
    _refuse_annotations(values.texts("annotation"))
    for flag in ("iidfile", "metadata-file"):
        check_file(flag, values.text(flag))


def check_builder(name: str) -> None:
    """Raises Failure for another builder than the engine."""
    if name and name not in BUILDERS:
        raise Failure(f'ERROR: no builder "{name}" found\nhint: the engine is the builder; --context names another engine')


def _refuse_annotations(texts: Sequence[str]) -> None:
    for text in texts:
        key, equals, _ = text.partition("=")
        kind = key.rpartition(":")[0].partition("[")[0]
        if not equals or not key:
            raise Failure(f'ERROR: failed to build: parse annotations: invalid annotation "{text}", expected key=value')
        if kind not in ANNOTATED:
            raise Failure(f'ERROR: failed to build: parse annotations: unknown annotation type "{kind}"')
    if texts:
        reason = "the store keeps images, and no annotations of their manifests"
        raise Failure(f"--annotation is not supported: {reason}\nhint: --label stays with the image")


def check_file(flag: str, path: str) -> None:
    """A file that could not be written is told before the build, not after it. Raises Failure."""
    if not path:
        return
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise Failure(f"ERROR: --{flag}: invalid output path: stat {folder}: no such file or directory")
    if os.path.isdir(path):
        raise Failure(f"ERROR: --{flag}: invalid output path: {path} is a directory")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise Failure(f"ERROR: --{flag}: invalid output path: open {path}: permission denied")


def is_reproducible(values: Values, rewrites: Iterable[bool | None], *, has_epoch: bool) -> bool:
    """Whether a build without SOURCE_DATE_EPOCH is to be one, too. Raises Failure for an output that wants its files' times kept."""
    rewrites = set(rewrites)
    asked = values.on("reproducible") or values.on("check-reproducible") or True in rewrites
    if False in rewrites and (asked or has_epoch):
        reason = "in a reproducible build no file is newer than SOURCE_DATE_EPOCH or the base image"
        raise Failure(f"--output: rewrite-timestamp=false is not supported here: {reason}")
    return asked


def check_option(kind: str, destination: str, values: Mapping[str, str], switches: Mapping[str, bool]) -> None:
    """What an `--output` says of the form of its image, where that form is not the one that is written. Raises Failure."""
    reasons = {
        "annotation": "the store keeps images, and no annotations of their manifests",
        "compression-level": "layers are compressed at one level",
        "dangling-name-prefix": "an image without a tag has no name",
        "mode": "files that are in the folder already stay; empty it before",
    }
    for key in values:
        name = key.partition(".")[0] if key.startswith("annotation") else key
        if name in reasons and (key, values[key]) != ("mode", "copy"):
            raise Failure(f"--output: {key} is not supported: {reasons[name]}")
    oci = kind in ("oci", "docker") and bool(destination)
    wrong = {
        "push-by-digest": (True, "a push needs a tag"),
        "name-canonical": (True, "an image has its digest as a name once it is pushed"),
        "force-compression": (not destination, "layers that came from a registry are pushed as they came"),
        "oci-mediatypes": (not oci, "archives have OCI's media types, pushed images Docker's"),
    }
    for key, (value, reason) in wrong.items():
        if key in switches and switches[key] == value:
            raise Failure(f"--output: type={kind} with {key}={str(value).lower()} is not supported: {reason}")
    if switches.get("push") and (kind not in ("image", "registry", "docker") or destination):
        raise Failure(f"--output: type={kind} with push=true is not supported: type=registry pushes")
    if (switches.get("push") or kind == "registry") and not switches.get("store", True):
        raise Failure("--output: push=true with store=false is not supported: a push takes the image from the store")
