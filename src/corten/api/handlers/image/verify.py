"""`POST /corten/images/verify`: stored layers examined file by file, and fetched again where a file is not what it was."""

from collections.abc import AsyncIterator

from corten.api.registry_config import read_registry_config
from corten.api.request import Request
from corten.api.types.images import FaultAnswer, VerifiedAnswer
from corten.api.wire import encode
from corten.engine.images.verification import LayerReport
from corten.http.response import Reply, Stream


async def images_verify(request: Request) -> Reply:
    """`names` (repeated; none = every layer stored), `repair`. Answers a line for each layer as it is done."""
    verification = request.app.images.verification
    credentials = read_registry_config(request.headers.get("x-registry-config"))
    names = [name for name in request.values("names") if name]
    return Stream(_lines(verification.verify(names, repair=request.flag("repair"), credentials=credentials)))


async def _lines(found: AsyncIterator[LayerReport]) -> AsyncIterator[bytes]:
    async for layer in found:
        yield encode(_answer(layer))


def _answer(found: LayerReport) -> VerifiedAnswer:
    return VerifiedAnswer(
        layer=found.layer,
        images=list(found.images),
        state=found.state,
        files=found.files,
        size=found.size,
        faults=[FaultAnswer(kind=fault.kind, path=fault.path, what=fault.what) for fault in found.faults],
        origin=found.origin,
        problem=found.problem,
        hint=found.hint,
    )
