"""Device requests of containers (`--device vendor.com/class=name`, `--gpus`) to edits, in Docker's words where they cannot be had."""

from collections.abc import Callable, Sequence

from corten.engine.devices.cdi import Edits, merged
from corten.engine.devices.injection import FAILED
from corten.engine.devices.registry import CdiRegistry
from corten.engine.values.container import DeviceRequest
from corten.errors import EngineError, Invalid

CDI = "cdi"
_NVIDIA = frozenset(("gpu", "nvidia", "compute", "compat32", "graphics", "utility", "video", "display"))
_AMD = frozenset(("gpu", "amd"))
_VENDORS = {"nvidia": ("nvidia.com/gpu", _NVIDIA), "amd": ("amd.com/gpu", _AMD)}
"""By the driver's name: the kind of its devices, and what it can do. The first that has devices and can do what is asked serves it."""


class Devices:
    """What may be asked for by name or by capability. `why_none` tells why there is no GPU, "" when it does not know."""

    def __init__(self, registry: CdiRegistry, why_none: Callable[[], str] = str) -> None:
        self.registry = registry
        self._why_none = why_none

    def edits(self, requests: Sequence[DeviceRequest]) -> Edits | None:
        """None for no request. A container that was asked to have a device must not run without it: raises EngineError, Invalid."""
        return merged([self._edits(request) for request in requests]) if requests else None

    def _edits(self, request: DeviceRequest) -> Edits:
        if request.driver == CDI and self.registry.folders:
            return self._by_name(request)
        for driver, (kind, abilities) in _VENDORS.items():
            is_fit = request.driver == driver or (not request.driver and _can(abilities, request))
            if is_fit and (known := self._of_kind(kind)):
                return self._injected(_chosen(request, kind, known))
        raise self._no_driver(request)

    def _of_kind(self, kind: str) -> list[str]:
        return [device.name for device in self.registry.look().devices.values() if device.kind == kind]

    def _by_name(self, request: DeviceRequest) -> Edits:
        if request.count:
            raise Invalid("unexpected count in CDI device request", reason="bad-device-request")
        if request.options:
            raise Invalid("unexpected options in CDI device request", reason="bad-device-request")
        return self._injected(request.device_ids)

    def _injected(self, names: Sequence[str]) -> Edits:
        edits, missing = self.registry.edits(names)
        if missing:
            raise EngineError(f"{FAILED}unresolvable CDI devices {', '.join(missing)}", reason="no-cdi-device", hint=self._where(missing))
        return edits

    def _where(self, missing: Sequence[str]) -> str:
        """What would help: a file that could not be read, or the names that there are."""
        findings = self.registry.look()
        for path, errors in findings.errors.items():
            return f"{path}: {errors[0]}"
        kinds = {name.partition("=")[0] for name in missing}
        near = [name for name in findings.devices if name.partition("=")[0] in kinds]
        if near:
            return f"there are {', '.join(near[:10])}"
        return f"no specification in {' or '.join(self.registry.folders)} has that kind"

    def _no_driver(self, request: DeviceRequest) -> EngineError:
        wanted = " ".join(f"[{' '.join(names)}]" for names in request.capabilities)
        return EngineError(
            f'could not select device driver "{request.driver}" with capabilities: [{wanted}]',
            reason="no-device-driver",
            hint=self._why_none() or None,
        )


def _can(abilities: frozenset[str], request: DeviceRequest) -> bool:
    """Capabilities are a list of lists: all of one of them."""
    return any(abilities.issuperset(names) for names in request.capabilities)


def _chosen(request: DeviceRequest, kind: str, known: Sequence[str]) -> Sequence[str]:
    """Names of devices: those asked for by number, UUID or whole name; the first COUNT; all."""
    if request.count and request.device_ids:
        raise Invalid("cannot set both Count and DeviceIDs on device request", reason="bad-device-request")
    if request.count < 0:
        return [f"{kind}=all"] if f"{kind}=all" in known else known
    ids = request.device_ids or tuple(map(str, range(request.count)))
    return [name if "=" in name else f"{kind}={name}" for name in ids]
