"""The line between the runtime and the container's first process, and hooks."""

import os
import time
from pathlib import Path

import pytest

from corten.errors import Conflict, EngineError
from corten.runtime.channel import FAILED, READY, START, ChannelClosed, open_channel, report_bug
from corten.runtime.hooks import run_hooks


def test_messages_errors_and_the_end() -> None:
    ours, theirs = open_channel()
    theirs.send(READY, {"warnings": ["w"]}, [0])
    body, fds = ours.receive(READY, 1)
    os.close(fds[0])
    assert body == {"warnings": ["w"]}
    ours.send(START)
    assert theirs.receive(START) == (None, [])
    theirs.fail(Conflict("busy" * 20000, reason="r", hint="h"))
    with pytest.raises(Conflict) as caught:
        ours.receive(READY)
    assert (caught.value.reason, caught.value.hint) == ("r", "h")
    theirs.close()
    with pytest.raises(ChannelClosed):
        ours.receive(READY)
    ours.send(START)  # nobody there: not an error
    ours.close()


def test_last_words_are_heard_though_ours_were_not_read() -> None:
    ours, theirs = open_channel()
    ours.send(START)
    theirs.fail(Conflict("why", reason="r"))
    theirs.close()
    with pytest.raises(Conflict, match="why"):
        ours.receive(READY)
    with pytest.raises(ChannelClosed):
        ours.receive(READY)
    ours.close()


def test_a_bug_is_told_with_its_place() -> None:
    ours, theirs = open_channel()
    report_bug(theirs, None)
    try:
        dict[str, int]()["missing"]
    except KeyError as e:
        report_bug(theirs, e)
    kind, body, _ = ours.receive_any()
    assert kind == FAILED
    assert "KeyError: 'missing' at " in body["message"]
    assert "test_channel.py" in body["message"]
    ours.close()
    theirs.close()


def script(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return {"path": str(path), "args": ["hook", "one"], "env": [f"OUT={tmp_path}/out"]}


def test_a_hook_gets_state_arguments_and_environment(tmp_path: Path) -> None:
    run_hooks("poststart", [script(tmp_path, 'cat > $OUT; echo "$1" >> $OUT')], {"id": "x"})
    assert (tmp_path / "out").read_text() == '{"id": "x"}one\n'


def test_a_hook_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"prestart hook .*/hook: exit status 3: sorry"):
        run_hooks("prestart", [script(tmp_path, "echo sorry >&2; exit 3")], {})
    with pytest.raises(EngineError, match=r"exit status 127: .*No such file"):
        run_hooks("prestart", [{"path": str(tmp_path / "nothing")}], {})


def test_a_hook_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(EngineError, match="timed out"):
        run_hooks("prestart", [{**script(tmp_path, "exec sleep 5"), "timeout": 0.05}], {})
    assert time.monotonic() - begin < 2
