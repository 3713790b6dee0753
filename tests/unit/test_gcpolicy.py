"""The policy of garbage collection and Docker's `builder.gc`: every way in which they are written, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from corten.config import load_settings
from corten.errors import Invalid
from corten.gcpolicy import BuildCacheRule, DiskSpace, build_cache_rules_from_json, format_age, parse_disk_space, parse_gc_policy

CASES: list[tuple[Any, tuple[BuildCacheRule, ...]]] = [
    ({}, ()),
    ({"gc": {"enabled": True}}, ()),
    ({"gc": {"enabled": False, "defaultKeepStorage": "1GB"}}, ()),
    ({"gc": {"defaultKeepStorage": "20GB"}}, (BuildCacheRule(keep=DiskSpace(20 << 30), everything=True),)),
    (
        {"gc": {"enabled": True, "defaultReservedSpace": "10%", "defaultMaxUsedSpace": "1.5g", "defaultMinFreeSpace": 1 << 30}},
        (BuildCacheRule(keep=DiskSpace(10), most=DiskSpace(3 << 29), free=DiskSpace(1 << 30), everything=True),),
    ),
    (
        {"gc": {"policy": [{"keepStorage": "10GB", "filter": ["unused-for=2200h"]}, {"reservedSpace": "100GB", "all": True}]}},
        (BuildCacheRule(keep=DiskSpace(10 << 30), unused=2200 * 3600), BuildCacheRule(keep=DiskSpace(100 << 30), everything=True)),
    ),
    (
        {"gc": {"policy": [{"filter": {"unused-for": {"1.5h": True}, "type": {"regular": True}}}]}},
        (BuildCacheRule(unused=5400, types=("regular",)),),
    ),
    ({"gc": {"policy": [{"filter": ["type==exec.cachemount"]}]}}, (BuildCacheRule(types=("exec.cachemount",)),)),
]


@pytest.mark.parametrize(("builder", "rules"), CASES)
def test_rules(builder: Any, rules: tuple[BuildCacheRule, ...], tmp_path: Path) -> None:
    assert build_cache_rules_from_json(builder) == rules
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"builder": builder}))
    assert load_settings(["--config-file", str(file)]).config.cache_rules == rules


@pytest.mark.parametrize(
    "gc",
    [
        {"defaultKeepStorage": "much"},
        {"policy": [{"filter": ["color=red"]}]},
        {"policy": [{"filter": ["unused-for=soon"]}]},
        {"defaultKeepStorage": "150%"},
        "on",
        [],
    ],
)
def test_what_is_refused(gc: Any, tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"builder": {"gc": gc or ["x"]}}))
    with pytest.raises(Invalid, match=r"builder: .* is no valid value"):
        load_settings(["--config-file", str(file)])


def test_one_reading_of_sizes() -> None:
    """`gc` and `builder.gc` of one file mean the same by the same text."""
    (rule,) = build_cache_rules_from_json({"gc": {"defaultKeepStorage": "400GiB"}})
    assert rule.keep == parse_gc_policy("high=500GiB,low=400GiB").low == parse_disk_space("400GB") == DiskSpace(400 << 30)


@pytest.mark.parametrize("text", ["high=101%", "low=0%", "high=50", "trash=-1h", "keep=2", "keep=soon", "low=95%", "high=1GiB,low=2GiB"])
def test_policies_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_gc_policy(text)


def test_ages_print_in_the_largest_unit() -> None:
    policy = parse_gc_policy("trash=1.5h,keep=2w")
    assert (policy.trash, policy.keep) == (5400, 14 * 86400)
    assert (format_age(policy.trash), format_age(14 * 86400), format_age(0)) == ("90m", "14d", "0s")
