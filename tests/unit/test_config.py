"""dockerd's flags and daemon.json."""

import json
from pathlib import Path

import pytest

from corten.config import BUILDER, OPTIONS, REPRODUCIBLE, AddressPool, Config, DefaultUlimit, load_settings, parse_flags, usage
from corten.errors import Invalid


def load(tmp_path: Path, *flags: str, file: object = None) -> Config:
    path = tmp_path / "daemon.json"
    path.write_text("" if file is None else json.dumps(file))
    return load_settings(["--config-file", str(path), *flags]).config


def test_defaults(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert (config.hosts, config.data_root, config.pidfile) == (
        ("unix:///run/corten/corten.sock",),
        "/var/lib/corten",
        "/run/corten/cortend.pid",
    )


def test_flags_in_every_form(tmp_path: Path) -> None:
    config = load(tmp_path, "-H", "unix:///a", "-Hunix:///b", "--host=tcp://c", "-D", "--icc=false", "--exec-root", "/x", "--mtu=1400")
    assert config.hosts == ("unix:///a", "unix:///b", "tcp://c")
    assert (config.debug, config.log_level, config.icc, config.mtu, config.pidfile) == (True, "debug", False, 1400, "/x/cortend.pid")


def test_short_switches_can_be_joined() -> None:
    assert parse_flags(["-DHunix:///a"]) == {"debug": True, "host": ("unix:///a",)}


def test_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        file={
            "hosts": ["unix:///a"],
            "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
            "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}},
            "default-shm-size": "1g",
            "log-opts": {"max-size": "1m"},
            "runtimes": {"kata": {"path": "/usr/bin/kata"}},
            "icc": False,
        },
    )
    assert config.hosts == ("unix:///a",)
    assert config.address_pools == (AddressPool(base="10.0.0.0/8", size=24),)
    assert config.default_ulimits == (DefaultUlimit(name="nofile", soft=1, hard=2),)
    assert (config.default_shm_size, config.icc) == (1 << 30, False)
    assert (config.log_options, config.runtimes) == ({"max-size": "1m"}, {"kata": "/usr/bin/kata"})


def test_flags_say_the_same_as_the_file(tmp_path: Path) -> None:
    flags = ["--default-address-pool", "base=10.0.0.0/8,size=24", "--default-ulimit", "nofile=1:2", "--log-opt", "a=1", "--log-opt", "b=2"]
    config = load(tmp_path, *flags, "--default-shm-size", "64m")
    assert config.address_pools == (AddressPool(base="10.0.0.0/8", size=24),)
    assert config.default_ulimits == (DefaultUlimit(name="nofile", soft=1, hard=2),)
    assert (config.log_options, config.default_shm_size) == ({"a": "1", "b": "2"}, 64 << 20)


def test_both_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="specified both as a flag and in the configuration file: hosts"):
        load(tmp_path, "-H", "unix:///a", file={"hosts": ["unix:///b"]})


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--nonsense"], "unknown flag: --nonsense"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["--mtu"], "flag needs an argument: --mtu"),
        (["--mtu", "x"], 'invalid argument "x" for "--mtu" flag'),
        (["--icc=maybe"], 'invalid argument "maybe" for "--icc" flag'),
        (["--default-ulimit", "nofile"], "must be NAME=SOFT"),
        (["--ip", "zz"], 'invalid argument "zz" for "--ip" flag: failed to parse IP: "zz"'),
        (["--default-gateway", "10.0.0"], 'invalid argument "10.0.0" for "--default-gateway" flag: failed to parse IP'),
        (["--log-level", "loud"], "invalid logging level: loud"),
        (["stray"], "accepts no arguments: stray"),
    ],
)
def test_bad_flags(tmp_path: Path, flags: list[str], text: str) -> None:
    with pytest.raises(Invalid, match=text):
        load(tmp_path, *flags)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "unable to configure the daemon with file"),
        ("[]", "not an object"),
        ('{"foo": 1}', "directives don't match any configuration option: foo"),
        ('{"icc": "yes"}', 'icc: "yes" is no valid value'),
        ('{"ip": "zz"}', 'ip: "zz" is no valid value'),
        ('{"hosts": "unix:///a"}', "hosts: "),
        ('{"default-ulimits": {"nofile": 3}}', "default-ulimits: "),
    ],
)
def test_bad_file(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(content)
    with pytest.raises(Invalid, match=text):
        load_settings(["--config-file", str(path)])


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such file"):
        load_settings(["--config-file", str(tmp_path / "none")])


def test_dockerds_own_options_give_one_warning_each(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"userland-proxy-path": "/x", "storage-driver": "overlay2", "userland-proxy": false, "live-restore": true}')
    settings = load_settings(["--config-file", str(path), "--metrics-addr", "x"])
    assert settings.warnings == (
        "option userland-proxy-path of dockerd has no effect in Corten",
        "option metrics-addr of dockerd has no effect in Corten",
    )


@pytest.mark.parametrize(
    ("flags", "file"),
    [
        (["--authorization-plugin=x"], ""), (["--userns-remap=default"], ""), (["--selinux-enabled"], ""), (["--rootless"], ""),
        ([], '{"authorization-plugins": ["x"]}'), ([], '{"userns-remap": "default"}'), ([], '{"selinux-enabled": true}'),
    ],
)  # fmt: skip
def test_an_option_that_protects_is_not_passed_over(tmp_path: Path, flags: list[str], file: str) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(file)
    words = ["--config-file", str(path), *flags]
    with pytest.raises(Invalid, match="is not built in Corten"):
        load_settings(words)
    assert len(load_settings([*words, "--ignore-unsupported"]).warnings) == 1


def test_an_option_that_protects_and_is_off_asks_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"selinux-enabled": false, "authorization-plugins": [], "userns-remap": ""}')
    assert load_settings(["--config-file", str(path), "--rootless=false"]).warnings == ()


@pytest.mark.parametrize(("flag", "declined"), [("--tls=false", True), ("--tlsverify=false", True), ("--tls", False), ("--debug", False)])
def test_turning_tls_off_by_name_is_told(flag: str, declined: bool) -> None:
    assert load_settings([flag]).declines_tls is declined


def test_options_are_said_once_and_fill_real_fields() -> None:
    flags = [option.flag for option in OPTIONS]
    assert len(flags) == len(set(flags))
    fields = {option.field for option in (*OPTIONS, BUILDER, REPRODUCIBLE)} - {"", "-"}
    assert fields == set(Config.__dataclass_fields__)


def test_usage_names_every_option_that_works() -> None:
    assert all(f"--{option.flag} " in usage() for option in OPTIONS if option.help)


def test_the_default_address_of_published_ports_has_two_names(tmp_path: Path) -> None:
    assert load(tmp_path, "--publish-default", "127.0.0.1").publish_ip == "127.0.0.1"
    assert load(tmp_path, file={"publish-default": "::1"}).publish_ip == "::1"
    assert load(tmp_path, file={"ip": "127.0.0.1"}).publish_ip == "127.0.0.1"
