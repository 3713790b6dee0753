"""What Docker's copier and json-file driver do with a stream, written down plainly: the measure for our encoder."""

import json

BUFFER = 16384


def entries(text: bytes, *, final: bool) -> list[bytes]:
    """The `log` values, undecoded: every line with its newline, long ones in pieces of the buffer's size."""
    found = []
    rest = text
    while True:
        newline = rest.find(b"\n", 0, BUFFER)
        if newline >= 0:
            found.append(rest[: newline + 1])
            rest = rest[newline + 1 :]
        elif len(rest) >= BUFFER:
            found.append(rest[:BUFFER])
            rest = rest[BUFFER:]
        else:
            break
    return [*found, rest] if rest and final else found


def go_string(text: bytes) -> str:
    """As Go ranges over it: an undecodable byte is U+FFFD."""
    out = []
    at = 0
    while at < len(text):
        for length in (1, 2, 3, 4):
            try:
                out.append(text[at : at + length].decode())
                at += length
                break
            except UnicodeDecodeError:
                continue
        else:
            out.append("\ufffd")
            at += 1
    return "".join(out)


def parsed(lines: bytes) -> list[tuple[str, str, str]]:
    found = [json.loads(line) for line in lines.splitlines()]
    return [(entry["log"], entry["stream"], entry["time"]) for entry in found]
