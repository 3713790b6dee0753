"""What the options of a volume ask of mount(2), and what is said when it refuses: Docker 28.5's texts."""

import pytest

from corten.engine.localdriver import mount_volume, plan_mount
from corten.errors import EngineError
from corten.kernel.mount import MS_BIND, MS_NOATIME, MS_NODEV, MS_RDONLY, MS_REC, MS_SHARED

TARGET = "/var/lib/corten/volumes/v/_data"


@pytest.mark.parametrize(
    ("o", "flags", "data"),
    [
        ("addr=10.0.0.1,rw,nfsvers=4,soft,timeo=30", 0, "addr=10.0.0.1,nfsvers=4,soft,timeo=30"),
        ("ro,noatime,nodev,addr=10.0.0.1", MS_RDONLY | MS_NOATIME | MS_NODEV, "addr=10.0.0.1"),
        ("ro,rw", 0, ""),
        ("bind,ro", MS_BIND | MS_RDONLY, ""),
        ("rbind", MS_BIND | MS_REC, ""),
    ],
)
def test_flags_are_told_from_what_the_file_system_gets(o: str, flags: int, data: str) -> None:
    plan = plan_mount({"type": "nfs", "o": o, "device": ":/x"})
    assert (plan.flags, plan.data, plan.propagation) == (flags, data, 0)


def test_propagation_is_a_call_of_its_own() -> None:
    assert plan_mount({"type": "none", "o": "bind,rshared", "device": "/x"}).propagation == MS_SHARED | MS_REC


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("kind", "o", "device", "said"),
    [
        ("nfs", "addr=127.0.0.1,rw", ":/x", f"mount :/x:{TARGET}, data: addr=127.0.0.1: no such device"),
        ("nfs", "addr=localhost,rw,soft", ":/x", f"mount :/x:{TARGET}, data: addr=127.0.0.1,soft: no such device"),
        ("nfs", "addr=::1", ":/x", f"mount :/x:{TARGET}, data: addr=::1: no such device"),
        ("nfs", "addr=,rw", ":/x", f"mount :/x:{TARGET}, data: addr=: no such device"),
        ("nfs", "rw", "host:/x", f"mount host:/x:{TARGET}: no such device"),
        (
            "cifs", "username=u,password=p,w", "//localhost/a/b",
            f"mount //127.0.0.1/a/b:{TARGET}, data: username=u,password=********,w: no such device",
        ),
        ("cifs", "password=p,addr=localhost", "//h/a", f"mount //h/a:{TARGET}, data: password=********,addr=127.0.0.1: no such device"),
    ],
)  # fmt: skip
def test_what_is_said_when_the_kernel_does_not_know_it(kind: str, o: str, device: str, said: str) -> None:
    with pytest.raises(EngineError) as failure:
        mount_volume({"type": kind, "o": o, "device": device}, TARGET)
    assert failure.value.message.replace("no such file or directory", "no such device") == (
        f"error while mounting volume '{TARGET}': failed to mount local volume: {said}"
    )


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(EngineError) as failure:
        mount_volume({"type": "nfs", "o": "addr=a..b", "device": ":/x"}, TARGET)
    why = "error resolving passed in network volume address: lookup a..b: no such host"
    assert failure.value.message == f"error while mounting volume '{TARGET}': {why}"
