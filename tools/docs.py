"""The reference pages that are made from the code: `python -m tools.docs` writes them, and fails when one had been stale.

A page is a function that returns its text; `tests/unit/test_docs.py` compares them with what is committed.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from corten.api.handlers.unsupported import Refusal
from corten.api.router import Route
from corten.api.routes import ROUTES
from corten.api.versions import CURRENT, MINIMUM, format_version
from corten.cli.reference import render as cli_page
from corten.errors import Unsupported

ROOT = Path(__file__).resolve().parents[1]
OPERATIONS = ROOT / "tests" / "api" / "operations.txt"

HEAD = """# What of Docker's Engine API works

<!-- Made by `make docs` from src/corten/api/routes.py. Do not edit. -->

Corten serves API versions {minimum} to {current}, with and without the version in the path. Docker's description of {current} has
{total} operations: {works} work, {refused} are refused with a reason and a hint (status 501), and {swarm} are swarm's, answered as by a
Docker node that is in no swarm.
"""

REFUSED_HEAD = """
## Refused for now

Status 501. The body holds `message`, `reason` (a stable id) and `hint`.

| operation | reason | instead |
|---|---|---|
"""

WORKS_HEAD = """
## Works

| operation | since |
|---|---|
"""

SWARM_HEAD = """
## Swarm

Corten has no swarm mode. Clients that ask are told what a Docker node outside a swarm tells them.

| operation | status | message |
|---|---|---|
"""

BEYOND_HEAD = """
## Beside the description

What dockerd serves although its description omits it.

| operation | state |
|---|---|
"""


def compatibility() -> str:
    """docs/reference/compatibility.md."""
    described = described_operations()
    rows = [route for route in ROUTES if operation(route) in described]
    works = [route for route in rows if not isinstance(route.handler, Refusal)]
    refusals = [(route, route.handler) for route in rows if isinstance(route.handler, Refusal)]
    swarm = [(route, refusal) for route, refusal in refusals if refusal.reason == "no-swarm"]
    refused = [(route, refusal) for route, refusal in refusals if refusal.reason != "no-swarm"]
    head = HEAD.format(
        minimum=format_version(MINIMUM),
        current=format_version(CURRENT),
        total=len(described),
        works=len(works),
        refused=len(refused),
        swarm=len(swarm),
    )
    parts = [head, WORKS_HEAD, *(f"| `{operation(route)}` | {format_version(route.since)} |\n" for route in works)]
    parts += [REFUSED_HEAD, *(f"| `{operation(route)}` | {refusal.reason} | {refusal.hint} |\n" for route, refusal in refused)]
    parts += [SWARM_HEAD, *(f"| `{operation(route)}` | {status(refusal)} | {refusal.message} |\n" for route, refusal in swarm)]
    parts += [BEYOND_HEAD, *beyond(route for route in ROUTES if operation(route) not in described)]
    return "".join(parts)


def beyond(routes: Iterable[Route]) -> Iterable[str]:
    for route in routes:
        state = f"refused: {route.handler.reason}" if isinstance(route.handler, Refusal) else "works"
        yield f"| `{operation(route)}` | {state} |\n"


def operation(route: Route) -> str:
    return f"{route.method} {route.template}"


def status(refusal: Refusal) -> int:
    return 501 if refusal.kind is Unsupported else 503


def described_operations() -> list[str]:
    return [line for line in OPERATIONS.read_text().splitlines() if line and not line.startswith("#")]


PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "docs" / "reference" / "compatibility.md": compatibility,
    ROOT / "docs" / "reference" / "cli.md": cli_page,
}


def stale() -> list[Path]:
    """Pages whose committed text is not what the code says now."""
    return [path for path, page in PAGES.items() if not path.exists() or path.read_text() != page()]


def main() -> int:
    changed = stale()
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGES[path]())
        print(f"rewritten: {path.relative_to(ROOT)}")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
