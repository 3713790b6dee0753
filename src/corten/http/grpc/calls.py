"""Typed calls over a connection: services as tables of methods, and the client's side."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from corten.http.grpc.connection import Call, Connection
from corten.http.grpc.protobuf import BadMessage, decode, encode
from corten.http.grpc.status import CallFailed, Code, Fields

T = TypeVar("T")
Method = Callable[[Call], Awaitable[None]]


def dispatch(methods: Mapping[str, Method]) -> Method:
    """Serves the methods of that table, by path."""

    async def serve(call: Call) -> None:
        method = methods.get(call.path)
        if method is None:
            raise CallFailed(
                Code.UNIMPLEMENTED, f"unknown method {call.path.rpartition('/')[2]} for service {call.path[1:].rpartition('/')[0]}"
            )
        await method(call)

    return serve


def one_to_one(kind: type[T], answer: Callable[[Call, T], Awaitable[Any]]) -> Method:
    async def serve(call: Call) -> None:
        await call.send(encode(await answer(call, await _request(call, kind))))

    return serve


def one_to_many(kind: type[T], answers: Callable[[Call, T], AsyncIterator[Any]]) -> Method:
    async def serve(call: Call) -> None:
        async for answer in answers(call, await _request(call, kind)):
            await call.send(encode(answer))

    return serve


async def receive_message(call: Call, kind: type[T]) -> T | None:
    """Raises CallFailed, also for a message of another kind."""
    data = await call.receive()
    try:
        return None if data is None else decode(kind, data)
    except BadMessage as error:
        raise CallFailed(Code.INTERNAL, f"failed to unmarshal the received message: {error}") from error


async def _request(call: Call, kind: type[T]) -> T:
    found = await receive_message(call, kind)
    if found is None:
        raise CallFailed(Code.INTERNAL, "a request without a message")
    return found


@asynccontextmanager
async def calling(connection: Connection, path: str, metadata: Fields = []) -> AsyncIterator[Call]:  # noqa: B006
    """A call that is over when the block is left. Raises CallFailed."""
    call = connection.call(path, metadata)
    try:
        yield call
    finally:
        connection.drop(call)


async def ask(connection: Connection, path: str, request: Any, kind: type[T]) -> T:
    """A call of one message and one answer. Raises CallFailed."""
    async with calling(connection, path) as call:
        await call.send(encode(request))
        call.end()
        return await _request(call, kind)
