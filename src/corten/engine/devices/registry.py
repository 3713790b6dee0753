"""The CDI specifications of this machine: directories of them, read again when something in them has changed.

A device in a later directory takes the place of one of the same name in an earlier one; in one directory the two exclude each other.
"""

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from corten.engine.devices.cdi import MOST_BYTES, Edits, Spec, SpecError, annotations_of, merged, name_of, parse_spec

logger = logging.getLogger("corten.devices")
_KINDS = (".json", ".yaml")


class _Stamp(NamedTuple):
    """What tells a changed file from the one that was read."""

    path: str
    inode: int
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class CdiDevice:
    """`name` is qualified: vendor.com/class=device. `common` holds for all devices of its specification, `own` for this one."""

    name: str
    path: str
    annotations: Mapping[str, str]
    common: Edits
    own: Edits

    @property
    def kind(self) -> str:
        return self.name.partition("=")[0]


@dataclass(frozen=True, slots=True)
class RegistryScan:
    """Devices by qualified name, in order; what is wrong by file."""

    devices: Mapping[str, CdiDevice] = field(default_factory=dict)
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)


class CdiRegistry:
    """`generated` gives specifications that no file holds, by what stands for their path: what a file has goes before them."""

    def __init__(self, folders: Iterable[str], generated: Callable[[], Mapping[str, Spec]] = dict) -> None:
        self.folders = tuple(folder for folder in folders if folder)
        self._generated = generated
        self._stamps: tuple[_Stamp, ...] | None = None
        self._findings = RegistryScan()

    def look(self) -> RegistryScan:
        """As the directories are now. Reads files only when one has changed since; tells the log of what is wrong once."""
        stamps = tuple(stamp for folder in self.folders for stamp in _listed(folder))
        if stamps != self._stamps:
            found = _Reading(self.folders)
            for stamp in stamps:
                found.read(stamp.path)
            findings = found.done()
            for path, errors in findings.errors.items():
                if errors != self._findings.errors.get(path):
                    logger.warning("CDI specification %s: %s", path, "; ".join(errors))
            self._stamps, self._findings = stamps, findings
        return self._with_generated(self._findings)

    def edits(self, names: Iterable[str]) -> tuple[Edits, list[str]]:
        """(what these devices change together, the names that there are not)."""
        devices = self.look().devices
        wanted = list(dict.fromkeys(names))
        missing = [name for name in wanted if name not in devices]
        parts: list[Edits] = []
        seen: set[str] = set()
        for device in (devices[name] for name in wanted if name in devices):
            if device.path not in seen:
                seen.add(device.path)
                parts.append(device.common)
            parts.append(device.own)
        return merged(parts), missing

    def _with_generated(self, findings: RegistryScan) -> RegistryScan:
        kinds = {device.kind for device in findings.devices.values()}
        more = {
            device.name: device for path, spec in self._generated().items() if spec.kind not in kinds for device in _devices_of(spec, path)
        }
        return RegistryScan(dict(sorted({**findings.devices, **more}.items())), findings.errors) if more else findings


class _Reading:
    """One pass over all directories."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._folders = folders
        self._devices: dict[str, CdiDevice] = {}
        self._errors: dict[str, list[str]] = {}
        self._conflicts: set[str] = set()

    def read(self, path: str) -> None:
        try:
            spec = parse_spec(_contents(path), yaml=path.endswith(".yaml"))
        except SpecError as error:
            self._errors.setdefault(path, []).append(f"failed to load CDI Spec {error}")
            return
        except OSError as error:
            self._errors.setdefault(path, []).append(f'failed to read CDI Spec "{path}": {error.strerror}')
            return
        for device in _devices_of(spec, path):
            self._add(device)

    def _add(self, device: CdiDevice) -> None:
        other = self._devices.get(device.name)
        if other is not None:
            if self._priority(other) == self._priority(device):
                text = f'conflicting device "{device.name}" (specs "{device.path}", "{other.path}")'
                for path in (device.path, other.path):
                    self._errors.setdefault(path, []).append(text)
                self._conflicts.add(device.name)
                return
            self._conflicts.discard(device.name)
        self._devices[device.name] = device

    def _priority(self, device: CdiDevice) -> int:
        return self._folders.index(os.path.dirname(device.path))

    def done(self) -> RegistryScan:
        names = sorted(self._devices.keys() - self._conflicts)
        return RegistryScan({name: self._devices[name] for name in names}, self._errors)


def _devices_of(spec: Spec, path: str) -> Iterator[CdiDevice]:
    for device in spec.devices:
        yield CdiDevice(f"{spec.kind}={name_of(device)}", path, annotations_of(spec, device), spec.container_edits, device.container_edits)


def _listed(folder: str) -> list[_Stamp]:
    """Specifications by name; a folder that is not there has none."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(_KINDS))
    except OSError:
        return []
    return [stamp for name in names if (stamp := _stamp(os.path.join(folder, name))) is not None]


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return _Stamp(path, 0, 0, 0)  # a link to nowhere: reading it says so
    return None if stat.S_ISDIR(found.st_mode) else _Stamp(path, found.st_ino, found.st_size, found.st_ctime_ns)


def _contents(path: str) -> bytes:
    """Raises OSError; SpecError for what is no plain file. One byte more than allowed at most."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(MOST_BYTES + 1)
