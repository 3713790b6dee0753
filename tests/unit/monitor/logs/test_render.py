"""What of a log a client gets, and how it looks."""

from corten.monitor.logs.decode import Run
from corten.monitor.logs.render import Renderer, Selection, bound
from corten.monitor.stdio.frames import frame_header

TIME = b"2023-11-14T22:13:20.5Z"
OUT = Run(1, TIME, {"b": "2 3", "a": "1"}, [b"one", b"three"], b"\n")
ERR = Run(2, TIME, {}, [b"part"], b"")


def test_plain() -> None:
    renderer = Renderer(Selection())
    assert renderer.render(OUT) == b"one\nthree\n"
    assert renderer.render(ERR) == b"part"


def test_streams() -> None:
    assert Renderer(Selection(stdout=False)).render(OUT) == b""
    assert Renderer(Selection(stderr=False)).render(ERR) == b""


def test_one_frame_an_entry() -> None:
    renderer = Renderer(Selection(framed=True))
    assert renderer.render(OUT) == frame_header(1, 4) + b"one\n" + frame_header(1, 6) + b"three\n"
    assert renderer.render(ERR) == frame_header(2, 4) + b"part"


def test_timestamps_and_details_stand_inside_the_frame() -> None:
    prefix = b"2023-11-14T22:13:20.500000000Z a=1,b=2+3 "
    wants = Selection(timestamps=True, details=True)
    assert Renderer(wants).render(OUT) == prefix + b"one\n" + prefix + b"three\n"
    framed = Renderer(wants._replace(framed=True)).render(OUT)
    assert framed == frame_header(1, len(prefix) + 4) + prefix + b"one\n" + frame_header(1, len(prefix) + 6) + prefix + b"three\n"


def test_details_of_none_are_a_blank() -> None:
    assert Renderer(Selection(details=True)).render(ERR) == b" part"


def test_bounds_belong_to_what_is_wanted() -> None:
    at = 1_700_000_000_500_000_000
    assert Renderer(Selection(since=bound(at), until=bound(at))).render(ERR) == b"part"
    assert Renderer(Selection(since=bound(at + 1))).render(ERR) == b""
    renderer = Renderer(Selection(until=bound(at - 1)))
    assert not renderer.is_over
    assert renderer.render(ERR) == b""
    assert renderer.is_over
