"""NVIDIA's CUDA libraries by the version in their SONAME: wheels, tarballs and packages bring them, and only the file itself is sure."""

import os
import re
import struct
from collections.abc import Iterator
from typing import Final

from corten.engine.build.inventory.rootfs import Component, ScannedRoot

_CUDA: Final = re.compile(
    r"lib(?:cuda|cudart|cublas|cublasLt|cudnn\w*|cufft\w*|curand|cusolver\w*|cusparse\w*|nccl|nvrtc|nvrtc-builtins|nvJitLink|nvinfer\w*|"
    r"nvonnxparser|cupti|cufile|cutensor\w*|nvToolsExt|npp\w+|nvjpeg|nvshmem\w*|nvidia-ml)\.so(?:\.([0-9][0-9.]*))?"
)
_LOAD, _DYNAMIC, _STRTAB, _SONAME = 1, 2, 5, 14
_MOST_HEADERS: Final = 256
_LONGEST_DYNAMIC: Final = 64 << 10


def is_library(name: str) -> bool:
    return ".so" in name and _CUDA.fullmatch(name) is not None


def library(root: ScannedRoot, path: str) -> Component | None:
    """The library at `path`; None for a link, a stub without SONAME and what is no ELF file."""
    try:
        fd = root.open(path, follow=False)
    except OSError:
        return None
    try:
        soname = read_soname(fd)
    except (OSError, struct.error, ValueError):
        return None
    finally:
        os.close(fd)
    if not soname:
        return None
    match = _CUDA.fullmatch(path.rpartition("/")[2])
    of_file, of_soname = match[1] if match else "", soname.partition(".so.")[2]
    longer = of_file if of_file and of_file.startswith(of_soname) else of_soname
    return Component(kind="LIBRARY", name=soname.partition(".so")[0], version=longer, where=f"/{path}", note=f"SONAME {soname}")


def read_soname(fd: int) -> str:
    """DT_SONAME of a 64-bit little-endian ELF file, "" for none. Raises ValueError, OSError, struct.error for what is no such file."""
    head = os.pread(fd, 64, 0)
    if head[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF file")
    (offset,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
    if size < 56 or count > _MOST_HEADERS:
        raise ValueError("odd program headers")
    table = os.pread(fd, size * count, offset)
    segments = [struct.unpack_from("<IIQQQQ", table, size * number) for number in range(count)]
    loaded = [(address, length, at) for kind, _, at, address, _, length in segments if kind == _LOAD]
    for kind, _, at, _, _, length in segments:
        if kind == _DYNAMIC:
            return _soname(fd, os.pread(fd, min(length, _LONGEST_DYNAMIC), at), loaded)
    return ""


def _soname(fd: int, dynamic: bytes, loaded: list[tuple[int, int, int]]) -> str:
    entries = dict(_entries(dynamic))
    if _SONAME not in entries or _STRTAB not in entries:
        return ""
    strings = entries[_STRTAB]
    for address, length, at in loaded:
        if address <= strings < address + length:
            place = at + strings - address + entries[_SONAME]
            return os.pread(fd, 256, place).partition(b"\0")[0].decode(errors="replace")
    return ""


def _entries(dynamic: bytes) -> Iterator[tuple[int, int]]:
    for tag, value in struct.iter_unpack("<QQ", dynamic[: len(dynamic) // 16 * 16]):
        if tag == 0:
            return
        yield tag, value
