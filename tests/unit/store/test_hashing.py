"""The digest of a layer's tar, put together in buffers that are used again."""

import hashlib
import os
import random
from pathlib import Path

import pytest
from isal import isal_zlib

from corten.store.layertar.hashing import BUFFER, Hashing

EDGES = (0, 1, 511, 512, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER, 9 * BUFFER + 7)


@pytest.mark.parametrize("seed", range(20))
def test_digest_crc_and_size_are_those_of_the_bytes(tmp_path: Path, seed: int) -> None:
    chance, whole = random.Random(seed), b""
    with Hashing() as hashing:
        for number in range(chance.randint(1, 12)):
            data = chance.randbytes(chance.choice(EDGES))
            whole += data
            if chance.random() < 0.5:
                hashing.add(data)
                continue
            (tmp_path / str(number)).write_bytes(data)
            fd = os.open(tmp_path / str(number), os.O_RDONLY)
            try:
                assert hashing.read(fd, len(data)) == isal_zlib.crc32(data)
            finally:
                os.close(fd)
        assert hashing.size == len(whole)
        assert hashing.hexdigest() == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("size", [1, 5 * BUFFER])
def test_a_file_that_became_shorter_is_an_error(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (size - 1))
    fd = os.open(path, os.O_RDONLY)
    try:
        with Hashing() as hashing, pytest.raises(OSError, match="became shorter"):
            hashing.read(fd, size)
    finally:
        os.close(fd)
