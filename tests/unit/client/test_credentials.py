"""Registry credentials in the file and in helpers."""

import json
from base64 import b64encode, urlsafe_b64decode
from pathlib import Path

import pytest

from corten.client.configfile import ConfigFile
from corten.client.credentials import HUB, HelperFailed, all_credentials, erase, find_credentials, registry_header, registry_key, store

HELPER = """#!/bin/sh
file="{folder}/kept"
case $1 in
get) read -r key; [ -f "$file" ] && cat "$file" || {{ echo "credentials not found in native keychain"; exit 1; }};;
store) cat > "$file";;
erase) rm -f "$file";;
esac
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "docker-credential-fake"
    program.write_text(HELPER.format(folder=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def config(folder: Path, content: object) -> ConfigFile:
    (folder / "config.json").write_text(json.dumps(content))
    return ConfigFile(str(folder))


def auth(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_name_and_password_from_the_file(tmp_path: Path) -> None:
    subject = config(
        tmp_path, {"auths": {"r.io": {"auth": auth("u:p:w")}, HUB: {"auth": auth("h:x")}, "https://old.io/v1/": {"auth": auth("o:y")}}}
    )
    assert find_credentials(subject, "r.io") == {"username": "u", "password": "p:w", "serveraddress": "r.io"}
    assert find_credentials(subject, "docker.io")["username"] == "h"
    assert find_credentials(subject, "old.io")["username"] == "o"
    assert find_credentials(subject, "other.io") == {}
    assert set(all_credentials(subject)) == {"r.io", HUB, "https://old.io/v1/"}


def test_header(tmp_path: Path) -> None:
    assert registry_header(ConfigFile(str(tmp_path)), "x") == "e30="
    subject = config(tmp_path, {"auths": {"r.io": {"auth": auth("u:p"), "identitytoken": "t"}}})
    fields = json.loads(urlsafe_b64decode(registry_header(subject, "r.io")))
    assert fields == {"username": "u", "password": "p", "identitytoken": "t", "serveraddress": "r.io"}


def test_login_without_a_helper_goes_into_the_file(tmp_path: Path) -> None:
    subject = ConfigFile(str(tmp_path))
    store(subject, "r.io", "u", "p")
    assert json.loads((tmp_path / "config.json").read_text()) == {"auths": {"r.io": {"auth": auth("u:p")}}}
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o600
    store(subject, "r.io", "u", "token", is_token=True)
    assert find_credentials(subject, "r.io") == {"username": "u", "password": "", "identitytoken": "token", "serveraddress": "r.io"}
    erase(subject, "r.io")
    assert find_credentials(subject, "r.io") == {}


@pytest.mark.parametrize("setting", [{"credsStore": "fake"}, {"credHelpers": {"r.io": "fake"}}])
def test_login_with_a_helper(setting: dict[str, object], helper: Path) -> None:
    subject = config(helper, setting)
    assert find_credentials(subject, "r.io") == {}
    store(subject, "r.io", "u", "p")
    assert find_credentials(subject, "r.io") == {"username": "u", "password": "p", "serveraddress": "r.io"}
    assert json.loads((helper / "config.json").read_text())["auths"] == {"r.io": {}}
    store(subject, "r.io", "u", "secret", is_token=True)
    assert find_credentials(subject, "r.io") == {"identitytoken": "secret", "serveraddress": "r.io"}
    erase(subject, "r.io")
    assert find_credentials(subject, "r.io") == {}


def test_missing_helper(tmp_path: Path) -> None:
    with pytest.raises(HelperFailed, match="docker-credential-nothing"):
        find_credentials(config(tmp_path, {"credsStore": "nothing"}), "r.io")


def test_keys() -> None:
    assert [registry_key(d) for d in ("docker.io", "index.docker.io", "r.io:5000")] == [HUB, HUB, "r.io:5000"]
