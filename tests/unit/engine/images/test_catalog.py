import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.engine.images.catalog import ImageListQuery, parse_target
from corten.engine.images.changes import apply_changes
from corten.engine.images.patterns import compile_pattern
from corten.engine.progress import Progress, Throttle, bar
from corten.errors import Invalid, NotFound
from corten.oci.image import Healthcheck, RunConfig
from corten.oci.platform import parse_platform
from tests.unit.engine.images.ground import Ground

DIGEST = "sha256:" + "d" * 64


def listed(ground: Ground, filters: dict[str, list[str]], *, all: bool = False) -> list[tuple[str, ...]]:
    found = ground.images.catalog.summaries(ImageListQuery(all=all, filters=filters))
    return [summary.tags or (summary.image.config.author,) for summary in found]


def test_lists_are_newest_first_and_hide_untagged_parents(ground: Ground) -> None:
    parent = ground.image(created=1)
    ground.image("old", created=2, parent=parent)
    ground.image("new", "new:v2", created=3)
    ground.image(created=4)
    assert listed(ground, {}) == [("()4",), ("new:latest", "new:v2"), ("old:latest",)]
    assert listed(ground, {}, all=True)[-1] == ("()1",)


@pytest.mark.parametrize(
    ("filters", "want"),
    [
        ({"dangling": ["true"]}, ["()4"]),
        ({"dangling": ["false"]}, ["new:latest", "user/old:v1"]),
        ({"label": ["a"]}, ["new:latest"]),
        ({"label": ["a=b", "c"]}, ["new:latest"]),
        ({"label": ["a=x"]}, []),
        ({"reference": ["new"]}, ["new:latest"]),
        ({"reference": ["*/old"]}, ["user/old:v1"]),
        ({"reference": ["*"]}, ["new:latest"]),
        ({"reference": ["n*:lat?st", "nope"]}, ["new:latest"]),
        ({"before": ["new"]}, ["user/old:v1"]),
        ({"since": ["user/old:v1"]}, ["()4", "new:latest"]),
        ({"until": ["3"]}, ["user/old:v1"]),
    ],
)
def test_filters(ground: Ground, filters: dict[str, list[str]], want: list[str]) -> None:
    ground.image("user/old:v1", created=2)
    ground.image("new", created=3, Labels={"a": "b", "c": ""})
    ground.image(created=4)
    assert [names[0] for names in listed(ground, filters)] == want


@pytest.mark.parametrize(
    ("filters", "error", "text"),
    [
        ({"dangling": ["x"]}, Invalid, "invalid filter 'dangling=[x]'"),
        ({"since": ["nope"]}, NotFound, "No such image: nope:latest"),
        ({"reference": ["["]}, Invalid, "syntax error in pattern"),
        ({"until": ["xx"]}, Invalid, 'failed to parse value as time or duration: "xx"'),
    ],
)
def test_bad_filters(ground: Ground, filters: dict[str, list[str]], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        listed(ground, filters)
    assert str(caught.value) == text


def test_shared_sizes_and_users(ground: Ground) -> None:
    shared, own = ground.layer("a", 100), ground.layer("b", 30)
    one = ground.image("one", layers=(shared,))
    ground.image("two", layers=(shared, own))
    container = ground.use(one)
    found = ground.images.catalog.summaries(ImageListQuery(shared_size=True))
    assert {s.tags[0]: (s.shared_size, s.image.size, s.users) for s in found} == {
        "one:latest": (100, 100, (container,)),
        "two:latest": (100, 130, ()),
    }
    assert {s.shared_size for s in ground.images.catalog.summaries(ImageListQuery())} == {-1}


def test_history_names_what_is_here(ground: Ground) -> None:
    layers = (ground.layer("a", 100), ground.layer("b", 30))
    parent = ground.image("base", layers=layers[:1])
    child = ground.image("app", layers=layers, parent=parent)
    lines = ground.images.catalog.history("app")
    assert [(line.created_by, line.size, line.id, line.tags) for line in lines] == [
        ("CMD", 0, child, ("app:latest",)),
        ("made 1", 30, parent, ("base:latest",)),
        ("made 0", 100, "<missing>", ()),
    ]


def test_another_platform_is_not_this_image(ground: Ground) -> None:
    ground.image("app")
    assert ground.images.catalog.get("app", parse_platform("linux/amd64"))
    with pytest.raises(NotFound) as error:
        ground.images.catalog.get("app", parse_platform("linux/arm64"))
    assert error.value.message == (
        "image with reference app was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)"
    )


def test_tagging(ground: Ground) -> None:
    image_id = ground.image("app", Labels={"a": "b"})
    ground.images.catalog.tag("app", "user/app", "v2")
    ground.images.catalog.tag("app", "", "")
    assert ground.store.images.get("user/app:v2").id == image_id
    (event,) = ground.events.past(0, None, {})
    assert (event.action, dict(event.attributes)) == ("tag", {"a": "b", "name": "user/app:v2"})
    with pytest.raises(Invalid, match="refusing to create an ambiguous tag"):
        ground.images.catalog.tag("app", "sha256:abc", "")
    with pytest.raises(NotFound, match="nope"):
        ground.images.catalog.tag("nope", "x", "")


def test_targets() -> None:
    assert parse_target("", "x") is None
    assert str(parse_target("a:b", "")) == "docker.io/library/a:b"
    assert str(parse_target("a:b", "c")) == "docker.io/library/a:c"
    assert str(parse_target("a", "")) == "docker.io/library/a:latest"
    for repository, tag in ((f"a@{DIGEST}", ""), ("a", "b:c"), ("A", "")):
        with pytest.raises(Invalid):
            parse_target(repository, tag)


def test_the_family_of_an_image(ground: Ground) -> None:
    layers = (ground.layer("a"), ground.layer("b"))
    base, app = ground.image("base", layers=layers[:1]), ground.image("app", layers=layers)
    assert set(ground.images.catalog.family("base")) == {base, app}
    assert set(ground.images.catalog.family("app")) == {app}
    assert set(ground.images.catalog.family("nope")) == set(ground.images.catalog.family("UPPER")) == set()


@pytest.mark.parametrize(
    ("pattern", "text", "want"),
    [
        ("a*", "abc", True), ("a*", "a/b", False), ("a?c", "abc", True), ("?", "/", False), ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False), ("[^a-c]", "/", False), (r"\*", "*", True), (r"\*", "a", False), ("a.c", "abc", False),
        ("*/*", "u/app", True), ("[z-a]", "b", False),
    ],
)  # fmt: skip
def test_patterns_are_gos(pattern: str, text: str, want: bool) -> None:
    assert (compile_pattern(pattern).fullmatch(text) is not None) == want


