"""A process on its way into a container loads no module."""

import sys

import pytest

from corten.runtime.init.imports import forbid_imports
from tests.support.forked import forked


def test_imports_and_codecs_are_refused() -> None:
    def body() -> tuple[str, str]:
        sys.modules.pop("this", None)
        forbid_imports()
        with pytest.raises(ImportError) as one:
            import this  # noqa: F401
        with pytest.raises(LookupError) as other:
            b"x".decode("cp500")
        return str(one.value), str(other.value)

    assert forked(body) == ("No module named 'this'", "unknown encoding: cp500")
