"""Attachables of a client's session: secrets, SSH agents and registry credentials. Asked for when a step needs them, kept nowhere."""

import asyncio
import socket
from typing import Final

from corten.api.buildkit.messages.session import (
    AgentRequest,
    BytesMessage,
    CredentialsRequest,
    CredentialsResponse,
    SecretRequest,
)
from corten.api.buildkit.messages.worker import Empty
from corten.api.buildkit.session.filesync import call_error
from corten.api.buildkit.session.sessions import ClientSession
from corten.engine.build.contexts.tar import LARGEST_SECRET
from corten.engine.tasks import Tasks
from corten.errors import Invalid
from corten.http.grpc.calls import ask, calling, receive_message
from corten.http.grpc.connection import Call
from corten.http.grpc.protobuf import encode
from corten.http.grpc.status import CallFailed, Code
from corten.registry.auth import Credentials

GET_SECRET: Final = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
CHECK_AGENT: Final = "/moby.sshforward.v1.SSH/CheckAgent"
FORWARD_AGENT: Final = "/moby.sshforward.v1.SSH/ForwardAgent"
CREDENTIALS: Final = "/moby.filesync.v1.Auth/Credentials"
HUB: Final = "docker.io"
HUB_HOST: Final = "registry-1.docker.io"
_READ: Final = 64 << 10


class SessionSecrets:
    """`corten.build.options.Secrets`."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def find(self, secret_id: str) -> bytes | None:
        if not self._session.serves(GET_SECRET):
            return None
        try:
            data = (await ask(self._session.connection, GET_SECRET, SecretRequest(secret_id), BytesMessage)).data
        except CallFailed as error:
            if error.code == Code.NOT_FOUND:
                return None
            raise call_error(error, f"secret {secret_id}") from error
        if len(data) > LARGEST_SECRET:
            raise Invalid(f"secret {secret_id} is larger than {LARGEST_SECRET >> 10} KiB", reason="secret-size")
        return data


class SessionAgents:
    """`corten.build.options.Agents`: each connection of a step becomes a call of the client's."""

    def __init__(self, session: ClientSession, tasks: Tasks) -> None:
        self._session = session
        self._tasks = tasks

    async def connect(self, agent_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        if not self._session.serves(FORWARD_AGENT):
            return None
        try:
            await ask(self._session.connection, CHECK_AGENT, AgentRequest(agent_id), Empty)
        except CallFailed:
            return None
        ours, theirs = socket.socketpair()
        self._tasks.spawn(self._forward(agent_id, theirs), "an SSH agent's connection")
        return await asyncio.open_unix_connection(sock=ours)

    async def _forward(self, agent_id: str, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        try:
            async with calling(self._session.connection, FORWARD_AGENT, [("buildkit.ssh.id", agent_id)]) as call:
                sending = asyncio.ensure_future(_send(reader, call))
                try:
                    await _receive(call, writer)
                finally:
                    sending.cancel()
                    await asyncio.wait([sending])
        except (CallFailed, ConnectionError):
            return
        finally:
            writer.close()


async def _send(reader: asyncio.StreamReader, call: Call) -> None:
    try:
        while data := await reader.read(_READ):
            await call.send(encode(BytesMessage(data)))
        call.end()
    except (CallFailed, ConnectionError):
        return


async def _receive(call: Call, writer: asyncio.StreamWriter) -> None:
    while (message := await receive_message(call, BytesMessage)) is not None:
        writer.write(message.data)
        await writer.drain()


async def credentials(session: ClientSession, domain: str) -> Credentials | None:
    """What the client's configuration has for a registry; None for nothing."""
    if not session.serves(CREDENTIALS):
        return None
    host = HUB_HOST if domain == HUB else domain
    try:
        found = await ask(session.connection, CREDENTIALS, CredentialsRequest(host), CredentialsResponse)
    except CallFailed as error:
        raise call_error(error, f"credentials of {domain}") from error
    if not found.secret:
        return None
    # A secret without a name is an identity token, as in the client's own configuration.
    return Credentials(username=found.username, password=found.secret) if found.username else Credentials(identity_token=found.secret)
