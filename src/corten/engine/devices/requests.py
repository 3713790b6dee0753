"""Device requests of containers (`--device vendor.com/class=name`, `--gpus`) to edits, in Docker's words where they cannot be had."""

from collections.abc import Sequence

from corten.engine.devices.cdi import Edits, merged
from corten.engine.devices.injection import FAILED
from corten.engine.devices.registry import Registry
from corten.engine.values.container import DeviceRequest
from corten.errors import EngineError, Invalid

CDI = "cdi"


class Devices:
    """What may be asked for by name or by capability."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def edits(self, requests: Sequence[DeviceRequest]) -> Edits | None:
        """None for no request. A container that was asked to have a device must not run without it: raises EngineError, Invalid."""
        return merged([self._edits(request) for request in requests]) if requests else None

    def _edits(self, request: DeviceRequest) -> Edits:
        if request.driver == CDI and self.registry.folders:
            return self._by_name(request)
        raise _no_driver(request)

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


def _no_driver(request: DeviceRequest) -> EngineError:
    wanted = " ".join(f"[{' '.join(names)}]" for names in request.capabilities)
    return EngineError(
        f'could not select device driver "{request.driver}" with capabilities: [{wanted}]',
        reason="no-device-driver",
        hint="GPUs are not supported yet; pass device nodes with --device and libraries with -v",
    )
