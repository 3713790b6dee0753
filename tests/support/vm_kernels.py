"""The stock kernels of Debian's releases, downloaded once: the image and those modules that a virtual machine or Corten can want."""

import lzma
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.debian import CACHE, Archive

SUITES = ("bullseye", "bookworm", "trixie", "sid")
"""Debian 11 with Linux 5.10, 12 with 6.1, 13 with 6.12, and the newest."""
_PARTS = ("linux-image-", "linux-binary-", "linux-modules-")  # sid's image is split into several packages
_KEPT = ("net", "fs", "lib", "crypto", "arch", "mm", "security", "drivers/virtio", "drivers/block", "drivers/char", "drivers/net")
_LEFT_OUT = ("drivers/net/ethernet", "drivers/net/wireless", "drivers/net/usb", "drivers/net/can", "drivers/net/wan", "net/mac80211")


class Kernel(NamedTuple):
    """`modules` is laid out as /lib/modules/RELEASE, decompressed, with modprobe's indexes."""

    image: Path
    modules: Path

    @property
    def release(self) -> str:
        return self.modules.name


def fetch_kernel(suite: str, architecture: str = "amd64") -> Kernel:
    """The newest kernel of a Debian release. Raises OSError where it cannot be had."""
    archive = Archive(suite, architecture)
    archive.update()
    packages = archive.needs(f"linux-image-{architecture}", _PARTS)
    folder = CACHE / "vm" / f"{suite}-{architecture}-{zlib.crc32(repr((packages, _KEPT, _LEFT_OUT)).encode()):08x}"
    if not (folder / "vmlinuz").exists():
        with archive.unpacked(packages[1:]) as files:
            _keep(files, folder)
    return Kernel(folder / "vmlinuz", next((folder / "lib/modules").iterdir()))


def _keep(files: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        source = next(path for path in files.glob("**/lib/modules/*") if (path / "kernel").is_dir())
        kept = Path(work, "lib/modules", source.name)
        for path in source.glob("kernel/**/*.ko*"):
            name = str(path.relative_to(source / "kernel"))
            if name.startswith(_KEPT) and not name.startswith(_LEFT_OUT):
                _write_module(path, kept / "kernel" / name)
        for index in source.glob("modules.*"):
            shutil.copy(index, kept)
        subprocess.run([busybox(), "depmod", "-b", work, source.name], check=True)
        shutil.copy(next(files.glob("**/vmlinu[xz]*")), f"{work}/vmlinuz")
        folder.mkdir(exist_ok=True)
        for name in ("lib", "vmlinuz"):
            Path(work, name).rename(folder / name)


def _write_module(path: Path, target: Path) -> None:
    data = path.read_bytes()
    target = target.with_name(target.name.partition(".ko")[0] + ".ko")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)


def busybox() -> str:
    """A static busybox. Raises FileNotFoundError."""
    program = shutil.which("busybox")
    if program is None:
        raise FileNotFoundError("busybox (a static one: Debian's busybox-static or busybox) is needed to boot a machine")
    return program


def needs_of(module: bytes) -> list[str]:
    """The modules that must be loaded before this one, from its .modinfo section."""
    _, found, rest = module.partition(b"\0depends=")
    names = rest[: rest.index(b"\0")].decode() if found else ""
    return [name.replace("-", "_") for name in names.split(",") if name]


def module_order(kernel: Kernel, wanted: Sequence[str]) -> list[Path]:
    """The files of `wanted` and all they need, each after its needs. What is built into this kernel has none."""
    files = {path.stem.replace("-", "_"): path for path in kernel.modules.rglob("*.ko")}
    order: dict[str, Path] = {}

    def add(name: str) -> None:
        path = files.get(name)
        if name in order or path is None:
            return
        for need in needs_of(path.read_bytes()):
            add(need)
        order[name] = path

    add("crc32c_generic")  # libcrc32c asks for it by algorithm, not as a dependency
    for name in wanted:
        add(name)
    return list(order.values())


def make_initrd(init: str, guest: str, modules: Iterable[Path]) -> bytes:
    """A newc cpio archive with busybox, the two scripts and the modules as m/NAME.ko."""
    folders = [(name, b"", 0o40755) for name in ("bin", "m", "dev")]
    files = [
        ("bin/busybox", Path(busybox()).read_bytes(), 0o100755),
        ("init", init.encode(), 0o100755),
        ("guest.sh", guest.encode(), 0o100644),
    ]
    files += [(f"m/{path.name}", path.read_bytes(), 0o100644) for path in modules]
    return b"".join(_cpio_entry(number, *entry) for number, entry in enumerate([*folders, *files, ("TRAILER!!!", b"", 0)], 1))


def _cpio_entry(number: int, name: str, data: bytes, mode: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
