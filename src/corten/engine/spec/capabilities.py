"""The capabilities of a container: Docker's fourteen, what `--cap-add` and `--cap-drop` make of them, or all when privileged."""

from collections.abc import Iterable, Sequence

from corten.errors import Invalid
from corten.kernel.caps import CAPS

_DEFAULT = """
CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE
"""
DEFAULT_CAPABILITIES = tuple(f"CAP_{name}" for name in _DEFAULT.split())
_ALL = "ALL"


def normalize_capabilities(names: Iterable[str], available: Sequence[str]) -> list[str]:
    """`sys_admin` as `CAP_SYS_ADMIN`; `ALL` stays. Raises Invalid, as Docker words it, for names unknown or not to be had here."""
    found = []
    for name in map(str.upper, names):
        full = name if name == _ALL or name.startswith("CAP_") else f"CAP_{name}"
        if full != _ALL and full not in CAPS:
            raise Invalid(f'unknown capability: "{full}"', reason="unknown-capability")
        if full != _ALL and full not in available:
            raise Invalid(
                f'capability not supported by your kernel or not available in the current environment: "{full}"',
                reason="capability-not-available",
            )
        found.append(full)
    return found


def container_capabilities(add: Sequence[str], drop: Sequence[str], *, privileged: bool, available: Sequence[str]) -> list[str]:
    """The bounding set, in Docker's order. `available` are those this engine holds itself, in kernel order."""
    if privileged:
        return list(available)
    added, dropped = normalize_capabilities(add, available), normalize_capabilities(drop, available)
    if _ALL in added:
        return [name for name in available if name not in dropped]
    if _ALL in dropped:
        return added
    kept = [name for name in DEFAULT_CAPABILITIES if name not in dropped]
    return kept + [name for name in added if name not in dropped]
