"""Kinds of errors and their statuses."""

from collections.abc import Iterator

import msgspec
import pytest

from corten.api.errors import STATUSES, error_response, failure, status_of
from corten.errors import KINDS, EngineError, NotFound, NotModified, Unsupported


def all_subclasses(kind: type[EngineError]) -> Iterator[type[EngineError]]:
    """Those of `corten.errors`: what else is imported by now is chance."""
    if kind.__module__ == EngineError.__module__:
        yield kind
    for child in kind.__subclasses__():
        yield from all_subclasses(child)


@pytest.mark.parametrize("kind", list(all_subclasses(EngineError)), ids=lambda kind: kind.__name__)
def test_every_kind_has_a_status(kind: type[EngineError]) -> None:
    """A new kind of its own is a new row of the table; a subclass of a known kind inherits its row."""
    assert kind is EngineError or status_of(kind.__new__(kind)) != 500, "whatever its constructor wants"


def test_the_table_knows_every_kind() -> None:
    assert set(STATUSES) == set(KINDS.values())


def test_a_subclass_has_its_parent_s_status() -> None:
    class NoSuchThing(NotFound):
        pass

    assert status_of(NoSuchThing("x")) == 404


def test_the_body_has_docker_s_message_first() -> None:
    reply = error_response(Unsupported("not yet", reason="x-unbuilt", hint="do y"))
    assert reply.status == 501
    assert reply.body == b'{"message":"not yet","reason":"x-unbuilt","hint":"do y"}\n'
    assert failure(404, "page not found").body == b'{"message":"page not found"}\n'


def test_not_modified_has_no_body() -> None:
    reply = error_response(NotModified("already started"))
    assert (reply.status, reply.body) == (304, b"")


def test_messages_are_json_whatever_they_hold() -> None:
    assert msgspec.json.decode(failure(400, 'a "quoted"\nline').body)["message"] == 'a "quoted"\nline'
