"""Held over the whole source: in a folder that others can write, nothing is changed or opened by a name that may lead elsewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src/corten"
CHANGES = frozenset(("chmod", "lchmod", "chown", "lchown", "utime", "setxattr", "removexattr"))
TRUSTED = {
    "kernel/openat2.py": "opens what it has just made, and otherwise by openat2(2)",
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every `os.NAME(…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "os":
            yield node.func.attr, node


def keywords(call: ast.Call) -> dict[str | None, str]:
    return {word.arg: ast.unparse(word.value) for word in call.keywords}


def constants(tree: ast.Module) -> dict[str, str]:
    """The module's own names of flags, and those a function gives itself."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            targets, values = (part.elts if isinstance(part, ast.Tuple) else [part] for part in (node.targets[0], node.value))
            found |= {ast.unparse(t): ast.unparse(v) for t, v in zip(targets, values, strict=False)}
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            found[ast.unparse(node.target)] = ast.unparse(node.value)
    return found


def faults(text: str) -> list[str]:
    """What a module must not do, as `line: call`."""
    if "dir_fd" not in text and "/proc/self/fd" not in text:
        return []
    tree = ast.parse(text)
    names = constants(tree)
    found = []
    for name, call in calls(tree):
        words, first = keywords(call), ast.unparse(call.args[0]) if call.args else ""
        if name in CHANGES and ("dir_fd" in words or (first.startswith(("f'/proc/self/fd/", 'f"/proc/self/fd/')) and "}/" in first)):
            found.append(f"{call.lineno}: {ast.unparse(call)}")
        if name == "open" and "dir_fd" in words and first.strip("b'\"") != ".":
            flags = ast.unparse(call.args[1])
            for constant, value in names.items():
                flags = re.sub(rf"\b{re.escape(constant)}\b", value.replace("\\", ""), flags)
            if "O_NOFOLLOW" not in flags and "O_EXCL" not in flags:
                found.append(f"{call.lineno}: {ast.unparse(call)}")
    return found


@pytest.mark.parametrize(
    "line",
    [
        "os.chmod(name, mode, dir_fd=folder)",
        "os.chown(name, 0, 0, dir_fd=folder, follow_symlinks=False)",
        "os.setxattr(f'/proc/self/fd/{folder}/{name}', key, value)",
        "os.open(name, os.O_RDONLY, dir_fd=folder)",
        "FLAGS = os.O_RDONLY\nos.open(name, FLAGS, dir_fd=folder)",
    ],
)
def test_the_bare_forms_are_seen(line: str) -> None:
    assert len(faults(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "os.setxattr(f'/proc/self/fd/{folder}', key, value)",
        "FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW\nos.open(name, FLAGS, dir_fd=folder)",
        "os.open('.', os.O_RDONLY, dir_fd=folder)",
        "os.fchmod(fd, mode)",
    ],
)
def test_the_forms_by_descriptor_pass(line: str) -> None:
    assert faults(line) == []


def test_nothing_is_changed_or_opened_by_a_name_in_a_folder_that_is_held_open() -> None:
    found = {str(path.relative_to(SOURCE)): faults(path.read_text()) for path in SOURCE.rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines and path not in TRUSTED} == {}
