"""Which engine is meant."""

import json
from pathlib import Path

import pytest

from corten.client.configfile import ConfigFile, default_folder
from corten.client.contexts import Context, ContextMissing, ContextStore
from corten.client.endpoint import DEFAULT_HOST, Choice, TlsChoice, context_name, resolve
from corten.client.errors import BadEndpoint


def config(folder: Path, **content: object) -> ConfigFile:
    (folder / "config.json").write_text(json.dumps(content))
    return ConfigFile(str(folder))


@pytest.mark.parametrize(
    ("choice", "environ", "current", "host", "default"),
    [
        (Choice(), {}, None, DEFAULT_HOST, True),
        (Choice(), {"DOCKER_HOST": "unix:///d.sock"}, None, "unix:///d.sock", False),
        (Choice(), {"DOCKER_HOST": "unix:///d.sock", "CORTEN_HOST": "unix:///c.sock"}, None, "unix:///c.sock", False),
        (Choice(host="tcp://h:1"), {"DOCKER_HOST": "unix:///d.sock"}, "named", "tcp://h:1", False),
        (Choice(), {"DOCKER_HOST": "unix:///d.sock"}, "named", "unix:///d.sock", False),
        (Choice(), {}, "named", "unix:///named.sock", False),
        (Choice(), {"DOCKER_CONTEXT": "named"}, None, "unix:///named.sock", False),
        (Choice(context="named"), {"DOCKER_HOST": "unix:///d.sock"}, None, "unix:///named.sock", False),
        (Choice(context="default"), {}, "named", DEFAULT_HOST, True),
    ],
)
def test_order(choice: Choice, environ: dict[str, str], current: str | None, host: str, default: bool, tmp_path: Path) -> None:
    ContextStore(str(tmp_path)).save(Context("named", "unix:///named.sock"))
    endpoint = resolve(choice, environ, config(tmp_path, currentContext=current))
    assert (endpoint.host, endpoint.is_default) == (host, default)


def test_port_and_files_of_tls(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    endpoint = resolve(Choice(host="tcp://h", tls=TlsChoice(use=True, verify=True, key="/k")), {}, ConfigFile(str(tmp_path)))
    assert endpoint.address.port == 2376
    assert endpoint.tls == (str(tmp_path / "ca.pem"), "", "/k", True)
    environ = {"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    assert resolve(Choice(), environ, ConfigFile("/nothing")).tls == (str(tmp_path / "ca.pem"), "", "", True)
    assert resolve(Choice(host="tcp://h:1"), {}, ConfigFile("/nothing")).tls is None


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        (Choice(host="x", context="y"), "conflicting options: cannot specify both --host and --context"),
        (Choice(host="foo://x"), "unable to resolve docker endpoint: invalid bind address format: foo://x"),
        (Choice(host="fd://x"), "invalid bind address format"),
        (Choice(context="nothing"), 'context "nothing": context not found: open '),
    ],
)
def test_complaint(choice: Choice, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadEndpoint, match=complaint):
        resolve(choice, {}, ConfigFile(str(tmp_path)))


def test_context_with_tls(tmp_path: Path) -> None:
    store = ContextStore(str(tmp_path))
    store.save(Context("t", "tcp://h:1", skip_verify=True), {"ca.pem": b"1", "key.pem": b"2"})
    endpoint = resolve(Choice(context="t"), {}, ConfigFile(str(tmp_path)))
    assert endpoint.tls is not None
    assert (Path(endpoint.tls.ca).read_bytes(), endpoint.tls.cert, endpoint.tls.verify) == (b"1", "", False)
    assert Path(endpoint.tls.key).stat().st_mode & 0o777 == 0o600


def test_contexts_are_dockers(tmp_path: Path) -> None:
    """The folder is the sha256 of the name, the file Docker's."""
    store = ContextStore(str(tmp_path))
    store.save(Context("foo", "unix:///a.sock", description="hi"))
    meta = tmp_path / "contexts/meta/2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae/meta.json"
    text = '{"Name":"foo","Metadata":{"Description":"hi"},"Endpoints":{"docker":{"Host":"unix:///a.sock","SkipTLSVerify":false}}}'
    assert meta.read_text() == text
    (tmp_path / "contexts/meta/half").mkdir()
    assert store.names() == ["foo"]
    store.remove("foo")
    assert store.names() == []
    with pytest.raises(ContextMissing):
        store.remove("foo")


def test_context_name_without_configuration() -> None:
    assert context_name(Choice(), {}, ConfigFile("/nothing")) == "default"


def test_configuration_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    subject = config(tmp_path, unknown={"a": 1}, currentContext="x")
    (tmp_path / "config.json").chmod(0o640)
    subject.save({"currentContext": None, "psFormat": "y"})
    assert json.loads((tmp_path / "config.json").read_text()) == {"unknown": {"a": 1}, "psFormat": "y"}
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o640


def test_configuration_behind_a_link_stays_behind_it(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("{}")
    (tmp_path / "config.json").symlink_to("real")
    ConfigFile(str(tmp_path)).save({"a": "b"})
    assert (tmp_path / "config.json").is_symlink()
    assert json.loads((tmp_path / "real").read_text()) == {"a": "b"}


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_broken_configuration_is_an_empty_one(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content, encoding="latin-1")
    subject = ConfigFile(str(tmp_path))
    assert (subject.text("psFormat"), subject.table("auths")) == ("", {})
    assert bool(subject.complaint) is (content != "[]")


def test_folder_of_the_configuration() -> None:
    assert default_folder({"HOME": "/h"}) == "/h/.docker"
    assert default_folder({"HOME": "/h", "DOCKER_CONFIG": "/c"}) == "/c"
