"""A volume of `type=nfs`, by Debian's kernel as server and client in one machine. Runs in the virtual machine that `test_nfs` boots.

The kernel's server needs no program: what mountd would answer is written into its caches beforehand. That is NFS 4; version 3, for which
the client asks unless `nfsvers=` says otherwise, needs rpcbind and mountd.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.engine.localdriver import mount_volume, unmount_volume
from corten.errors import EngineError
from corten.kernel.mount import mount
from corten.kernel.mountpoint import is_mount_point

pytestmark = pytest.mark.privileged
EXPORT = Path("/run/export")
FOR_EVER = 2147483647
_INSECURE_PORT, _NO_SUBTREE_CHECK, _FSID = 0x2, 0x400, 0x2000  # linux/nfsd/export.h


@pytest.fixture(scope="module")
def server() -> None:
    EXPORT.mkdir()
    mount("export", str(EXPORT), "tmpfs", 0, None)
    (EXPORT / "models").mkdir()
    mount("nfsd", "/proc/fs/nfsd", "nfsd", 0, None)
    tell("/proc/fs/nfsd/versions", "-3 +4 +4.1 +4.2\n")
    tell("/proc/net/rpc/auth.unix.ip/channel", f"nfsd 127.0.0.1 {FOR_EVER} here\n")
    tell("/proc/net/rpc/nfsd.fh/channel", f"here 1 \\x00000000 {FOR_EVER} {EXPORT}\n")
    flags = _INSECURE_PORT | _NO_SUBTREE_CHECK | _FSID
    tell("/proc/net/rpc/nfsd.export/channel", f"here {EXPORT} {FOR_EVER} {flags} 65534 65534 0\n")
    tell("/proc/fs/nfsd/nfsv4leasetime", "10\n")
    tell("/proc/fs/nfsd/nfsv4gracetime", "10\n")  # for so long the first file waits for clients of an earlier server
    tell("/proc/fs/nfsd/threads", "2\n")


def tell(path: str, text: str) -> None:
    """In one write: each is a record of its own."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


@pytest.fixture
def target(server: None, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "_data"
    folder.mkdir()
    yield folder
    unmount_volume(str(folder))


@pytest.mark.parametrize("options", ["addr=127.0.0.1,rw,nfsvers=4.2", "addr=localhost,nfsvers=4.1,hard,timeo=600,noatime"])
def test_an_export_as_a_volume(target: Path, options: str) -> None:
    mount_volume({"type": "nfs", "o": options, "device": ":/models"}, str(target))
    assert is_mount_point(str(target))
    (target / "weights").write_bytes(b"w" * 100_000)
    os.chown(target / "weights", 1000, 1000)
    assert (EXPORT / "models" / "weights").read_bytes() == b"w" * 100_000
    assert (EXPORT / "models" / "weights").stat().st_uid == 1000
    mount_volume({"type": "nfs", "o": options, "device": ":/models"}, str(target))  # a second container: nothing to do
    unmount_volume(str(target))
    assert list(target.iterdir()) == []


def test_an_export_that_is_only_read(target: Path) -> None:
    mount_volume({"type": "nfs4", "o": "addr=localhost,ro", "device": "localhost:/models"}, str(target))
    with pytest.raises(OSError, match="Read-only file system"):
        (target / "new").touch()


def test_what_the_server_does_not_export(target: Path) -> None:
    with pytest.raises(EngineError) as failure:
        mount_volume({"type": "nfs", "o": "addr=localhost,rw,nfsvers=4.2", "device": ":/nosuch"}, str(target))
    what = f"mount :/nosuch:{target}, data: addr=127.0.0.1,nfsvers=4.2: no such file or directory"
    assert failure.value.message == f"error while mounting volume '{target}': failed to mount local volume: {what}"
    assert not is_mount_point(str(target))
