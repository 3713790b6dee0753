"""The systemd manager's pure parts: unit names, properties, D-Bus marshalling."""

import pytest

from corten.kernel.cgroup import Hierarchies, open_cgroup
from corten.kernel.cgroup.dbus import marshal, split_signature, unmarshal
from corten.kernel.cgroup.systemd import parse_unit, slice_path, unit_properties


def test_units_and_slices() -> None:
    assert parse_unit("system.slice:corten:abc") == ("system.slice", "corten-abc.scope")
    assert parse_unit("::abc") == ("system.slice", "abc.scope")
    assert parse_unit("a.slice:x:b.slice") == ("a.slice", "b.slice")
    assert slice_path("-.slice") == ""
    assert slice_path("user.slice") == "/user.slice"
    assert slice_path("a-b-c.slice") == "/a.slice/a-b.slice/a-b-c.slice"
    for bad in ("a", "a--b.slice", "/a.slice", ".slice"):
        with pytest.raises(ValueError, match="invalid slice name"):
            slice_path(bad)
    for bad in ("/corten/abc", "a:b", "a:b:"):
        with pytest.raises(ValueError, match="must be slice:prefix:name"):
            parse_unit(bad)


def test_v1_is_refused() -> None:
    with pytest.raises(ValueError, match="needs cgroup v2"):
        open_cgroup("systemd", "a.slice:b:c", Hierarchies(1, {"cpu": "/sys/fs/cgroup/cpu"}, {}))


def test_limits_are_properties() -> None:
    assert unit_properties({"memory": {"limit": 10, "swap": -1}, "cpu": {"quota": -1, "period": 1000}, "pids": {"limit": -1}}) == [
        ("MemoryMax", ("t", 10)),
        ("MemorySwapMax", ("t", 2**64 - 1)),
        ("CPUQuotaPeriodUSec", ("t", 1000)),
        ("CPUQuotaPerSecUSec", ("t", 2**64 - 1)),
        ("TasksMax", ("t", 2**64 - 1)),
    ]
    assert unit_properties({"devices": []}) == []


def test_signatures_fall_apart_into_types() -> None:
    assert split_signature("ssa(sv)a(sa(sv))uau") == ["s", "s", "a(sv)", "a(sa(sv))", "u", "au"]


def test_values_lie_where_the_specification_puts_them() -> None:
    assert marshal("yu", [1, 2]) == b"\x01\0\0\0\x02\0\0\0"
    assert marshal("sb", ["ab", True]) == b"\x02\0\0\0ab\0\0\x01\0\0\0"
    assert marshal("at", [[]]) == b"\0\0\0\0\0\0\0\0"
    assert marshal("at", [[5]]) == b"\x08\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0"
    assert marshal("v", [("u", 7)]) == b"\x01u\0\0\x07\0\0\0"
    assert marshal("a(sv)", [[("k", ("s", "v"))]]) == b"\x12\0\0\0\0\0\0\0\x01\0\0\0k\0\x01s\0\0\0\0\x01\0\0\0v\0"


def test_bodies_come_apart_again() -> None:
    body = marshal("uoss", [3, "/job/3", "a.scope", "done"])
    assert unmarshal("uoss", body) == [3, "/job/3", "a.scope", "done"]
    assert unmarshal("sv", marshal("sv", ["x", ("u", 1)])) == ["x"]
