"""API versions: negotiation, and every difference between their answers. No other module compares versions."""

from typing import Final

from corten.http.response import Response

Version = tuple[int, int]

MINIMUM: Final[Version] = (1, 24)
CURRENT: Final[Version] = (1, 51)

MULTIPLEXED: Final = "application/vnd.docker.multiplexed-stream"
RAW: Final = "application/vnd.docker.raw-stream"


def format_version(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def parse_version(text: str) -> Version:
    """`1.41`. What does not parse counts as 0, as in Docker: `1.` is 1.0, further members are dropped."""
    members = [int(member) if member.isdecimal() else 0 for member in text.split(".")]
    return members[0], members[1] if len(members) > 1 else 0


def find_refusal(text: str, version: Version) -> Response | None:
    """The answer to a client whose version is not served. Clients read these words, and too old means plain text."""
    if version < MINIMUM:
        message = (
            f"client version {text} is too old. Minimum supported API version is {format_version(MINIMUM)}, "
            "please upgrade your client to a newer version\n"
        )
        return Response(400, message.encode(), "text/plain; charset=utf-8", (("X-Content-Type-Options", "nosniff"),))
    if version > CURRENT:
        message = f"client version {text} is too new. Maximum supported API version is {format_version(CURRENT)}"
        return Response(400, b'{"message":"%b"}\n' % message.encode(), "application/json")
    return None


def stream_type(version: Version, *, multiplexed: bool) -> str:
    """The content type of attach, exec and log streams: 1.42 tells framed ones apart."""
    return MULTIPLEXED if multiplexed and version >= (1, 42) else RAW
