"""Listening sockets."""

import os
import socket
import stat
from pathlib import Path

import pytest

from corten.errors import Conflict, Invalid
from corten.http.address import Address
from corten.http.listen import open_listeners


def test_a_unix_socket_has_its_mode_from_the_first_moment(tmp_path: Path) -> None:
    (listener,) = open_listeners(Address("unix", path=str(tmp_path / "sub" / "s")))
    try:
        assert stat.S_IMODE(os.stat(listener.address.path).st_mode) == 0o660
        assert os.listdir(tmp_path / "sub") == ["s"]
    finally:
        listener.close()
    assert os.listdir(tmp_path / "sub") == []


def test_the_first_group_that_exists_owns_it(tmp_path: Path) -> None:
    (listener,) = open_listeners(Address("unix", path=str(tmp_path / "s")), groups=("no-such-group", "root"))
    try:
        assert os.stat(listener.address.path).st_gid == 0
    finally:
        listener.close()


def test_a_stale_socket_is_replaced_and_a_live_one_refused(tmp_path: Path) -> None:
    address = Address("unix", path=str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(address.path)
    (listener,) = open_listeners(address)
    try:
        with pytest.raises(Conflict, match="another engine is listening"):
            open_listeners(address)
    finally:
        listener.close()


def test_another_engine_s_socket_is_not_removed_on_the_way_out(tmp_path: Path) -> None:
    address = Address("unix", path=str(tmp_path / "s"))
    (first,) = open_listeners(address)
    os.unlink(address.path)
    (second,) = open_listeners(address)
    first.close()
    assert os.path.exists(address.path)
    second.close()


def test_what_cannot_be_bound_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Invalid, match="failed to listen"):
        open_listeners(Address("unix", path=str(tmp_path / "file" / "s")))
    with pytest.raises(Invalid, match=r"failed to listen on tcp://192\.0\.2\.1:1"):
        open_listeners(Address("tcp", host="192.0.2.1", port=1))


def test_no_sockets_were_passed() -> None:
    with pytest.raises(Invalid, match="no sockets found via socket activation"):
        open_listeners(Address("fd"))
