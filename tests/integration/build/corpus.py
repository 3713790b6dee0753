"""The corpus: small Dockerfiles with their contexts, as text, and what an engine makes of one, as plain values.

    === name                  a case; the next line may hold flags of `build` ("@/" in them is the context folder)
    --- PATH [mode|crlf|bom|nonl|xattr:NAME=VALUE]      a file of the context, then its lines; PATH/ is a folder
    --- PATH -> TARGET        a symbolic link
    --- PATH = tar[:gz|bz2|xz] | gzip | hardlink OTHER

What comes out is compared as `observed` gives it: every file that the base has not, with kind, mode, owner, content, links and
attributes; the config; the history. `expected.json` holds what BuildKit made; `python -m tests.integration.build.record HOST` renews it.
"""

import gzip
import hashlib
import io
import json
import os
import re
import shlex
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.images import add, busybox_tar

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.json"
OWN = {
    "syntax-directive-is-built-in": "BuildKit fetches the frontend from a registry",
    "escape-backtick": "BuildKit takes the escaped blank for a pattern that is broken",
    "brace-not-closed": "BuildKit prints a character that is none",
    "copy-chown-unknown": "the same files, and we warn",
    "copy-chown-unknown-group": "the same files, and we warn",
    "copy-chmod-bad-symbolic": "BuildKit says only `invalid syntax`",
    "copy-parents": "BuildKit's stable frontend has the flag only in -labs",
    "copy-from-variable": "we show the place, BuildKit none",
    "add-tar": "BuildKit needs an `xz` program for one of the four",
    "stages-target-by-number": "Docker's documentation allows a number",
    "from-platform-bad": "BuildKit shows the place twice",
    "run-exec-not-found": "the text is the runtime's",
    "run-network-host-needs-leave": "we show the place, BuildKit none",
    "run-security-needs-leave": "BuildKit's stable frontend has the flag only in -labs",
    "device-not-registered": "BuildKit's stable frontend has the flag only in -labs",
    "platform-foreign": "BuildKit asks a registry for an image that is only here",
    "check-flag-parse-error": "BuildKit prints its progress too",
}
"""Cases where we differ from BuildKit, and why: their expectations in the file are ours, looked over by hand."""
BASE = "corpus/base"
TIME = 1_500_000_000
_ENTRY = re.compile(r"--- (\S.*?)(?: (->|=) (.+)| (\d{4}|crlf|bom|nonl|xattr:\S+))?")


@dataclass(slots=True)
class Entry:
    path: str
    kind: str = ""  # "->", "=" or ""
    value: str = ""
    option: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        text = "".join(f"{line}\n" for line in self.lines)
        match self.option:
            case "crlf":
                text = text.replace("\n", "\r\n")
            case "bom":
                text = "\ufeff" + text
            case "nonl":
                text = text.removesuffix("\n")
        return text.encode()


@dataclass(slots=True)
class Case:
    name: str
    flags: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def arguments(self, folder: Path) -> list[str]:
        """The flags of `build`, paths in the context made absolute; `-f` too, which the CLIs look up from where they are."""
        found = [flag.replace("@/", f"{folder}/") for flag in self.flags]
        for n, flag in enumerate(found):
            if flag == "-f":
                found[n + 1] = f"{folder}/{found[n + 1]}"
        return found

    def write(self, folder: Path) -> None:
        for entry in self.entries:
            _write(entry, folder / entry.path)
        for path in sorted(folder.rglob("*"), reverse=True):
            os.utime(path, (TIME, TIME), follow_symlinks=False)


def base_tar() -> bytes:
    """busybox with the folders that every engine mounts over in a RUN."""
    with io.BytesIO(busybox_tar()) as out, tarfile.open(fileobj=out, mode="a") as tar:
        for name in ("dev", "proc", "sys", "run"):
            add(tar, name, kind=tarfile.DIRTYPE, mode=0o755)
        tar.close()
        return out.getvalue()


def cases() -> list[Case]:
    return [case for file in sorted((HERE / "cases").glob("*.txt")) for case in _parsed(file.read_text())]


def _parsed(text: str) -> Iterator[Case]:
    for block in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        case = Case(name.strip())
        for line in rest.split("\n")[:-1]:
            if match := _ENTRY.fullmatch(line):
                case.entries.append(Entry(match[1], match[2] or "", match[3] or "", match[4] or ""))
            elif case.entries:
                case.entries[-1].lines.append(line)
            else:
                case.flags += shlex.split(line)
        yield case


