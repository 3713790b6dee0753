"""Whiteouts: how a layer's tar says "this is gone below" (OCI image spec, layer.md) and how overlayfs says it.

in a tar                      in a directory that overlayfs stacks
dir/.wh.name                  dir/name            character device 0:0
dir/.wh..wh..opq              dir                 xattr trusted.overlay.opaque = "y"
.wh..wh.plnk, .wh..wh.aufs …  nothing: bookkeeping of AUFS
"""

from typing import Final

PREFIX: Final = b".wh."
META_PREFIX: Final = b".wh..wh."
OPAQUE: Final = b".wh..wh..opq"

OPAQUE_XATTR: Final = "trusted.overlay.opaque"
OPAQUE_VALUE: Final = b"y"
WHITEOUT_DEVICE: Final = 0
"""The device number (0:0) of overlayfs's whiteouts."""


def whiteout_target(name: bytes) -> bytes | None:
    """The name that the tar entry `.wh.NAME` hides; None when `name` is no whiteout of a name (b"" is never hidden)."""
    if not name.startswith(PREFIX) or name.startswith(META_PREFIX):
        return None
    return name[len(PREFIX) :] or None


def whiteout_name(name: bytes) -> bytes:
    return PREFIX + name


def is_private_xattr(name: bytes) -> bool:
    """True for attributes that steer overlayfs itself: never taken from a layer, never put into one."""
    return name.startswith((b"trusted.overlay.", b"user.overlay."))
