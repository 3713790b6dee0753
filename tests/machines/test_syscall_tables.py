"""The tables of system calls against the headers of Debian's newest kernel, for each architecture that a seccomp profile can name."""

import re

import pytest

from corten.kernel.syscalls import syscall_table
from tests.support.debian import Archive

pytestmark = [pytest.mark.slow, pytest.mark.privileged, pytest.mark.timeout(300)]
HEADERS = {
    "x86_64": ("amd64", ["unistd_64.h"]),
    "i386": ("i386", ["unistd_32.h"]),
    "aarch64": ("arm64", ["unistd_64.h"]),
    "arm": ("armhf", ["unistd-eabi.h", "unistd-common.h"]),
}
PRIVATE_TO_ARM = 0x0F0000


@pytest.mark.parametrize("machine", HEADERS)
def test_every_call_of_the_kernel_has_its_number(machine: str) -> None:
    architecture, names = HEADERS[machine]
    archive = Archive("sid", architecture)
    archive.update()
    with archive.unpacked(["linux-libc-dev"]) as files:
        texts = [path.read_text() for path in files.rglob("*.h") if path.name in names and _is_of(path.parts, machine)]
    assert texts
    theirs = dict(re.findall(r"^#define __NR_(\w+)\s+\(?(?:__NR_SYSCALL_BASE \+ )?(\d+)\)?$", "\n".join(texts), re.MULTILINE))
    ours = syscall_table(machine)
    assert {name: int(number) for name, number in theirs.items()} == {n: v for n, v in ours.items() if v < PRIVATE_TO_ARM and n in theirs}
    assert len(theirs) > 300


def _is_of(parts: tuple[str, ...], machine: str) -> bool:
    folder = {"x86_64": "x86", "i386": "x86", "aarch64": "arm64", "arm": "arm"}[machine]
    return any(part == folder or part.startswith((f"{machine}-linux", f"{folder}-linux")) for part in parts)
