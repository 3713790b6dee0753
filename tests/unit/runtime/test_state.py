"""Containers on disk."""

import json
import os
from pathlib import Path

import pytest

from corten.errors import Conflict, Invalid, NotFound
from corten.runtime import state as st


def container(pid: int = 0, start: int = 0) -> st.ContainerState:
    return {
        "id": "a",
        "pid": pid,
        "pid_start": start,
        "bundle": "/b",
        "rootfs": "/b/r",
        "created": 1,
        "annotations": {},
        "manager": "cgroupfs",
        "cgroup": "",
        "namespaces": {},
        "process": {},
        "hooks": {},
        "seccomp": None,
    }


def test_a_state_is_saved_loaded_listed_and_removed(tmp_path: Path) -> None:
    root = str(tmp_path / "deep" / "root")
    directory = st.make_state_directory(root, "a")
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert st.list_ids(root) == []
    with pytest.raises(NotFound, match="does not exist"):
        st.load_state(root, "a")
    st.save_state(root, container())
    assert st.load_state(root, "a") == container()
    assert st.list_ids(root) == ["a"]
    with pytest.raises(Conflict, match="already exists"):
        st.make_state_directory(root, "a")
    st.remove_state(root, "a")
    st.remove_state(root, "a")
    assert os.listdir(root) == []
    assert st.list_ids(str(tmp_path / "nowhere")) == []


def test_a_state_is_replaced_whole(tmp_path: Path) -> None:
    st.make_state_directory(str(tmp_path), "a")
    st.save_state(str(tmp_path), container())
    st.save_state(str(tmp_path), {**container(), "annotations": {"x": "y" * 100_000}})
    assert len(st.load_state(str(tmp_path), "a")["annotations"]["x"]) == 100_000
    assert os.listdir(tmp_path / "a") == ["state.json"]
    json.loads((tmp_path / "a" / "state.json").read_text())


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "a b", "ä", "x" * 1025])
def test_bad_ids(bad: str) -> None:
    with pytest.raises(Invalid, match="invalid container ID"):
        st.check_id(bad)


def test_a_later_process_of_the_same_number_is_not_the_container() -> None:
    start, letter = st.process_start_time(os.getpid())
    assert letter == "R"
    assert st.is_alive(container(os.getpid(), start))
    assert not st.is_alive(container(os.getpid(), start - 1))
    assert st.process_start_time(2**22 - 3) == (0, "X")
    assert not st.is_alive(container(2**22 - 3, 0))
