import pytest

from corten.errors import Invalid
from corten.oci.platform import Platform, can_run, host_platform, normalise, parse_platform, preference


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armel", "linux/arm/v6"),
        ("LINUX/AMD64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("windows/amd64", "windows/amd64"),
        ("linux/s390x", "linux/s390x"),
    ],
)
def test_spellings_become_one(text: str, want: str) -> None:
    assert str(parse_platform(text)) == want


def test_what_is_missing_is_the_hosts() -> None:
    assert parse_platform("linux") == host_platform()
    assert parse_platform("arm64") == Platform("linux", "arm64")


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/am d64", "nonsense"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_platform(text)


@pytest.mark.parametrize(
    ("host", "image", "rank"),
    [
        ("linux/amd64", "linux/amd64", 0),
        ("linux/amd64", "linux/386", 100),
        ("linux/amd64", "linux/arm64", None),
        ("linux/amd64", "windows/amd64", None),
        ("linux/arm64", "linux/arm64", 0),
        ("linux/arm64", "linux/arm/v7", 101),
        ("linux/arm/v7", "linux/arm/v6", 1),
        ("linux/arm/v6", "linux/arm/v7", None),
        ("linux/amd64", "linux/amd64/v3", None),
    ],
)
def test_the_closest_variant_is_preferred(host: str, image: str, rank: int | None) -> None:
    assert preference(parse_platform(host), parse_platform(image)) == rank
    assert can_run(parse_platform(host), parse_platform(image)) == (rank is not None)


def test_the_os_version_is_kept() -> None:
    assert normalise("windows", "amd64", "", "10.0.1").os_version == "10.0.1"
