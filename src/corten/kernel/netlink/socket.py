"""One netlink socket: batches with an answer for each message, dumps, and the kernel's own error text."""

import errno
import os
import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from corten.kernel.netlink.codec import (
    HEADER,
    NLM_F_ACK,
    NLM_F_DUMP,
    Message,
    Reply,
    attributes,
    pack_message,
    split_messages,
    unpack_text,
)

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_ACK_TLVS = 0x200
_NLM_F_CAPPED = 0x100
_NLMSGERR_ATTR_MSG = 1
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_RECEIVE = 1 << 18


class NetlinkError(OSError):
    """The kernel refused a request: errno as usual, the text with what was asked and the kernel's explanation."""


def error_of(reply: Reply) -> tuple[int, str]:
    code = -int(struct.unpack_from("=i", reply.payload)[0])
    if not reply.flags & _NLM_F_ACK_TLVS:
        return code, ""
    (length,) = struct.unpack_from("=I", reply.payload, 4)
    skip = HEADER.size if reply.flags & _NLM_F_CAPPED else (length + 3) & ~3
    return code, unpack_text(attributes(reply.payload[4 + skip :]).get(_NLMSGERR_ATTR_MSG))


def raise_for(code: int, detail: str, message: Message) -> None:
    """Raise NetlinkError unless `code` is 0 or tolerated by the message."""
    if code and code not in message.tolerate:
        reason = f"{os.strerror(code)} ({detail})" if detail else os.strerror(code)
        raise NetlinkError(code, f"{message.what or 'netlink request'}: {reason}")


class Netlink:
    """A blocking netlink socket, bound to the network namespace of the thread that opens it. Not for use by two threads at once."""

    def __init__(self, protocol: int = NETLINK_ROUTE, *, groups: Sequence[int] = ()) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        try:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            self._socket.bind((0, 0))
            for group in groups:
                self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def port(self) -> int:
        """The socket's own address, which notifications name as their cause."""
        return int(self._socket.getsockname()[0])

    def set_buffers(self, size: int) -> None:
        """Room for batches of `size` bytes; beyond the system's limit, which takes CAP_NET_ADMIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)

    def send(self, data: bytes) -> None:
        self._socket.send(data)

    def receive(self, *, wait: bool = True) -> list[Reply]:
        """The messages of the next datagram; [] when `wait` is false and none is there. ENOBUFS means that messages were lost."""
        try:
            data = self._socket.recv(_RECEIVE, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        return list(split_messages(data))

    def next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        return self._sequence

    def run(self, messages: Sequence[Message]) -> None:
        """Send all in one datagram and wait for every answer. The kernel goes on after a failed message; the first refusal
        that its message does not tolerate is raised once all answers are in, so the caller undoes the rest."""
        if not messages:
            return
        pending = {self.next_sequence(): message for message in messages}
        self.send(b"".join(pack_message(message, sequence, NLM_F_ACK) for sequence, message in pending.items()))
        failed: tuple[int, str, Message] | None = None
        while pending:
            for reply in self.receive():
                if reply.type != _NLMSG_ERROR or reply.sequence not in pending:
                    continue
                message = pending.pop(reply.sequence)
                code, detail = error_of(reply)
                if code and code not in message.tolerate and failed is None:
                    failed = (code, detail, message)
        if failed is not None:
            raise_for(*failed)

    def query(self, message: Message) -> list[Reply]:
        """The answers to one question: all parts of a dump (NLM_F_DUMP), or the one message. A dump that the kernel marks as
        interrupted (EINTR) is asked again."""
        while True:
            try:
                return self._query(message)
            except InterruptedError:
                continue

    def _query(self, message: Message) -> list[Reply]:
        sequence = self.next_sequence()
        dump = message.flags & NLM_F_DUMP == NLM_F_DUMP
        self.send(pack_message(message, sequence, 0 if dump else NLM_F_ACK))
        answers: list[Reply] = []
        interrupted = False
        while True:
            for reply in self.receive():
                if reply.sequence != sequence:
                    continue
                interrupted = interrupted or bool(dump and reply.flags & 0x10)
                if reply.type in (_NLMSG_ERROR, _NLMSG_DONE):
                    code, detail = error_of(reply) if len(reply.payload) >= 4 else (0, "")
                    raise_for(code, detail, message)
                    if interrupted:
                        raise InterruptedError(errno.EINTR, "the dump changed while it was read")
                    return answers
                answers.append(reply)
