"""The house keeps its shape: sizes, names, nesting of floors' standard-library rule, and what a start may import.

Limits are STYLE's; a table of data is exempt from the file limit by the marker line `# shape: data`.
"""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "corten"
BANNED = {"util", "utils", "helper", "helpers", "common", "misc", "base", "manager"}
STDLIB_ONLY = ("kernel", "runtime", "monitor")
SMALL_FOLDERS = {  # of fewer than four files, and why each is one
    "api/types/cleanup": "wire structs of one noun",
    "cli/archive": "tar without the store's",
    "cli/bootstrap": "images from this machine's files",
    "cli/cleanup": "one noun's commands",
    "cli/context": "one noun's commands",
    "cli/network": "one noun's commands",
    "cli/registry": "one noun's commands",
    "cli/volume": "one noun's commands",
    "engine/build/sboms": "attestations of what is in an image",
    "engine/cleanup": "what its folders prune and gc share",
    "engine/init": "the init program, C with its binaries",
    "engine/records": "a floor: what is stored of containers, below everything that acts on it",
    "engine/values": "a floor: containers, execs and links as data",
    "kernel/nftables": "one netlink protocol",
    "store/contents": "what fills volumes and how much is in them",
    "store/trashbin": "deferred deletion of two nouns",
}
MODULES = sorted(SRC.rglob("*.py"))


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All of them, however deep; expressions, which are most of a tree and hold none, are not entered."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.expr):
            yield from statements(node)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in statements(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameter_count(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len([n for n in names if n not in {"self", "cls"}])


def complaints(path: Path) -> list[str]:
    text = path.read_text()
    tree = parsed(path)
    where = path.relative_to(ROOT)
    found = []
    if text.count("\n") > 500 and "# shape: data" not in text:
        found.append(f"{where}: {text.count(chr(10))} lines (500): which second concept is in it?")
    if path.stem in BANNED:
        found.append(f"{where}: the name says nothing; which concept is it?")
    if text.strip() and path.name != "__init__.py" and not ast.get_docstring(tree):
        found.append(f"{where}: no module docstring")
    for f in functions(tree):
        if body_lines(f) > 60:
            found.append(f"{where}:{f.lineno}: {f.name} is {body_lines(f)} lines (60)")
        if parameter_count(f) > 6 and f.name != "__init__":
            found.append(f"{where}:{f.lineno}: {f.name} takes {parameter_count(f)} parameters (6)")
    for c in (n for n in statements(tree) if isinstance(n, ast.ClassDef)):
        methods = [n for n in c.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        public = [m for m in methods if not m.name.startswith("_")]
        if len(public) > 12 and not any(getattr(b, "id", "") == "Protocol" for b in c.bases):
            found.append(f"{where}:{c.lineno}: class {c.name} has {len(public)} public methods (12)")
        found += [
            f"{where}:{m.lineno}: {c.name}() takes {parameter_count(m)} arguments (6, or 8 of which all but two are keyword-only)"
            for m in methods
            if m.name == "__init__" and parameter_count(m) > (8 if len(m.args.args) <= 3 else 6)
        ]
    return found


def test_sizes_and_names() -> None:
    over = {str(path.relative_to(ROOT)): found for path in MODULES if (found := complaints(path))}
    assert over == {}


def test_folders_stay_small() -> None:
    folders = {p.parent for p in MODULES}
    sizes = {str(f.relative_to(SRC)): len([p for p in f.glob("*.py") if p.name != "__init__.py"]) for f in folders}
    assert {name: n for name, n in sizes.items() if n > 25} == {}
    assert {name for name, n in sizes.items() if n < 4} == set(SMALL_FOLDERS), "join it with another, or list it with its reason"


def all_imports(path: Path) -> set[str]:
    roots = set()
    for node in statements(parsed(path)):
        if isinstance(node, ast.Import):
            roots |= {a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.split(".")[0])
    return roots


def foreign_imports(path: Path) -> set[str]:
    return all_imports(path) - sys.stdlib_module_names - {"corten"}


def test_what_runs_beside_containers_needs_only_the_standard_library() -> None:
    foreign = {str(p.relative_to(ROOT)): bad for part in STDLIB_ONLY for p in (SRC / part).rglob("*.py") if (bad := foreign_imports(p))}
    assert foreign == {}


def test_one_module_alone_asks_where_zstandard_is() -> None:
    askers = {str(p.relative_to(SRC)) for p in MODULES if {"backports", "compression"} & all_imports(p)}
    assert askers == {"store/streams/zstd.py"}


def imported_by(module: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); import {module}; print('\\n'.join(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {
    "asyncio",
    "argparse",
    "concurrent.futures",
    "dataclasses",
    "email",
    "http.client",
    "inspect",
    "logging",
    "pathlib",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
}
if sys.version_info >= (3, 14):  # there the standard library's own traceback, which the launcher needs, imports both
    HEAVY -= {"dataclasses", "inspect"}


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("corten.cli.main", set()),
        ("corten.monitor.launch.launcher", set()),
        ("corten.runtime.create", set()),
    ],
)
def test_import_budget(module: str, allowed: set[str]) -> None:
    """A module in HEAVY costs a start milliseconds, or each monitor memory."""
    if not (SRC / (module.removeprefix("corten.").replace(".", "/") + ".py")).exists():
        pytest.skip(f"{module} is not built yet")
    assert imported_by(module) & (HEAVY - allowed) == set()
