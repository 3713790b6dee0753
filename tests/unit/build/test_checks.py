"""Build checks without an engine; that they say what BuildKit says is the corpus' business."""

import pytest

from corten.build.checks import LintInput, checked, parse_check, refuse
from corten.build.checks.rules import EXPERIMENTAL, RULES
from corten.build.dockerfile.parser import parse
from corten.build.dockerfile.suggest import nearest
from corten.build.events import CheckWarning
from corten.errors import Invalid

DOCKERS = """
    ConsistentInstructionCasing CopyIgnoredFile DuplicateStageName ExposeInvalidFormat
    ExposeProtoCasing FromAsCasing FromPlatformFlagConstDisallowed InvalidDefaultArgInFrom
    InvalidDefinitionDescription JSONArgsRecommended LegacyKeyValueFormat MaintainerDeprecated
    MultipleInstructionsDisallowed NoEmptyContinuation RedundantTargetPlatform ReservedStageName
    SecretsUsedInArgOrEnv StageNameCasing UndefinedArgInFrom UndefinedVar
    WorkdirRelativePath
"""


def said(text: str, check: str = "") -> list[CheckWarning]:
    file = parse(text)
    return list(checked(LintInput(file=file, values={}, defaults={}), parse_check(check), ""))


def test_dockers_rules_are_all_there() -> None:
    assert set(RULES) == set(DOCKERS.split())
    assert set(RULES) > EXPERIMENTAL


def test_base_environments_are_known() -> None:
    file = parse("FROM py\nENV A=$PYTHON_VERSION B=$NOPE\n")
    checking = LintInput(file=file, values={}, defaults={}, environments={"py": {"PYTHON_VERSION": "3"}})
    assert [w.message for w in checked(checking, parse_check(""), "")] == ["Usage of undefined variable '$NOPE'"]


def test_a_stage_knows_what_the_one_below_has_set() -> None:
    assert said("FROM a AS one\nENV A=1\nFROM one\nENV B=$A\n") == []


def test_skip_and_error() -> None:
    text = "FROM a AS One\nMAINTAINER x\n"
    assert [w.rule for w in said(text)] == ["StageNameCasing", "MaintainerDeprecated"]
    assert [w.rule for w in said(text, "skip=StageNameCasing")] == ["MaintainerDeprecated"]
    assert said(text, "skip=all") == []
    with pytest.raises(Invalid, match="lint violation found for rules: MaintainerDeprecated, StageNameCasing"):
        refuse(said(text, "error=true"))


def test_warnings_show_their_place() -> None:
    (warning,) = said("FROM a\nMAINTAINER x\n")
    assert warning.url == "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/"
    assert "   2 | >>> MAINTAINER x" in warning.excerpt


@pytest.mark.parametrize("text", ["nope", "skip", "error=maybe", "other=x"])
def test_bad_directive(text: str) -> None:
    with pytest.raises(Invalid):
        parse_check(text)


@pytest.mark.parametrize(("word", "known", "found"), [("RUNN", ["RUN", "ENV"], "RUN"), ("FOOBAR", ["RUN"], ""), ("form", ["from"], "from")])
def test_nearest(word: str, known: list[str], found: str) -> None:
    assert nearest(word, known) == found
