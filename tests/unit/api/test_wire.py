"""JSON from strangers."""

import pytest

from corten.api.types.containers import CreateBody
from corten.api.wire import decode, encode, wire_name
from corten.errors import Invalid


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("memory_swap", "MemorySwap"),
        ("container_id_file", "ContainerIDFile"),
        ("uts_mode", "UTSMode"),
        ("ip_address", "IPAddress"),
        ("global_ipv6_prefix_len", "GlobalIPv6PrefixLen"),
        ("nano_cpus", "NanoCpus"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert wire_name(name) == expected


def test_exact_names_are_read() -> None:
    body = decode(CreateBody, b'{"Image":"i","HostConfig":{"Memory":5,"Binds":null}}')
    assert body.image == "i"
    assert body.host_config
    assert body.host_config.memory == 5


def test_names_match_in_any_case_and_unknown_ones_are_ignored() -> None:
    """As Go's encoding/json; also inside nested objects, lists and maps."""
    text = b"""{"image":"i","Surprise":{"x":1},"hostconfig":{"MEMORY":5,"mounts":[{"type":"bind","bindoptions":{"propagation":"slave"}}],
        "portbindings":{"80/tcp":[{"hostip":"::1","hostport":"8080"}]}},"networkingConfig":{"endpointsconfig":{"Net":{"aliases":["a"]}}}}"""
    body = decode(CreateBody, text)
    assert body.image == "i"
    config, host, endpoints = body.to_engine()
    assert config.image == "i"
    assert host.resources.memory == 5
    assert host.mounts[0].propagation == "slave"
    assert host.port_bindings["80/tcp"][0].host_port == "8080"
    assert endpoints[0].network == "Net"
    assert endpoints[0].aliases == ("a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"Image":5}', "invalid JSON: Image: expected str, got int"),
        (b'{"HostConfig":{"Memory":"12"}}', "invalid JSON: HostConfig.Memory: expected int, got str"),
        (b'{"HostConfig":{"memory":"12"}}', "invalid JSON: HostConfig.Memory: expected int, got str"),
        (b'{"Env":["a",1]}', "invalid JSON: Env[1]: expected str, got int"),
        (b'{"HostConfig":{"Devices":[{"PathOnHost":true}]}}', "invalid JSON: HostConfig.Devices[0].PathOnHost: expected str, got bool"),
        (b'{"Labels":{"z":"x","a":1,"b":2}}', 'invalid JSON: Labels["a"]: expected str, got int'),
        (
            b'{"HostConfig":{"PortBindings":{"1/tcp":[],"80/tcp":[{},{"HostPort":80}]}}}',
            'invalid JSON: HostConfig.PortBindings["80/tcp"][1].HostPort: expected str, got int',
        ),
        (
            b'{"NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{"DriverOpts":{"x":"y","z":1}}}}}',
            'invalid JSON: NetworkingConfig.EndpointsConfig["b"].DriverOpts["z"]: expected str, got int',
        ),
        (b"[" * 100_000, "invalid JSON: exceeded max depth"),
        (b"[]", "invalid JSON: expected object, got array"),
        (b'{"Ima', "invalid JSON: unexpected EOF"),
        (b"", "invalid JSON: got EOF while reading request body"),
        (b"{}{}", "unexpected content after JSON"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(text: bytes, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode(CreateBody, text)
    assert caught.value.message == message


def test_a_number_beyond_int64_is_refused() -> None:
    with pytest.raises(Invalid, match=r"HostConfig\.Memory: expected"):
        decode(CreateBody, b'{"HostConfig":{"Memory":9223372036854775808}}')


def test_answers_end_their_line() -> None:
    assert encode({"a": "<&>"}) == b'{"a":"<&>"}\n'
