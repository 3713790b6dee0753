import hashlib
import json

import msgspec
import pytest

from corten.errors import Invalid
from corten.ids import DiffId
from corten.oci.image import ImageConfig, RootFs, RunConfig, chain_ids, encode_image_config, parse_image_config

A, B = (DiffId("sha256:" + c * 64) for c in "ab")


def test_a_docker_config_is_understood() -> None:
    data = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["A=b"], "Cmd": ["sh"], "Labels": {"x": "y"}, "ExposedPorts": {"80/tcp": {}}, "Hostname": "", "Unknown": 1},
        "rootfs": {"type": "layers", "diff_ids": [A, B]},
        "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "x", "empty_layer": True}],
        "container_config": {"Cmd": None},
    }
    config = parse_image_config(json.dumps(data).encode())
    assert config.layers == (A, B)
    assert config.run.env == ["A=b"]
    assert config.run.exposed_ports == {"80/tcp": {}}
    assert config.history is not None
    assert config.history[0].empty_layer


def test_go_reads_names_in_any_case_and_so_do_we() -> None:
    data = {"Architecture": "arm64", "OS": "linux", "Config": {"env": ["A=b"]}, "RootFS": {"Type": "layers", "Diff_IDs": [A]}}
    config = parse_image_config(json.dumps(data).encode())
    assert (config.architecture, config.os, config.run.env, config.layers) == ("arm64", "linux", ["A=b"], (A,))


def test_nulls_are_absences() -> None:
    config = parse_image_config(b'{"config": null, "rootfs": {"type": "layers", "diff_ids": null}, "history": null}')
    assert config.run == RunConfig()
    assert config.layers == ()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{", b'{"config": 3}',
        b'{"rootfs": {"type": "layers", "diff_ids": ["sha256:xx"]}}', b'{"rootfs": {"type": "squashfs"}}',
        b'{"config": {"Env": "A=b"}}', b'{"x": ' + b"[" * 100_000,
    ],
    ids=range(8),
)  # fmt: skip
def test_what_is_no_config_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse_image_config(data)


def test_what_we_write_holds_only_what_is_set() -> None:
    config = ImageConfig(architecture="amd64", os="linux", config=RunConfig(cmd=["sh"]), rootfs=RootFs(diff_ids=[A]))
    raw = encode_image_config(config)
    assert msgspec.json.decode(raw) == {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": [A]},
    }  # fmt: skip
    assert parse_image_config(raw) == config


def test_chain_ids_follow_the_spec() -> None:
    second = "sha256:" + hashlib.sha256(f"{A} {B}".encode()).hexdigest()
    assert chain_ids((A, B)) == [A, second]
    assert chain_ids(()) == []
