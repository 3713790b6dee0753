"""Docker's `builder.gc`: every way in which it is written, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from corten.cacherules import CacheRule, rules_from_json
from corten.config import load_settings
from corten.errors import Invalid
from corten.gcmarks import Level

CASES: list[tuple[Any, tuple[CacheRule, ...]]] = [
    ({}, ()),
    ({"gc": {"enabled": True}}, ()),
    ({"gc": {"enabled": False, "defaultKeepStorage": "1GB"}}, ()),
    ({"gc": {"defaultKeepStorage": "20GB"}}, (CacheRule(keep=Level(20 << 30), everything=True),)),
    (
        {"gc": {"enabled": True, "defaultReservedSpace": "10%", "defaultMaxUsedSpace": "1.5g", "defaultMinFreeSpace": 1 << 30}},
        (CacheRule(keep=Level(10), most=Level(3 << 29), free=Level(1 << 30), everything=True),),
    ),
    (
        {"gc": {"policy": [{"keepStorage": "10GB", "filter": ["unused-for=2200h"]}, {"reservedSpace": "100GB", "all": True}]}},
        (CacheRule(keep=Level(10 << 30), unused=2200 * 3600), CacheRule(keep=Level(100 << 30), everything=True)),
    ),
    (
        {"gc": {"policy": [{"filter": {"unused-for": {"1h30m": True}, "type": {"regular": True}}}]}},
        (CacheRule(unused=5400, types=("regular",)),),
    ),
    ({"gc": {"policy": [{"filter": ["type==exec.cachemount"]}]}}, (CacheRule(types=("exec.cachemount",)),)),
]


@pytest.mark.parametrize(("builder", "rules"), CASES)
def test_rules(builder: Any, rules: tuple[CacheRule, ...], tmp_path: Path) -> None:
    assert rules_from_json(builder) == rules
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"builder": builder}))
    assert load_settings(["--config-file", str(file)]).config.cache_rules == rules


@pytest.mark.parametrize(
    "gc", [{"defaultKeepStorage": "much"}, {"policy": [{"filter": ["color=red"]}]}, {"policy": [{"filter": ["unused-for=soon"]}]}, "on", []]
)
def test_what_is_refused(gc: Any, tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"builder": {"gc": gc or ["x"]}}))
    with pytest.raises(Invalid, match=r"builder: .* is no valid value"):
        load_settings(["--config-file", str(file)])
