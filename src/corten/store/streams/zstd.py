"""Zstandard, wherever this Python has it: in the standard library from 3.14, in backports.zstd before. Nobody else asks which.

Both have the names and meanings of `compression.zstd` in Python's manual.
"""

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError, compress
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError, compress

__all__ = ["ZstdCompressor", "ZstdDecompressor", "ZstdError", "compress"]
