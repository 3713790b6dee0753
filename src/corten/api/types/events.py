"""What `/events` streams, one object a line."""

from msgspec import UNSET, UnsetType, field

from corten.api.wire import AnswerStruct


class EventActor(AnswerStruct, frozen=True, kw_only=True):
    id: str
    attributes: dict[str, str]


class EventAnswer(AnswerStruct, frozen=True, kw_only=True):
    """A line of `/events`. The lower-case fields are for old clients and come with container and image events only."""

    status: str | UnsetType = field(name="status", default=UNSET)
    id: str | UnsetType = field(name="id", default=UNSET)
    sender: str | UnsetType = field(name="from", default=UNSET)
    type: str
    action: str
    actor: EventActor
    scope: str = field(name="scope", default="local")
    time: int = field(name="time")
    time_nano: int = field(name="timeNano")
