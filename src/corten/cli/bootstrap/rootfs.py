"""A root file system as a tar that is the same whenever it is made of the same packages.

mmdebstrap ─▶ tar ─▶ [read once: when was the newest package made?] ─▶ [written again: nothing is newer] ─▶ layer
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from typing import IO, BinaryIO, NamedTuple

from corten.cli.bootstrap.sources import Source, settings, without_secrets
from corten.cli.errors import Failure

SLIM = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/groff/*", "/usr/share/lintian/*")
KEPT = ("/usr/share/doc/*/copyright",)
"""What a slim image leaves out, and what of it licences demand."""
_MERGED = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"
"""Of mmdebstrap: suites that want a merged /usr get it at once; otherwise a program that needs all of Perl would do it (50 MB)."""
_MD5SUMS = re.compile(r"(?:\./)?var/lib/dpkg/info/[^/]+\.md5sums")
_APT_OPTIONS = "etc/apt/apt.conf.d/99mmdebstrap"
_CLEAN = b"""# Packages that were installed need no copy of their archive in an image.
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
_NO_SERVICES = b"#!/bin/sh\n# Services are not started while packages are installed: a container runs what it is told to.\nexit 101\n"
_ADDED = (("etc/apt/apt.conf.d/docker-clean", 0o644, _CLEAN), ("usr/sbin/policy-rc.d", 0o755, _NO_SERVICES))


class Wanted(NamedTuple):
    """`include`: packages beside the essential ones and apt."""

    suite: str
    slim: bool
    include: Sequence[str]
    sources: Sequence[Source]


def make_root(wanted: Wanted, path: str, *, quiet: bool) -> None:
    """Runs mmdebstrap, whose tar goes to `path`. Raises Failure, with its words on stderr before."""
    program = shutil.which("mmdebstrap")
    if program is None:
        raise Failure("mmdebstrap is not installed: it makes the image from Debian's packages.\nhint: apt-get install mmdebstrap")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(int(time.time()))}
    command = [program, *options(wanted, settings(), quiet=quiet), wanted.suite, path, *lines(wanted)]
    said = subprocess.PIPE if quiet else sys.stderr.fileno()
    done = subprocess.run(command, env=environment, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stderr.write((done.stdout or b"").decode(errors="replace")[-4000:])
        raise Failure(f"mmdebstrap failed with status {done.returncode}")


def options(wanted: Wanted, apt: Sequence[str], *, quiet: bool) -> list[str]:
    found = ["--variant=minbase", "--format=tar", *(["--quiet"] if quiet else [])]
    if wanted.include:
        found.append(f"--include={','.join(wanted.include)}")
    if os.path.isdir(_MERGED):
        found.append(f"--hook-dir={_MERGED}")
    if wanted.slim:
        found += [f"--dpkgopt=path-exclude={path}" for path in SLIM] + [f"--dpkgopt=path-include={path}" for path in KEPT]
    return found + [f"--aptopt={line}" for line in apt]


def lines(wanted: Wanted) -> list[str]:
    return [source.line for source in wanted.sources]


def newest_package(tar: tarfile.TarFile) -> int:
    """When the newest file that a package brought was made, in seconds since the epoch. Raises Failure when there is none."""
    times: dict[str, float] = {}
    brought: set[str] = set()
    for member in tar:
        times[_plain(member.name)] = member.mtime
        if _MD5SUMS.fullmatch(member.name) and (file := tar.extractfile(member)):
            brought.update(line.split("  ", 1)[1] for line in file.read().decode(errors="surrogateescape").splitlines() if "  " in line)
    newest = max((int(times[name]) for name in brought if name in times), default=0)
    if not newest:
        raise Failure("mmdebstrap made a root file system in which no package is installed")
    return newest


def write_layer(tar: tarfile.TarFile, out: BinaryIO, epoch: int) -> None:
    """The same files, none newer than `epoch`; what tells when or through which proxy they were fetched is left out."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as layer:
        for member in tar:
            if _plain(member.name) == _APT_OPTIONS:
                continue
            member.mtime = min(int(member.mtime), epoch)
            member.uname = member.gname = ""
            member.pax_headers = {k: v for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")}
            if not member.isreg():
                layer.addfile(member)
                continue
            file = tar.extractfile(member)
            assert file is not None
            changed = _changed(_plain(member.name), file, epoch)
            if changed is not None:
                member.size = len(changed)
            layer.addfile(member, io.BytesIO(changed) if changed is not None else file)
        for name, mode, data in _ADDED:
            entry = tarfile.TarInfo(f"./{name}")
            entry.mode, entry.mtime, entry.size = mode, epoch, len(data)
            layer.addfile(entry, io.BytesIO(data))


def _changed(name: str, file: IO[bytes], epoch: int) -> bytes | None:
    """New content for the few files that hold a day or a secret."""
    if name in ("etc/shadow", "etc/shadow-"):
        return b"".join(_shadow_lines(file.read(), epoch // 86400))
    if name == "etc/apt/sources.list" or name.startswith("etc/apt/sources.list.d/"):
        return without_secrets(file.read().decode()).encode()
    return None


def _shadow_lines(data: bytes, day: int) -> Iterator[bytes]:
    """The day of a password's last change is not the day on which the image was made."""
    for line in data.splitlines(keepends=True):
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit():
            fields[2] = b"%d" % day
        yield b":".join(fields)


def _plain(name: str) -> str:
    return name.removeprefix("./")
