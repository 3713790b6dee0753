"""Control groups for real, whichever version this machine has: the same suite runs on v1 here and on v2 in a virtual machine."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from corten.kernel.cgroup import Cgroup, Resources, detect, enter, open_cgroup
from tests.support.forked import forked

pytestmark = pytest.mark.privileged
T = TypeVar("T")

PARENT = f"/corten-test-{os.getpid()}"
DENY_ALL = {"allow": False, "access": "rwm"}
NULL = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}


@pytest.fixture
def cgroup() -> Iterator[Cgroup]:
    """A cgroup that is not made yet; whatever is left of it afterwards is a failure."""
    hierarchies = detect()
    made = open_cgroup("cgroupfs", f"{PARENT}/box", hierarchies)
    yield made
    made.kill_all()
    made.delete()
    for root in hierarchies.roots.values():
        assert not os.path.exists(f"{root}{PARENT}/box")
        if os.path.exists(f"{root}{PARENT}"):
            os.rmdir(f"{root}{PARENT}")


def inside(cgroup: Cgroup, body: Callable[[], T]) -> T:
    """What `body` returns in a child that put itself into the cgroup."""
    fds = cgroup.entry_fds()

    def run() -> T:
        enter(cgroup.version, fds)
        return body()

    try:
        return forked(run)
    finally:
        for fd in fds:
            os.close(fd)


def start(cgroup: Cgroup, body: Callable[[], Any]) -> int:
    """A child in the cgroup that goes on; its pid once it is inside."""
    fds = cgroup.entry_fds()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            enter(cgroup.version, fds)
            os.write(writing, b"x")
            body()
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    for fd in (reading, *fds):
        os.close(fd)
    return pid


def open_error(path: str) -> int:
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        return error.errno or -1
    return 0


def test_a_process_enters_is_seen_and_leaves_nothing(cgroup: Cgroup) -> None:
    cgroup.create({})
    pid = start(cgroup, signal.pause)
    try:
        assert cgroup.pids() == [pid]
        again = open_cgroup("cgroupfs", f"{PARENT}/box")
        assert again.pids() == [pid]
        assert again.paths() == cgroup.paths()
        assert again.stats()["pids_current"] == 1
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert cgroup.pids() == []


def test_a_process_is_in_every_hierarchy_of_this_machine(cgroup: Cgroup) -> None:
    """Whether a limit asks for it or not: those of a parent must reach it, and whoever looks it up must find it."""
    cgroup.create({})
    own = inside(cgroup, lambda: Path("/proc/self/cgroup").read_text())
    places = dict(line.split(":", 2)[1:] for line in own.splitlines())
    unused = {""} if cgroup.version == 1 else set()  # the empty v2 tree beside v1
    assert {name for name, place in places.items() if not place.endswith(f"{PARENT}/box")} == unused & places.keys()


def test_another_process_is_moved_in(cgroup: Cgroup) -> None:
    cgroup.create({"pids": {"limit": 10}})
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        cgroup.add(pid)
        assert cgroup.pids() == [pid]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    cgroup.add(pid)  # gone meanwhile: nothing happens


def test_memory_beyond_the_limit_is_not_to_be_had(cgroup: Cgroup) -> None:
    cgroup.create({"memory": {"limit": 32 << 20, "swap": 32 << 20}})
    assert cgroup.stats()["memory_limit"] == 32 << 20
    pid = start(cgroup, lambda: bytearray(64 << 20))
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert cgroup.oom_kills() == 1
    assert cgroup.stats()["oom_kills"] == 1


def test_memory_limits_move_both_ways(cgroup: Cgroup) -> None:
    cgroup.create({"memory": {"limit": 32 << 20, "swap": 48 << 20}})
    for limit, swap in ((64 << 20, 96 << 20), (16 << 20, 16 << 20), (128 << 20, -1), (-1, -1)):
        cgroup.apply({"memory": {"limit": limit, "swap": swap}})
        assert cgroup.stats()["memory_limit"] == max(limit, 0)


def fork_until_refused() -> tuple[int, int]:
    children: list[int] = []
    try:
        while len(children) < 50:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
        return len(children), 0
    except OSError as error:
        return len(children), error.errno or -1
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_processes_beyond_the_limit_are_refused(cgroup: Cgroup) -> None:
    cgroup.create({"pids": {"limit": 5}})
    assert inside(cgroup, fork_until_refused) == (4, errno.EAGAIN)
    cgroup.apply({"pids": {"limit": 3}})
    assert inside(cgroup, fork_until_refused) == (2, errno.EAGAIN)
    cgroup.apply({"pids": {"limit": -1}})
    assert inside(cgroup, fork_until_refused) == (50, 0)


def test_a_limit_reaches_those_already_inside(cgroup: Cgroup) -> None:
    cgroup.create({})
    pid = start(cgroup, signal.pause)
    try:
        cgroup.apply({"pids": {"limit": 7}, "cpu": {"quota": 50_000, "period": 100_000, "shares": 512}})
        stats = cgroup.stats()
        assert (stats["pids_current"], stats["pids_limit"]) == (1, 7)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_devices_are_denied_but_those_allowed(cgroup: Cgroup) -> None:
    cgroup.create({"devices": [DENY_ALL, NULL]})
    assert inside(cgroup, lambda: [open_error(f"/dev/{name}") for name in ("null", "zero")]) == [0, errno.EPERM]
    cgroup.apply({"devices": [DENY_ALL, NULL | {"minor": 5}, NULL, NULL | {"allow": False, "access": "w"}]})
    assert inside(cgroup, lambda: [open_error(f"/dev/{name}") for name in ("null", "zero")]) == [errno.EPERM, 0]
    cgroup.apply({"devices": [{"allow": True, "access": "rwm"}]})
    assert inside(cgroup, lambda: [open_error(f"/dev/{name}") for name in ("null", "zero")]) == [0, 0]


def test_an_empty_policy_allows_every_device(cgroup: Cgroup) -> None:
    cgroup.create({"devices": [DENY_ALL, {"allow": True, "access": "rwm"}]})
    assert inside(cgroup, lambda: open_error("/dev/zero")) == 0


def test_frozen_processes_stand_still_and_can_be_killed(cgroup: Cgroup) -> None:
    cgroup.create({})
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def tick() -> None:
        while True:
            os.write(writing, b".")
            time.sleep(0.001)

    pid = start(cgroup, tick)
    os.close(writing)
    try:
        cgroup.freeze()
        read_all(reading)
        time.sleep(0.05)
        assert read_all(reading) == b""
        cgroup.thaw()
        deadline = time.monotonic() + 5
        while not read_all(reading) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert time.monotonic() < deadline
        cgroup.freeze()
        cgroup.kill_all()
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(reading)
    assert os.WTERMSIG(status) == signal.SIGKILL


def read_all(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def fork_thrice() -> None:
    for _ in range(3):
        os.fork()
    signal.pause()


def test_all_are_killed(cgroup: Cgroup) -> None:
    cgroup.create({})
    pid = start(cgroup, fork_thrice)
    deadline = time.monotonic() + 5
    while len(cgroup.pids()) < 8 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(cgroup.pids()) == 8
    cgroup.kill_all()
    os.waitpid(pid, 0)
    cgroup.delete()
    assert cgroup.pids() == []


def test_a_signal_reaches_all(cgroup: Cgroup) -> None:
    cgroup.create({})
    pid = start(cgroup, signal.pause)
    cgroup.kill_all(signal.SIGTERM)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGTERM


def test_children_of_the_cgroup_go_with_it(cgroup: Cgroup) -> None:
    cgroup.create({})
    for directory in set(cgroup.paths().values()):
        os.makedirs(f"{directory}/one/two")
    cgroup.delete()
    cgroup.delete()
    assert not any(os.path.exists(directory) for directory in cgroup.paths().values())


def test_cpus_can_be_chosen(cgroup: Cgroup) -> None:
    cgroup.create({"cpu": {"cpus": "0", "mems": "0"}})
    assert inside(cgroup, lambda: os.sched_getaffinity(0)) == {0}


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_cpu_time_is_counted_and_throttled(cgroup: Cgroup) -> None:
    cgroup.create({"cpu": {"quota": 10_000, "period": 50_000, "shares": 1024}})
    inside(cgroup, lambda: spin(0.05))
    stats = cgroup.stats()
    assert stats["cpu_total"] >= 50_000_000
    assert stats["throttled_periods"] > 0
    assert stats["throttled_time"] > 0


def test_memory_use_is_counted(cgroup: Cgroup) -> None:
    cgroup.create({})

    def grow() -> None:
        _ = bytearray(b"x" * (8 << 20))
        signal.pause()

    pid = start(cgroup, grow)
    try:
        deadline = time.monotonic() + 5
        while cgroup.stats()["memory_usage"] < 8 << 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        stats = cgroup.stats()
        assert stats["memory_usage"] >= 8 << 20
        assert stats["memory_limit"] == 0
        assert "inactive_file" in stats["memory_stat"]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("resources", [{"cpu": {"cpus": "900"}}, {"cpu": {"quota": 10}}])
def test_a_refused_limit_leaves_nothing(cgroup: Cgroup, resources: Resources) -> None:
    with pytest.raises(OSError, match="writing"):
        cgroup.create(resources)
    assert not any(os.path.exists(directory) for directory in cgroup.paths().values())
