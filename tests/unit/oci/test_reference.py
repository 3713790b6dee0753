import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corten.errors import Invalid
from corten.ids import Digest
from corten.oci.reference import Reference, is_reference, parse_reference

HEX = "80bb05b19d204f238893f264df21d76f80bb05b19d204f238893f264df21d76f"
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("python", "docker.io/library/python", "python"),
        ("python:3.12", "docker.io/library/python:3.12", "python:3.12"),
        ("user/app", "docker.io/user/app", "user/app"),
        ("docker.io/python", "docker.io/library/python", "python"),
        ("index.docker.io/user/app:v1", "docker.io/user/app:v1", "user/app:v1"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000/app:a_B.c-d", "localhost:5000/app:a_B.c-d", "localhost:5000/app:a_B.c-d"),
        ("ghcr.io/org/team/app", "ghcr.io/org/team/app", "ghcr.io/org/team/app"),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        ("Upper/app", "Upper/app", "Upper/app"),
        ("a--b/c__d/e.f", "docker.io/a--b/c__d/e.f", "a--b/c__d/e.f"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}", f"app@{DIGEST}"),
        (f"app:v1@{DIGEST}", f"docker.io/library/app:v1@{DIGEST}", f"app:v1@{DIGEST}"),
        ("docker.io/library/library/x", "docker.io/library/library/x", "library/library/x"),
    ],
)
def test_forms_that_docker_accepts(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)
    assert str(reference) == full
    assert reference.familiar == familiar
    assert parse_reference(familiar) == reference


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("::", "invalid reference format"),
        ("a@b", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        ("UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"),
        ("i/Upper:x", "invalid reference format: repository name (i/Upper) must be lowercase"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("a/" + "b" * 255, "repository name must not be more than 255 characters"),
        (f"a@sha256:{HEX[:40]}", f"invalid checksum digest length: sha256:{HEX[:40]}"),
        (f"a@md5:{HEX[:32]}", "unsupported digest algorithm: md5"),
    ],
)
def test_forms_that_docker_refuses(text: str, message: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_reference(text)
    assert error.value.message == message
    assert not is_reference(text)


def test_tags_and_digests_are_put_on_and_off() -> None:
    named = parse_reference("app")
    assert named.is_name_only
    assert named.with_default_tag().tag == "latest"
    assert parse_reference("app:x").with_default_tag().tag == "x"
    assert str(named.with_digest(Digest(DIGEST))) == f"docker.io/library/app@{DIGEST}"
    assert str(parse_reference(f"app@{DIGEST}").with_tag("v2")) == "docker.io/library/app:v2"
    with pytest.raises(Invalid, match="invalid tag format"):
        named.with_tag("a:b")


part = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
domain = st.from_regex(r"(localhost|[a-z]{1,5}\.[a-zA-Z]{1,4})(:[0-9]{1,5})?", fullmatch=True)
tag = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@settings(max_examples=30)
@given(st.none() | domain, st.lists(part, min_size=1, max_size=4), st.none() | tag, st.booleans())
def test_what_is_built_by_the_grammar_is_read_back(host: str | None, path: list[str], tagged: str | None, digested: bool) -> None:
    assume(host or len(path) == 1 or not ("." in path[0] or path[0] == "localhost"))  # else the first part is a domain
    text = "/".join([*([host] if host else []), *path]) + (f":{tagged}" if tagged else "") + (f"@{DIGEST}" if digested else "")
    reference = parse_reference(text)
    assert reference.tag == tagged
    assert (reference.digest is not None) == digested
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference
    assert len(reference.familiar) <= len(str(reference))


@settings(max_examples=50)
@given(st.text(alphabet=string.ascii_letters + string.digits + ".:/@_-[]", max_size=40))
def test_anything_else_is_refused_cleanly_or_stable(text: str) -> None:
    try:
        reference = parse_reference(text)
    except Invalid:
        return
    assert parse_reference(str(reference)) == reference
    assert isinstance(reference, Reference)
