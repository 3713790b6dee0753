"""Progress of pulls, pushes, loads and imports as the JSON lines that Docker's clients draw."""

from msgspec import UNSET

from corten.api.types.images import ErrorDetail, ProgressDetail, StreamMessage
from corten.api.wire import encode
from corten.engine.progress import Message, Note, Progress, bar
from corten.errors import EngineError


def progress_line(message: Message) -> bytes:
    return stream_line(_wire(message))


def error_line(error: EngineError) -> bytes:
    """The last line of a stream whose work failed: its status has left long ago."""
    return stream_line(StreamMessage(error_detail=ErrorDetail(error.message), error=error.message))


def stream_line(message: StreamMessage) -> bytes:
    return encode(message).rstrip(b"\n") + b"\r\n"


def _wire(message: Message) -> StreamMessage:
    if isinstance(message, Note):
        return StreamMessage(stream=message.text)
    if isinstance(message, Progress):
        detail = ProgressDetail(message.current, message.total)
        drawn = bar(message.current, message.total)
        return StreamMessage(status=message.status, progress_detail=detail, progress=drawn or UNSET, id=message.id or UNSET)
    return StreamMessage(status=message.status, id=message.id or UNSET)
