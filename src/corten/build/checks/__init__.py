"""Build checks: what Docker's linter says of a Dockerfile, under its names and in its words. No I/O.

`# check=skip=RULE,…;error=true;experimental=RULE,…` in the file decides what is said and whether it ends the build.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from corten.build.checks.finding import LintInput
from corten.build.checks.rules import EXPERIMENTAL, RULES, url_of
from corten.build.checks.shape import shape_findings
from corten.build.checks.variables import variable_findings
from corten.build.dockerfile.errors import excerpt
from corten.build.events import CheckWarning
from corten.build.graph import Graph
from corten.errors import Invalid


@dataclass(frozen=True, slots=True)
class CheckOptions:
    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def says(self, rule: str) -> bool:
        if rule in EXPERIMENTAL and not {rule, "all"} & self.experimental:
            return False
        return not {rule, "all"} & self.skip


def parse_check(text: str) -> CheckOptions:
    """The value of the directive. Raises Invalid."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        key, equals, value = part.strip().partition("=")
        if not equals or key not in ("skip", "error", "experimental"):
            raise Invalid(f"invalid check option {part!r}", reason="bad-check", hint="skip=RULE,…;error=true;experimental=RULE,…")
        found[key] = value.strip()
    if found.get("error", "false") not in ("true", "false"):
        raise Invalid(f"failed to parse check option {found['error']!r}: true or false", reason="bad-check")
    names = {key: frozenset(filter(None, (n.strip() for n in found.get(key, "").split(",")))) for key in ("skip", "experimental")}
    return CheckOptions(names["skip"], names["experimental"], found.get("error") == "true")


def checked(checking: LintInput, options: CheckOptions, target: str) -> Iterator[CheckWarning]:
    """Every complaint, in the order of lines."""
    graph = Graph(checking.file)
    reached = graph.needed(graph.target(target))
    findings = {*shape_findings(checking), *variable_findings(checking, reached)}
    for finding in sorted(findings, key=lambda f: (f.line, f.rule, f.message)):
        if options.says(finding.rule):
            shown = excerpt(checking.file.source, checking.file.name, finding.line, finding.end)
            yield CheckWarning(finding.rule, finding.message, finding.line, shown, url_of(finding.rule), RULES[finding.rule][1])


def refuse(warned: list[CheckWarning]) -> None:
    """Raises Invalid that names the rules; for `error=true`."""
    if warned:
        rules = ", ".join(sorted({w.rule for w in warned}))
        raise Invalid(f"lint violation found for rules: {rules}", reason="lint")


__all__ = ["CheckOptions", "LintInput", "checked", "parse_check", "refuse"]
