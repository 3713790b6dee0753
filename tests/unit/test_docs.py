"""Reference pages say what the code does."""

from tools.docs import PAGES, compatibility, described_operations, stale


def test_committed_pages_are_fresh() -> None:
    """If this fails, run `make docs` and commit what it wrote."""
    assert PAGES
    assert stale() == []


def test_every_described_operation_is_on_the_page() -> None:
    page = compatibility()
    assert [operation for operation in described_operations() if f"`{operation}`" not in page] == []