@settings(max_examples=40)
@given(st.text(alphabet="ab/*?[]-^\\", max_size=12), st.text(alphabet="ab/-^", max_size=6))
def test_any_pattern_matches_or_is_a_syntax_error(pattern: str, text: str) -> None:
    try:
        compile_pattern(pattern).fullmatch(text)
    except Invalid as error:
        assert error.message == "syntax error in pattern"


def test_bars_are_dockers() -> None:
    assert bar(65536, 4085760) == "[>                                                  ]  65.54kB/4.086MB"
    assert bar(3080192, 4085760) == "[=====================================>             ]   3.08MB/4.086MB"
    assert bar(4085760, 4085760) == "[==================================================>]  4.086MB/4.086MB"
    assert bar(5000, 0) == "     5kB"
    assert bar(0, 0) == ""


def test_progress_is_told_now_and_then_and_at_the_end() -> None:
    sent: list[int] = []
    throttle = Throttle(lambda progress: sent.append(progress.current))
    for current in range(101):
        throttle(Progress("a", "Loading layer", current, 100))
    assert sent == [0, 100]


def test_changes_of_a_config() -> None:
    changes = [
        "CMD echo hi", "ENV A=b C=d", "LABEL x=y", "EXPOSE 80", 'ENTRYPOINT ["a"]', "USER u", "WORKDIR /w", "WORKDIR sub", "VOLUME /v",
        "HEALTHCHECK CMD true", "STOPSIGNAL SIGINT", "ONBUILD RUN x", "env E=f",
    ]  # fmt: skip
    assert apply_changes(RunConfig(env=["A=a", "Z=z"]), changes) == RunConfig(
        cmd=["/bin/sh", "-c", "echo hi"],
        env=["A=b", "Z=z", "C=d", "E=f"],
        labels={"x": "y"},
        exposed_ports={"80/tcp": {}},
        entrypoint=["a"],
        user="u",
        working_dir="/w/sub",
        volumes={"/v": {}},
        healthcheck=Healthcheck(test=["CMD-SHELL", "true"]),
        stop_signal="SIGINT",
        on_build=["RUN x"],
    )
    assert apply_changes(RunConfig(), []) == RunConfig()
    with pytest.raises(Invalid, match="RUN is not a valid change command"):
        apply_changes(RunConfig(), ["run x"])
    with pytest.raises(Invalid):
        apply_changes(RunConfig(), ["EXPOSE x"])
