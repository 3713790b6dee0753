"""The language of the API cases can fail: each check is seen to complain once."""

import pytest

from tests.api.script import Answer, complaints, filled, parse, value_at

ANSWER = Answer(200, {"content-type": "application/json"}, b'{"message":"no","a":[{"b":null}],"c":"x1"}')


def judged(text: str, answer: Answer = ANSWER, engine: str = "corten") -> list[str]:
    (step,) = parse(text)
    return list(complaints(step, answer, {"V": "x1"}, engine))


@pytest.mark.parametrize(
    "text",
    [
        "GET / 200",
        "GET / 200/404",
        "GET / 200\n  .a[0].b = null",
        '  # remark\nGET / 200\n  .c = "$V"',
        "GET / 200\n  .c ~ ^x\\d$",
        "GET / 200\n  .a[0] has b",
        "GET / 200\n  message = no",
        "GET / 200\n  text ~ no",
        "GET / 200\n  header Content-Type = application/json",
        "GET / 200\n  @docker .c = 5",
    ],
)
def test_what_holds(text: str) -> None:
    assert judged(text) == []


def test_headers_that_go_with_a_request() -> None:
    (step,) = parse("GET / 200\n  send Accept: a/b, c/d;q=0")
    assert step.headers == [("Accept", "a/b, c/d;q=0")]
    assert not step.checks


@pytest.mark.parametrize(
    "text",
    [
        "GET / 404",
        "GET / 200\n  .a[0].b = 1",
        "GET / 200\n  .a[1].b = 1",
        "GET / 200\n  .c ~ ^y",
        "GET / 200\n  .a[0] has c",
        "GET / 200\n  message = yes",
        "GET / 200\n  text = no",
        "GET / 200\n  header Server ~ x",
        "GET / 200\n  @corten .c = 5",
    ],
)
def test_what_does_not_hold(text: str) -> None:
    assert len(judged(text)) == 1


def test_a_status_may_differ_between_the_engines() -> None:
    assert judged("GET / 400/200", engine="docker") == []
    assert judged("GET / 400/200", engine="corten") != []


@pytest.mark.parametrize("text", ["  .a = 1", "GET x", "FETCH / 200", "GET / 200\n  nonsense"])
def test_mistakes_name_their_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^line "):
        parse(text)


def test_variables() -> None:
    assert filled(r"/$V/\$PATH", {"V": "x"}) == r"/x/\$PATH"
    with pytest.raises(KeyError):
        filled("$NOPE", {})
    assert value_at([[1, 2]], "[0][-1]") == 2
