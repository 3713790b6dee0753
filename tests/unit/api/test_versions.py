"""Version negotiation in Docker's words."""

import pytest

from corten.api.versions import CURRENT, MULTIPLEXED, RAW, find_refusal, parse_version, stream_type


@pytest.mark.parametrize(("text", "expected"), [("1.41", (1, 41)), ("1.", (1, 0)), ("1", (1, 0)), ("1.2.3", (1, 2)), ("1.051", (1, 51))])
def test_parsing_is_docker_s(text: str, expected: tuple[int, int]) -> None:
    assert parse_version(text) == expected


@pytest.mark.parametrize("text", ["1.24", "1.51", "1.40"])
def test_served_versions(text: str) -> None:
    assert find_refusal(text, parse_version(text)) is None


def test_too_old_is_plain_text() -> None:
    reply = find_refusal("1.23", (1, 23))
    assert reply
    assert reply.content_type == "text/plain; charset=utf-8"
    assert reply.body == (
        b"client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n"
    )


def test_too_new_is_json() -> None:
    reply = find_refusal("1.99", (1, 99))
    assert reply
    assert reply.body == b'{"message":"client version 1.99 is too new. Maximum supported API version is 1.51"}\n'


@pytest.mark.parametrize(
    ("version", "multiplexed", "expected"),
    [(CURRENT, True, MULTIPLEXED), (CURRENT, False, RAW), ((1, 41), True, RAW), ((1, 42), True, MULTIPLEXED)],
)
def test_stream_types(version: tuple[int, int], multiplexed: bool, expected: str) -> None:
    assert stream_type(version, multiplexed=multiplexed) == expected
