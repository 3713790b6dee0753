"""Bind mounts in which a user of the host and the container's user are one: what the container writes belongs to the host's user.

By id-mapped mounts (mount_setattr(2), Linux 5.12): on disk the owner's id, in the container the id of the user that runs there. All other
ids stay what they are, but for those two: a file on disk of the container user's id shows as nobody's, and a process with the owner's
id cannot create files there, so that neither becomes the other's.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from corten.errors import Invalid

ANNOTATION: Final = "corten.bind-owner"
_OWNER = re.compile(r"(\d{1,10}):(\d{1,10})")
_END: Final = 2**32 - 1  # (uid_t)-1 is no id


def parse_bind_owner(annotations: Mapping[str, str]) -> tuple[int, int] | None:
    """uid and gid on the host; None when the mounts are to show what is there. Raises Invalid."""
    text = annotations.get(ANNOTATION)
    if text is None:
        return None
    match = _OWNER.fullmatch(text)
    if match is None or int(match[1]) >= _END or int(match[2]) >= _END:
        raise Invalid(f"invalid annotation {ANNOTATION}: '{text}': expected UID:GID", reason="bad-bind-owner")
    return int(match[1]), int(match[2])


def owner_mappings(owner: tuple[int, int], user: tuple[int, int]) -> dict[str, Any]:
    """The members uidMappings and gidMappings of an OCI mount; `user` is uid and gid in the container. {} when they are one already."""
    if owner == user:
        return {}
    return {"uidMappings": _mappings(owner[0], user[0]), "gidMappings": _mappings(owner[1], user[1])}


def _mappings(on_disk: int, shown: int) -> list[dict[str, int]]:
    found = [{"containerID": on_disk, "hostID": shown, "size": 1}]
    start = 0
    for stop in (*sorted({on_disk, shown}), _END):
        if stop > start:
            found.append({"containerID": start, "hostID": start, "size": stop - start})
        start = stop + 1
    return found
