"""The image that every container of the benchmark runs: busybox and a file of 100-byte lines, made on the spot."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.images import BUSYBOX, add, busybox_tar
from tools.bench.engine import Engine

LINES_FILE = "/lines"
LINES_BYTES = 4_000_000


def image_tar() -> bytes:
    buffer = io.BytesIO(busybox_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        add(tar, LINES_FILE.lstrip("/"), _lines())
    return buffer.getvalue()


def _lines() -> bytes:
    return b"".join(b"%012d " % number + b"x" * 86 + b"\n" for number in range(LINES_BYTES // 100))


def small_tar(number: int) -> bytes:
    """An image of its own for each number."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar, "number", str(number).encode())
    return buffer.getvalue()


@contextmanager
def provided(engine: Engine) -> Iterator[None]:
    """The image is there, and nothing of an earlier run; at the end neither is."""
    if not BUSYBOX.exists():
        raise SystemExit(f"{BUSYBOX} is needed (a static busybox), it becomes the image that is run")
    engine.clean()
    subprocess.run(engine.cli("import", "-", engine.image), input=image_tar(), stdout=subprocess.DEVNULL, check=True)
    try:
        yield
    finally:
        engine.clean()
