"""Root file systems made on the spot, as tars: no registry is needed."""

import functools
import io
import subprocess
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nuser:x:1000:1000::/home/user:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\nusers:x:100:user\nuser:x:1000:\n"


@functools.cache
def busybox_tar() -> bytes:
    """/bin/busybox with a link for each applet, /etc/{passwd,group}, and the usual directories. About 2 MB."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for directory, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("home", 0o755), ("var", 0o755)):
            add(tar, directory, kind=tarfile.DIRTYPE, mode=mode)
        add(tar, "home/user", kind=tarfile.DIRTYPE, uid=1000)
        add(tar, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for applet in applets():
            if applet != "busybox":
                add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        add(tar, "etc/passwd", PASSWD.encode())
        add(tar, "etc/group", GROUP.encode())
    return buffer.getvalue()


def applets() -> list[str]:
    return subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()


def add(
    tar: tarfile.TarFile, name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, uid: int = 0, link: str = ""
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.uid, entry.gid, entry.linkname = kind, mode, uid, uid, link
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
