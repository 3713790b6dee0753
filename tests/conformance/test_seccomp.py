"""linux.seccomp: filters for root and others, and notifications to an agent."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from corten.engine.spec.seccomp import default_profile
from corten.kernel.libc import MACHINE
from tests.conformance.harness import CAPABILITIES, IS_OURS, Bundle

pytestmark = pytest.mark.privileged


def refusing(*names: str, errno: int = 95) -> dict[str, Any]:
    rule = {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": errno}
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}


@pytest.mark.parametrize("no_new_privileges", [False, True])
@pytest.mark.parametrize("uid", [0, 1000])
def test_a_filter_holds(bundle: Bundle, no_new_privileges: bool, uid: int) -> None:
    bundle.process["user"] = {"uid": uid, "gid": uid}
    bundle.process["noNewPrivileges"] = no_new_privileges
    bundle.linux["seccomp"] = refusing("mkdir", "mkdirat")
    bundle.shell("grep Seccomp: /proc/self/status; mkdir /tmp/x")
    done = bundle.run()
    assert done.lines == ["Seccomp:\t2"]
    assert "not supported" in done.err


def test_dockers_default_profile(bundle: Bundle) -> None:
    bundle.linux["seccomp"] = default_profile(CAPABILITIES, MACHINE)
    bundle.shell("echo works; unshare -U true; mount -t tmpfs none /tmp; :")
    done = bundle.run().ok()
    assert done.lines == ["works"]
    assert done.err.count("not permitted") + done.err.count("permission denied") >= 2


def test_a_profile_that_refuses_almost_everything_after_exec_starts(bundle: Bundle) -> None:
    """Set-up calls that come late are few: a filter without setuid, chdir, mount does not break them."""
    if not IS_OURS:
        pytest.skip("runc installs it earlier")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.linux["seccomp"] = refusing("setuid", "setgid", "setgroups", "chdir", "mount", "unshare", "recvfrom", "recvmsg", "openat2")
    bundle.shell("echo works")
    assert bundle.run().ok().lines == ["works"]


def test_a_bad_profile(bundle: Bundle) -> None:
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_DANCE"}
    done = bundle.run()
    assert done.code != 0
    assert "SCMP_ACT_DANCE" in done.err


def test_notifications_go_to_the_agent(bundle: Bundle) -> None:
    path = Path(f"/tmp/corten-agent-{os.getpid()}")
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}
        bundle.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": str(path),
            "listenerMetadata": "meta",
            "syscalls": [rule],
        }
        bundle.process["args"] = ["sleep", "100"]
        bundle.start()
        connection, _ = listener.accept()
        with connection:
            data, fds, _, _ = socket.recv_fds(connection, 65536, 2)
        path.unlink()
        message = json.loads(data)
        assert message["fds"] == ["seccompFd"]
        assert message["metadata"] == "meta"
        assert message["state"]["id"] == bundle.id
        assert message["pid"] == bundle.state()["pid"] or not IS_OURS
        assert "seccomp" in os.readlink(f"/proc/self/fd/{fds[0]}")
        os.close(fds[0])
