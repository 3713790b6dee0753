"""The reference page of the command line, out of the table and the flags: it cannot be out of date."""

from corten.cli import commands
from corten.cli.flags import Flag
from corten.cli.help import flag_default
from corten.cli.main import GLOBAL_FLAGS
from corten.cli.session import load


def render() -> str:
    """Markdown of docs/reference/cli.md."""
    parts = [
        "# The `corten` command",
        "<!-- Made by `make docs` from src/corten/cli. Do not edit. -->",
        "Docker's commands under Docker's names. `corten COMMAND --help` shows the same.\n"
        "Called as `docker` (a link of that name), the program names itself so.",
        "## Global options",
        _flag_table(GLOBAL_FLAGS),
    ]
    for command in sorted(commands.COMMANDS, key=lambda c: c.names[0]):
        parts += _section(command)
    parts += ["## Not available", *(f"* `corten {name}`: {why}." for name, why in sorted(commands.REFUSED.items()))]
    return "\n\n".join(parts) + "\n"


def _section(command: commands.Command) -> list[str]:
    forms = "\n".join(f"corten {command.names[0]} {form}".rstrip() for form in command.usage.split("\n"))
    parts = [f"## corten {command.names[0]}", f"{command.summary}.{command.details.replace(chr(10), ' ')}", f"```\n{forms}\n```"]
    if len(command.names) > 1:
        parts.append("Also: " + ", ".join(f"`corten {name}`" for name in command.names[1:]))
    flags = load(command.target).flags
    if any(not f.hidden for f in flags):
        parts.append(_flag_table(flags))
    if refused := [f for f in flags if f.refusal]:
        parts.append("Refused: " + "; ".join(f"`--{f.name}` ({f.refusal})" for f in sorted(refused, key=lambda f: f.name)))
    return parts


def _flag_table(flags: tuple[Flag, ...]) -> str:
    rows = ["| option | value | default | meaning |", "|---|---|---|---|"]
    for flag in sorted(flags, key=lambda f: f.name):
        if not flag.hidden and not flag.refusal:
            names = f"`-{flag.short}`, `--{flag.name}`" if flag.short else f"`--{flag.name}`"
            meaning = flag.help.replace("\n", "<br>").replace("|", "\\|")
            rows.append(f"| {names} | {flag.kind.name} | {flag_default(flag)} | {meaning} |")
    return "\n".join(rows)
