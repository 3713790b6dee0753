"""CDI specifications: what they say, and what is refused. Texts in quotes are those of Docker 28.5's `info`."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.engine.devices.cdi import VERSIONS, Edits, SpecError, annotations_of, merged, name_of, parse_spec

WHOLE = """
cdiVersion: "0.7.0"
kind: vendor.example/dev
annotations: {class: x, both: spec}
containerEdits:
  env: [SPEC=1]
devices:
- name: 0
  annotations: {both: device, flag: true}
  containerEdits:
    deviceNodes:
    - {path: /dev/a, hostPath: /dev/null, permissions: r, fileMode: 0640, uid: 3, gid: 4}
    mounts:
    - {hostPath: /etc/hostname, containerPath: /opt/x, options: [ro, bind], type: none}
    hooks:
    - {hookName: createContainer, path: /bin/true, args: [true-ish], timeout: 3}
    additionalGids: [5]
    intelRdt: {closID: a, l3CacheSchema: b, memBwSchema: c}
"""


def small(**changes: Any) -> dict[str, Any]:
    device = {"name": "x", "containerEdits": {"env": ["A=1"]}}
    return {"cdiVersion": "0.6.0", "kind": "vendor.example/dev", "devices": [device]} | changes


def refused(text: str | bytes, *, yaml: bool = True) -> str:
    with pytest.raises(SpecError) as caught:
        parse_spec(text.encode() if isinstance(text, str) else text, yaml=yaml)
    return str(caught.value)


def with_device(name: str = "x", **edits: Any) -> str:
    return json.dumps(small(cdiVersion="1.1.0", devices=[{"name": name, "containerEdits": edits}]))


def test_everything() -> None:
    spec = parse_spec(WHOLE.encode(), yaml=True)
    (device,) = spec.devices
    (node,), (mount,), (hook,) = device.container_edits.device_nodes, device.container_edits.mounts, device.container_edits.hooks
    assert (name_of(device), node.host_path, node.file_mode, node.uid, node.gid) == ("0", "/dev/null", 0o640, 3, 4)
    assert (mount.container_path, mount.options, hook.args, hook.timeout) == ("/opt/x", ("ro", "bind"), ("true-ish",), 3)
    assert device.container_edits.intel_rdt is not None
    assert (device.container_edits.additional_gids, device.container_edits.intel_rdt.clos_id) == ((5,), "a")
    assert annotations_of(spec, device) == {"class": "x", "both": "device", "flag": "true"}


def test_keys_in_any_case_and_nulls() -> None:
    text = '{"CDIVERSION": "v0.3.0", "kind": "a/b", "Devices": [{"Name": "x", "annotations": null, "containeredits": {"ENV": ["A=1"]}}]}'
    assert parse_spec(text.encode(), yaml=False).devices[0].container_edits == Edits(env=("A=1",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no Spec data"),
        ("{bad", "failed to unmarshal CDI Spec: yaml:"),
        ("[]", "failed to unmarshal CDI Spec: Expected `object`"),
        ("- " * 5000, "failed to unmarshal CDI Spec: yaml:"),
        ("a: " * 500, "failed to unmarshal CDI Spec"),
        (json.dumps(small(foo=1)), "unknown field `foo`"),
        (json.dumps(small(cdiVersion="9.3.0")), 'invalid CDI Spec: invalid version "9.3.0"'),
        (json.dumps(small(kind="vendor")), "invalid CDI Spec: invalid vendor. empty name"),
        (json.dumps(small(kind="ven/dor/x")), "invalid CDI Spec: invalid class."),
        (json.dumps(small(kind="1vendor/x")), "invalid CDI Spec: invalid vendor."),
        (json.dumps(small(devices=[])), "invalid CDI Spec: invalid spec, no devices"),
        (json.dumps(small(devices=[{"name": "x"}])), 'failed add device "x": invalid device, empty device edits'),
        (json.dumps(small(devices=small()["devices"] * 2)), 'invalid spec, multiple device "x"'),
        (with_device("-x", env=["A=1"]), 'failed add device "-x": invalid device name'),
        (with_device(env=["A"]), 'invalid environment variable "A"'),
        (with_device(deviceNodes=[{"path": ""}]), "invalid (empty) device path"),
        (with_device(deviceNodes=[{"path": "/dev/x", "permissions": "rx"}]), 'device "/dev/x": invalid permissions "rx"'),
        (with_device(deviceNodes=[{"path": "/dev/x", "type": "z"}]), "Invalid enum value 'z'"),
        (with_device(deviceNodes=[{"path": "/dev/x", "major": "1"}]), "Expected `int`"),
        (with_device(hooks=[{"hookName": "later", "path": "/x"}]), 'invalid hook name "later"'),
        (with_device(hooks=[{"hookName": "prestart"}]), 'invalid hook "prestart" with empty path'),
        (with_device(mounts=[{"hostPath": "/x"}]), "invalid mount, empty container path"),
        (with_device(additionalGids=[-1]), "invalid additional group id"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    assert says in refused(text)


@pytest.mark.parametrize(
    ("since", "changes"),
    [
        ("0.4.0", {"containerEdits": {"mounts": [{"hostPath": "/a", "containerPath": "/b", "type": "none"}]}}),
        ("0.5.0", {"containerEdits": {"deviceNodes": [{"path": "/a", "hostPath": "/b"}]}}),
        ("0.5.0", {"devices": [{"name": "0x", "containerEdits": {"env": ["A=1"]}}]}),
        ("0.6.0", {"annotations": {"a": "b"}}),
        ("0.6.0", {"kind": "vendor/a.b"}),
        ("0.7.0", {"containerEdits": {"additionalGids": [3]}}),
        ("0.7.0", {"containerEdits": {"intelRdt": {}}}),
        ("1.1.0", {"containerEdits": {"netDevices": [{"hostInterfaceName": "a", "name": "b"}]}}),
        ("1.1.0", {"containerEdits": {"intelRdt": {"schemata": ["a"]}}}),
    ],
)
def test_what_came_later_needs_its_version(since: str, changes: dict[str, Any]) -> None:
    before = VERSIONS[VERSIONS.index(since) - 1]
    parse_spec(json.dumps(small(**changes, cdiVersion=since)).encode(), yaml=False)
    assert f"the spec version must be at least v{since}" in refused(json.dumps(small(**changes, cdiVersion=before)), yaml=False)


def test_too_much() -> None:
    assert "larger than" in refused(b" " * ((4 << 20) + 1))
    many = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(9)
    )
    assert "too many values" in refused(many)
    assert "too many values" in refused("a: &a [*a]")


@given(st.binary(max_size=60) | st.text(alphabet="{}[]:&*!-\n \"'abc?|>%@`#,", max_size=60).map(str.encode))
def test_any_bytes_are_a_spec_or_an_error(data: bytes) -> None:
    for yaml in (True, False):
        with pytest.raises(SpecError):
            parse_spec(data, yaml=yaml)


def test_merging() -> None:
    parts = [Edits(env=("A=1",)), Edits(), Edits(env=("B=2",), additional_gids=(1,))]
    assert merged(parts) == Edits(env=("A=1", "B=2"), additional_gids=(1,))