def _write(entry: Entry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.path.endswith("/"):
        path.mkdir(exist_ok=True)
    elif entry.kind == "->":
        path.symlink_to(entry.value)
        return
    elif entry.kind == "=":
        _make(entry.value, path)
    else:
        path.write_bytes(entry.content)
    if entry.option.startswith("xattr:"):
        name, _, value = entry.option.removeprefix("xattr:").partition("=")
        os.setxattr(path, name, value.encode())
    path.chmod(int(entry.option, 8) if entry.option.isdecimal() else 0o755 if path.is_dir() else 0o644)


def _make(recipe: str, path: Path) -> None:
    kind, _, rest = recipe.partition(" ")
    if kind == "hardlink":
        path.hardlink_to(path.parent / rest)
    elif kind == "gzip":
        path.write_bytes(gzip.compress(b"only text\n", mtime=0))
    else:
        path.write_bytes(_archive(kind.partition(":")[2]))


def _archive(compression: str) -> bytes:
    """A folder, a file, links of both kinds, a special mode, an owner."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as tar:  # type: ignore[call-overload]
        for name, kind, mode, link, content in (
            ("dir", tarfile.DIRTYPE, 0o750, "", b""),
            ("dir/script", tarfile.REGTYPE, 0o4755, "", b"#!/bin/sh\n"),
            ("file", tarfile.REGTYPE, 0o640, "", b"from the archive\n"),
            ("hard", tarfile.LNKTYPE, 0o640, "file", b""),
            ("soft", tarfile.SYMTYPE, 0o777, "dir/script", b""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.linkname, entry.size, entry.mtime = kind, mode, link, len(content), TIME
            entry.uid, entry.gid = 11, 12
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def observed(archive: bytes, base: bytes) -> dict[str, Any]:
    """An image from its `save` archive, without what the base image in `base` has as well."""
    config, files = _image(archive)
    base_config, base_files = _image(base)
    shown: dict[str, Any] = {name: text for name, text in sorted(files.items()) if base_files.get(name) != text}
    under = config.get("rootfs", {}).get("diff_ids", [])[: len(base_config["rootfs"]["diff_ids"])] == base_config["rootfs"]["diff_ids"]
    gone = sorted(set(base_files) - set(files)) if under else []
    history = [[h.get("created_by", ""), h.get("empty_layer", False)] for h in config.get("history") or []]
    found: dict[str, Any] = {"files": shown, "config": {k: v for k, v in sorted((config.get("config") or {}).items()) if v}}
    found["history"] = history[len(base_config.get("history") or []) :] if under else history
    for name in ("author", "architecture", "os"):
        if config.get(name):
            found[name] = config[name]
    return found | ({"gone": gone} if gone else {})


def _image(archive: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    files: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        manifest = json.loads(_member(outer, "manifest.json"))[0]
        config = json.loads(_member(outer, manifest["Config"]))
        for layer in manifest["Layers"]:
            _apply(_member(outer, layer), files)
    return config, files


def _member(outer: tarfile.TarFile, name: str) -> bytes:
    """Layers that are the same may be stored as links to each other."""
    file = outer.extractfile(name)
    assert file is not None, name
    return file.read()


def _apply(layer: bytes, files: dict[str, str]) -> None:
    fresh: dict[str, str] = {}
    if not layer.strip(b"\0"):
        return
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        for entry in tar:
            name = os.path.normpath(entry.name.lstrip("/"))
            folder, leaf = os.path.split(name)
            if leaf == ".wh..wh..opq":
                _forget(files, folder, itself=False)
            elif leaf.startswith(".wh."):
                _forget(files, os.path.join(folder, leaf[4:]), itself=True)
            elif name != ".":
                if not entry.isdir():
                    _forget(files, name, itself=True)
                fresh[name] = fresh[os.path.normpath(entry.linkname)] if entry.islnk() else _shown(tar, entry)
    files |= fresh


def _forget(files: dict[str, str], name: str, *, itself: bool) -> None:
    for known in [n for n in files if n.startswith(f"{name}/") or (itself and n == name)]:
        del files[known]


def _shown(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    kind = {
        tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link",
        tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block",
    }[entry.type]  # fmt: skip
    mode = "" if kind == "link" else f" {entry.mode & 0o7777:o}"
    text = f"{kind}{mode} {entry.uid}:{entry.gid}"
    if kind == "link":
        text += f" -> {entry.linkname}"
    elif kind in ("char", "block"):
        text += f" {entry.devmajor},{entry.devminor}"
    elif kind == "file":
        file = tar.extractfile(entry)
        content = file.read() if file else b""
        short = len(content) <= 200 and content.isascii()
        text += f" {content.decode()!r}" if short else f" {len(content)} bytes {hashlib.sha256(content).hexdigest()[:16]}"
    for key, value in sorted(entry.pax_headers.items()):
        if key.startswith("SCHILY.xattr."):
            text += f" [{key.removeprefix('SCHILY.xattr.')}={value!r}]"
    return text


_TIMED = re.compile(r"^\d+\.\d{1,3} ", re.MULTILINE)


def shown_error(said: str, folder: str) -> str:
    """The end of what a failed `build` prints to stderr: the failed step's output, the excerpt, the message."""
    text = said.replace("\r\n", "\n")
    starts = [m.start() for m in re.finditer(r"^(?:------|\S+:\d+)\n(?: > |-{20})|^ERROR: |^\[.*warning", text, re.MULTILINE)]
    text = text[min(starts) :] if starts else text
    text = re.sub(r"\n\nView build details:.*", "", text, flags=re.DOTALL).replace(folder, "CONTEXT")
    text = re.sub(r"of ref [\w-]+::\w+", "of the sources", text)
    text = re.sub(r"/\S+/overlay2/\w+/merged", "", text)
    text = re.sub(r"\n \x1b\[33m\d+ warnings? found.*?(?=^\S+:\d+$)", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"sha256:[0-9a-f]{64}", "sha256:DIGEST", text)
    text = re.sub(r"\nhint: .*", "", text, flags=re.DOTALL)  # ours alone
    text = _TIMED.sub("", text).replace("\n/bin/sh: ", "\n")  # buildx leaves the shell's name out
    shown, rule, place = text.strip().partition("\n------\n")
    step, _, output = shown.partition(":\n")
    return f"{step}:\n{chr(10).join(sorted(output.splitlines()))}{rule}{place}" if rule and output else text.strip()


def shown_check(said: str, folder: str) -> str:
    """What `build --check` prints, from its first complaint on."""
    start = re.search(r"^(WARNING: |Check complete|Dockerfile:)", said, re.MULTILINE)
    return said[start.start() if start else 0 :].replace(f"{folder}/", "").replace(folder, "CONTEXT").strip()


def shown_warnings(said: str) -> list[str]:
    """The checks that a `build` complains of; BuildKit's order is not the same each time."""
    return sorted(m[1] for m in re.finditer(r"^(?:\x1b\[0m)? - (\w+: .*\(line \d+\))$", said, re.MULTILINE))
