"""Much output, and many short lines: complete and in order through attach, `logs -f` and `logs`, while all three read at once."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import NamedTuple

import pytest

from corten.http.client import Upgraded
from corten.http.frames import STDOUT, FrameDecoder
from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged
LINE = "0123456789" * 9 + "12345678"


class Output(NamedTuple):
    """What a program prints."""

    script: str
    pieces: Callable[[], Iterable[bytes]]


def bulk(megabytes: int) -> Output:
    """Lines of 99 bytes, the last one cut."""
    size = megabytes * 1_000_000
    block = f"{LINE}\n".encode() * 10_000
    whole, rest = divmod(size, len(block))
    return Output(f"yes {LINE} | head -c {size}", lambda: (*repeat(block, whole), block[:rest]))


def lines(count: int) -> Output:
    return Output(f"seq 1 {count}", lambda: (b"%d\n" % number for number in range(1, count + 1)))


class Seen(NamedTuple):
    size: int
    digest: str


def seen(pieces: Iterable[bytes]) -> Seen:
    size, digest = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        digest.update(piece)
    return Seen(size, digest.hexdigest())


def unframed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What is in the frames of stdout; any other stream fails."""
    decoder = FrameDecoder()
    for piece in pieces:
        for stream, payload in decoder.feed(piece):
            assert stream == STDOUT
            yield payload
    assert decoder.is_between_frames


def attached(stream: Upgraded) -> Iterator[bytes]:
    while data := stream.recv(1 << 18):
        yield data
    stream.close()


def logged(daemon: Daemon, name: str, query: str) -> Seen:
    with daemon.client() as client:
        answer = client.request("GET", f"/containers/{name}/logs?stdout=1&stderr=1{query}")
        assert answer.status == 200
        return seen(unframed(answer.pieces()))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "output",
    [
        pytest.param(bulk(40), id="40 MB"),
        pytest.param(lines(60_000), id="60,000 lines"),
        pytest.param(bulk(1000), id="1 GB", marks=pytest.mark.slow),
        pytest.param(lines(1_000_000), id="a million lines", marks=pytest.mark.slow),
    ],
)
def test_all_of_it_arrives(daemon: Daemon, output: Output) -> None:
    wanted = seen(output.pieces())
    log = {"Type": "json-file", "Config": {"max-size": "-1"}}
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", output.script], "HostConfig": {"LogConfig": log, "NetworkMode": "none"}}
    daemon.call("POST", "/containers/create?name=chatty", body).ok()
    stream = daemon.client().upgrade("POST", "/containers/chatty/attach?stream=1&stdout=1&stderr=1")
    assert isinstance(stream, Upgraded)
    with ThreadPoolExecutor(2) as pool:
        live = pool.submit(lambda: seen(unframed(attached(stream))))
        daemon.call("POST", "/containers/chatty/start").ok()
        followed = pool.submit(logged, daemon, "chatty", "&follow=1")
        assert live.result() == wanted
        assert followed.result() == wanted
    assert daemon.call("POST", "/containers/chatty/wait").ok()["StatusCode"] == 0
    assert logged(daemon, "chatty", "") == wanted
