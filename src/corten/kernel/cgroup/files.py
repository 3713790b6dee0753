"""Reading and writing control-group files: one value or one line at a time, with the file's name in every error."""

import os


def read_text(path: str) -> str:
    """The whole file. OSError carries the path."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
    finally:
        os.close(fd)
    return b"".join(chunks).decode()


def find_text(path: str) -> str:
    """Like `read_text`, "" where the file does not exist (a controller or a kernel that has no such file)."""
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""


def find_number(path: str, default: int = 0) -> int:
    """A file with one number; `max` is -1; `default` where the file does not exist."""
    text = find_text(path).strip()
    if not text:
        return default
    return -1 if text == "max" else int(text)


def write_text(path: str, value: str) -> None:
    """Writes `value` in one write(2), as these files demand. OSError carries the path and the refused value."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"{os.strerror(error.errno or 0)} writing {value.strip()!r}", path) from error
    finally:
        os.close(fd)


def parse_flat(text: str) -> dict[str, int]:
    """`key value` lines (memory.stat, cpu.stat, memory.events ...)."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if value.lstrip("-").isdecimal():
            found[key] = int(value)
    return found


def parse_nested(text: str) -> dict[str, dict[str, int]]:
    """`key sub=value sub=value` lines (io.stat); subkeys whose value is no number are left out."""
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        key, *pairs = line.split()
        values = found.setdefault(key, {})
        for pair in pairs:
            name, _, value = pair.partition("=")
            if value.isdecimal():
                values[name] = int(value)
    return found
