"""The runtime's log file."""

from pathlib import Path

import pytest

from corten.errors import Invalid
from corten.runtime.commands.log import Log


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    Log(str(tmp_path / "log"), True).check()
    Log("", False).check()
    with pytest.raises(Invalid, match="unable to open the log file"):
        Log(str(tmp_path / "no" / "log"), True).check()
