"""Load for the rows about traffic, run as a program in some network namespace, with nothing but the standard library:

load.py serve PORT                        answers every request on kept connections
load.py ask ADDRESS PORT SECONDS          16 connections, one request at a time on each, then prints their number and its CPU seconds
load.py fetch ADDRESS PORT SECONDS        the same, one connection at a time, a new one for each request
load.py resolve NAME SECONDS              asks 127.0.0.11, one question at a time, then prints their number and its CPU seconds
"""

import contextlib
import os
import select
import socket
import struct
import sys
import time

CONNECTIONS = 16
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"


def serve(port: int) -> None:
    listener = socket.socket(socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(512)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    open_ones: dict[int, socket.socket] = {}
    os.write(1, b"ready\n")
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                open_ones[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            connection = open_ones[number]
            with contextlib.suppress(ConnectionError):
                if connection.recv(4096):
                    connection.send(ANSWER)
                    continue
            del open_ones[number]
            connection.close()


def ask(address: str, port: int, seconds: float) -> int:
    poll = select.epoll()
    found = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection((address, port), 5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    for connection in found.values():
        connection.send(REQUEST)
    count = 0
    began = now = time.perf_counter()
    while now - began < seconds:
        for number, _ in poll.poll(5):
            if not found[number].recv(4096):
                raise SystemExit("the server closed a connection")
            found[number].send(REQUEST)
            count += 1
        now = time.perf_counter()
    return count


def fetch(address: str, port: int, seconds: float) -> int:
    count = 0
    began = now = time.perf_counter()
    while now - began < seconds:
        with socket.create_connection((address, port), 5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME_WAIT: ports would run out
            connection.send(REQUEST)
            if not connection.recv(4096):
                raise SystemExit("the server closed a connection")
        count += 1
        now = time.perf_counter()
    return count


def resolve(name: str, seconds: float) -> int:
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0\0\x01\0\x01"
    count = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(5)
        server.connect(("127.0.0.11", 53))
        began = now = time.perf_counter()
        while now - began < seconds:
            server.send(struct.pack("!6H", count & 0xFFFF, 0x100, 1, 0, 0, 0) + question)
            answer = server.recv(512)
            if answer[3] & 15 or not answer[7]:
                raise SystemExit(f"{name} is not found")
            count += 1
            now = time.perf_counter()
    return count


def tell(count: int) -> None:
    """And the CPU seconds that the asking took here."""
    sys.stdout.write(f"{count} {time.process_time()}\n")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["serve", port]:
            serve(int(port))
        case ["ask", address, port, seconds]:
            tell(ask(address, int(port), float(seconds)))
        case ["fetch", address, port, seconds]:
            tell(fetch(address, int(port), float(seconds)))
        case ["resolve", name, seconds]:
            tell(resolve(name, float(seconds)))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
