"""Reference pages say what the code does."""

import re
from pathlib import Path

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
