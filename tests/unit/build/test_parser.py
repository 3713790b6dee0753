"""Dockerfile text to instructions, and the errors with their lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.errors import DockerfileError, excerpt
from corten.build.dockerfile.parser import parse


def steps(body: str) -> tuple[ins.Instruction, ...]:
    return parse(f"FROM scratch\n{body}").stages[0].steps


def only(body: str) -> ins.Instruction:
    (step,) = steps(body)
    return step


def test_stages_and_global_args() -> None:
    d = parse("ARG V=1\nFROM --platform=$BUILDPLATFORM python:$V AS Base\nRUN a\nFROM base\n")
    assert [a.pairs for a in d.global_args] == [(("V", "1"),)]
    assert [(s.name, s.base.image, s.base.platform) for s in d.stages] == [("base", "python:$V", "$BUILDPLATFORM"), ("", "base", "")]


def test_continuations_drop_comments_and_blank_lines() -> None:
    step = only("RUN a && \\\n  # why\n\n  b \\\n  c\nUSER x".rpartition("\n")[0])
    assert isinstance(step, ins.Run)
    assert step.command.text.split() == ["a", "&&", "b", "c"]
    assert (step.place.start, step.place.end) == (2, 6)


def test_another_escape_character() -> None:
    d = parse("# escape=`\nFROM scratch\nRUN a `\n b\\\n")
    step = d.stages[0].steps[0]
    assert isinstance(step, ins.Run)
    assert step.command.text.split() == ["a", "b\\"]


def test_exec_and_shell_forms() -> None:
    found = steps('CMD ["a", "b c"]\nENTRYPOINT a b\nRUN [broken, json]\nCMD []')
    assert [s.command for s in found if isinstance(s, ins.Cmd | ins.Entrypoint | ins.Run)] == [
        ins.Command(argv=("a", "b c")),
        ins.Command(text="a b"),
        ins.Command(text="[broken, json]"),
        ins.Command(argv=()),
    ]


def test_heredocs() -> None:
    step = only('RUN <<EOF\necho "$A"\nEOF')
    assert isinstance(step, ins.Run)
    assert [(h.name, h.content, h.expand) for h in step.heredocs] == [("EOF", 'echo "$A"\n', True)]
    copy = only('COPY <<-"one.txt" <<two.txt /d/\n\ta\none.txt\nb\ntwo.txt')
    assert isinstance(copy, ins.Copy)
    assert [(h.name, h.content, h.expand) for h in copy.heredocs] == [("one.txt", "a\n", False), ("two.txt", "b\n", True)]
    assert (copy.sources, copy.target) == ((), "/d/")


def test_a_heredoc_mark_in_quotes_is_text() -> None:
    step = only('RUN echo "<<EOF"')
    assert isinstance(step, ins.Run)
    assert step.heredocs == ()


def test_copy_flags() -> None:
    step = only('COPY --from=build --chown=1:2 --chmod=u+x --link --exclude=*.md --exclude=x ["a b", "c", "/d/"]')
    assert isinstance(step, ins.Copy)
    assert (step.sources, step.target, step.from_, step.link, step.excludes) == (("a b", "c"), "/d/", "build", True, ("*.md", "x"))


def test_run_mounts() -> None:
    step = only("RUN --mount=type=cache,target=/c,id=pip,sharing=locked --mount=type=secret,id=t,required --network=none x")
    assert isinstance(step, ins.Run)
    assert step.mounts == (
        ins.MountFlag(type="cache", options={"target": "/c", "id": "pip", "sharing": "locked"}),
        ins.MountFlag(type="secret", options={"id": "t", "required": ""}),
    )
    assert step.network == "none"


def test_run_devices() -> None:
    step = only('RUN --device=v.com/gpu=0 --device=name=v.com/gpu,required --device=gpu,required=false --device="v.com/a=b,REQUIRED=1" x')
    assert isinstance(step, ins.Run)
    wanted = [("v.com/gpu=0", False), ("v.com/gpu", True), ("gpu", False), ("v.com/a=b", True)]
    assert [(device.name, device.required) for device in step.devices] == wanted


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("a,name=b", "device name already set to a"),
        ("a,b", "invalid field 'b' must be a key=value pair"),
        ("a,requird=true", r"unexpected key 'requird' in 'requird=true' \(did you mean required\?\)"),
        ("a,required=maybe", "invalid value for required: maybe"),
    ],
)
def test_bad_devices(flag: str, says: str) -> None:
    with pytest.raises(DockerfileError, match=says):
        only(f"RUN --device={flag} x")


def test_env_label_arg() -> None:
    found = steps("ENV a=1 b=\"x y\" c=x\\ y\nENV old way of it\nLABEL k='v w'\nARG p q=1")
    assert found[0] == ins.Env(place=found[0].place, pairs=(("a", "1"), ("b", '"x y"'), ("c", "x\\ y")))
    assert isinstance(found[1], ins.Env)
    assert (found[1].pairs, found[1].legacy) == ((("old", "way of it"),), True)
    assert isinstance(found[3], ins.Arg)
    assert found[3].pairs == (("p", None), ("q", "1"))


def test_healthcheck() -> None:
    step = only('HEALTHCHECK --interval=1m30s --retries=5 CMD ["curl", "x"]')
    assert isinstance(step, ins.HealthCheck)
    assert (step.test, step.interval, step.retries) == (("CMD", "curl", "x"), 90 * 10**9, 5)


BAD = [
    ("RUNN x", 2, "unknown instruction: RUNN (did you mean RUN?)"),
    ("COPY --form=x a b", 2, "unknown flag: --form (did you mean from?)"),
    ("COPY a", 2, "COPY requires at least two arguments, but only one was provided"),
    ("ENV a=1 b", 2, 'can\'t find = in "b"'),
    ("ENV a", 2, "ENV must have two arguments"),
    ("RUN <<EOF\nx", 2, "unterminated heredoc"),
    ("FROM a b", 2, "FROM requires either one or three arguments"),
    ("FROM a AS 1x", 2, "invalid name for build stage"),
    ("ONBUILD ONBUILD RUN x", 2, "Chaining ONBUILD"),
    ("ONBUILD FROM x", 2, "isn't allowed as an ONBUILD trigger"),
    ("SHELL x", 2, "SHELL requires the arguments to be in JSON form"),
    ("HEALTHCHECK x", 2, 'Unknown type "X"'),
    ("HEALTHCHECK --interval=5q CMD x", 2, 'time: unknown unit "q" in duration "5q"'),
    ("RUN --mount=type=cashe,target=/x y", 2, "unsupported mount type"),
    ("RUN --mount=type=cache,traget=/x y", 2, "unexpected key 'traget'"),
    ("RUN --network=nope x", 2, "invalid network mode"),
    ("USER a\n\nWORKDIR", 4, "WORKDIR requires exactly one argument"),
]


@pytest.mark.parametrize(("body", "line", "message"), BAD)
def test_mistakes_are_named_with_their_line(body: str, line: int, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        steps(body)
    assert message in caught.value.message
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file with no instructions"),
        ("# only a comment\n", "file with no instructions"),
        ("RUN x\n", "no build stage in current context"),
        ("ARG x\n", "no build stage in current context"),
        ("# escape=x\nFROM scratch\n", "invalid escape token"),
        ("# escape=\\\n# escape=`\nFROM scratch\n", "only one escape parser directive"),
        ("# syntax=evil/frontend:1\nFROM scratch\n", "cannot be run"),
        ("FROM scratch\n" + "#\n" * (1 << 20), "larger than 2 MiB"),
        ("FROM scratch\nENV A=" + "x" * 65536, "line greater than maximum allowed size of 65535"),
        ("FROM scratch\nRUN a" + "\\\n" + f"{'b' * 60000}\\\n" * 5, "longer than 256 KiB"),
        ("FROM a\n" * 10_001, "more than 10000 stages"),
    ],
)
def test_bad_files(text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message):
        parse(text)


def test_the_builtin_frontend_is_accepted() -> None:
    assert parse("# syntax=docker/dockerfile:1.7-labs\nFROM scratch\n").directives == {"syntax": "docker/dockerfile:1.7-labs"}


def test_excerpt_marks_the_lines() -> None:
    shown = excerpt("FROM a\nRUN b\nRUN c\nRUN d\n", "Dockerfile", 2, 2)
    assert shown.splitlines()[0] == "Dockerfile:2"
    assert "   2 | >>> RUN b" in shown
    assert "   1 |     FROM a" in shown


@given(st.text("FROMRUNCPYAS abc\\\n<-E#=$\"'[]{}--:", max_size=120))
def test_any_text_parses_or_is_refused_with_a_line(text: str) -> None:
    try:
        assert parse(f"FROM x\n{text}").stages
    except DockerfileError as error:
        assert error.line >= 1
