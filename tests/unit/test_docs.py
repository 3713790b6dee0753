"""Reference pages say what the code does."""

import re
from pathlib import Path

import pytest

from tools.docs import PAGES, compatibility, described_operations, stale


def test_committed_pages_are_fresh() -> None:
    """If this fails, run `make docs` and commit what it wrote."""
    assert PAGES
    assert stale() == []


def test_every_described_operation_is_on_the_page() -> None:
    page = compatibility()
    assert [operation for operation in described_operations() if f"`{operation}`" not in page] == []


def test_modules_that_architecture_pages_name_exist() -> None:
    root = Path(__file__).resolve().parents[2]
    source = root / "src" / "corten"
    packages = "|".join(path.name for path in source.iterdir() if path.is_dir())
    missing = [
        (page.name, name)
        for page in (root / "docs" / "architecture").glob("*.md")
        for name in re.findall(rf"(?<![\w./-])((?:{packages})(?:/\w+)+)(?![\w./-])", page.read_text())
        if not (source / name).is_dir() and not (source / f"{name}.py").is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("page", sorted(Path(__file__).resolve().parents[2].glob("docs/decisions/*.md")), ids=lambda page: page.name[:4])
def test_every_decision_says_its_status_context_and_what_lost(page: Path) -> None:
    """What replaces a part of a decision is named in it, and is there."""
    title, blank, status, *rest = page.read_text().splitlines()
    assert title.startswith("# ")
    assert blank == ""
    assert re.match(r"Status: (accepted|superseded by \[)", status)
    for name in re.findall(r"superseded by \[\d{4}\]\((.*?)\)", status):
        assert (page.parent / name).is_file()
    parts = re.findall(r"^(?:## |\*\*)?(Context|Decision|What lost)\b", "\n".join(rest), re.MULTILINE)
    assert sorted(set(parts)) == ["Context", "Decision", "What lost"]
