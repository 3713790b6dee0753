"""Entitlements of RUN steps: BuildKit's rules for `--device` and `--allow device`."""

from collections.abc import Mapping, Sequence

import pytest

from corten.build.dockerfile import instructions as ins
from corten.build.steps.entitlements import DeviceEntitlements, check_allowed, check_entitlements, parse_device_entitlements
from corten.errors import EngineError, Invalid

KNOWN: dict[str, dict[str, str]] = {
    "free.example/dev=a": {"org.mobyproject.buildkit.device.autoallow": "true"},
    "gpu.example/gpu=0": {"org.mobyproject.buildkit.device.class": "gpu"},
    "gpu.example/gpu=1": {"org.mobyproject.buildkit.device.class": "gpu"},
    "other.example/dev=x": {"org.mobyproject.buildkit.device.autoallow": "nonsense"},
}


class Devices:
    def known(self) -> Mapping[str, Mapping[str, str]]:
        return KNOWN

    def targets(self, names: Sequence[str]) -> list[str]:
        return []


def run(*names: str, network: str = "", security: str = "") -> ins.Run:
    place = ins.SourceLocation(1, 1, "RUN x")
    flags = tuple(ins.DeviceFlag(name.removesuffix("!"), name.endswith("!")) for name in names)
    return ins.Run(place=place, command=ins.Command("x"), devices=flags, network=network, security=security)


def granted(names: Sequence[str], *given: str) -> list[str]:
    return [device for found in check_allowed(run(*names), given, Devices()) for device in found.devices]


def refused(names: Sequence[str], *given: str) -> str:
    with pytest.raises(EngineError) as caught:
        granted(names, *given)
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("gpu.example/gpu=1", ["gpu.example/gpu=1"]),
        ("gpu.example/gpu", ["gpu.example/gpu=0"]),
        ("gpu.example/gpu=*", ["gpu.example/gpu=0", "gpu.example/gpu=1"]),
        ("gpu", ["gpu.example/gpu=0", "gpu.example/gpu=1"]),
        ("gpu.example/gpu=7", []),
        ("", []),
    ],
)
def test_names(name: str, devices: list[str]) -> None:
    assert granted([name], "device") == devices


def test_leave() -> None:
    assert granted(["free.example/dev=a"]) == ["free.example/dev=a"]
    assert refused(["other.example/dev=x"]) == "device other.example/dev=x is requested by the build but not allowed"
    assert refused(["gpu"]) == "devices gpu.example/gpu=0, gpu.example/gpu=1 are requested by the build but not allowed"
    assert granted(["gpu"], "device=gpu.example/gpu=*") == ["gpu.example/gpu=0", "gpu.example/gpu=1"]
    assert "device gpu.example/gpu=1 is" in refused(["gpu"], "device=gpu.example/gpu=0")
    assert granted(["free.example/dev=a", "accel"], "device=gpu.example/gpu=1,alias=accel") == ["free.example/dev=a", "gpu.example/gpu=1"]


def test_what_is_missing() -> None:
    assert granted(["none.example/dev=a"]) == []
    assert refused(["none.example/dev=a!"]) == 'required device "none.example/dev=a" is not registered'
    assert refused(["accel!"], "device=none.example/dev=a,alias=accel") == 'required device "accel" is not registered'


def test_recipes_hold_kinds_not_serials() -> None:
    (one,) = check_allowed(run("gpu"), ["device"], Devices())
    assert one.cache_key == ("gpu", ("gpu.example/gpu",))


def test_network_and_privileges() -> None:
    for step, needed in ((run(network="host"), "network.host"), (run(security="insecure"), "security.insecure")):
        with pytest.raises(EngineError, match=f"{needed} is not allowed"):
            check_allowed(step, [], Devices())
        assert check_allowed(step, [needed], Devices()) == []


def test_entitlements() -> None:
    check_entitlements(["network.host", "device", "device=a/b=c", "device=a/b=c,alias=d"])
    assert parse_device_entitlements(["device=a/b=c", "device"]) == DeviceEntitlements(all=True)
    for text, says in {
        "foo": "unknown entitlement foo",
        "network.host=x": "unknown entitlement network.host=x",
        "device=a,b": 'invalid device config "b"',
        "device=a,b=c": 'unknown device config key "b"',
    }.items():
        with pytest.raises(Invalid, match=says):
            check_entitlements([text])
