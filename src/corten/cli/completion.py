"""Shell completion: a short script per shell that asks us, and our answers.

The script calls `corten __complete WORDS…`, the last word being the one under the cursor; candidates come one a line, with a description
behind a tab. Names of containers, images, networks and volumes come from the engine, if one answers.
"""

from collections.abc import Callable, Iterable, Sequence

from corten.cli import commands
from corten.cli.errors import Failure
from corten.cli.flags import HELP, Flag, Values
from corten.cli.session import Action, Session, load
from corten.client.errors import ApiError, BadEndpoint, CannotConnect

BASH = """\
_{name}() {{
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$(printf '%q' "${{line%%$'\\t'*}}")")
    done < <({name} __complete "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null)
    [[ ${{#COMPREPLY[@]}} -eq 0 ]] && COMPREPLY=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}"))
    [[ ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace
}}
complete -o filenames -F _{name} {name}
"""
ZSH = """\
#compdef {name}
_{name}() {{
    local -a found
    local line
    while IFS= read -r line; do
        found+=("${{${{line%%$'\\t'*}}//:/\\\\:}}:${{line#*$'\\t'}}")
    done < <({name} __complete "${{(@)words[2,CURRENT]}}" 2>/dev/null)
    (( ${{#found}} )) && _describe '{name}' found || _files
}}
compdef _{name} {name}
"""
FISH = """\
function __{name}_complete
    set -l words (commandline -opc) (commandline -ct)
    {name} __complete $words[2..-1] 2>/dev/null
end
complete -c {name} -a '(__{name}_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}

Candidate = tuple[str, str]


def completion(session: Session, values: Values, arguments: list[str]) -> int:
    script = SCRIPTS.get(arguments[0])
    if script is None:
        raise Failure(f"no completion for {arguments[0]!r}: one of {', '.join(SCRIPTS)}")
    session.out.write(script.format(name=session.program))
    return 0


def complete(session: Session, words: Sequence[str]) -> int:
    """Prints candidates for the last of `words`."""
    *before, current = words or [""]
    for candidate, description in sorted(set(_candidates(session, before, current))):
        if candidate.startswith(current):
            session.say(f"{candidate}\t{description}" if description else candidate)
    return 0


def _candidates(session: Session, before: Sequence[str], current: str) -> Iterable[Candidate]:
    typed = [word for word in before if not word.startswith("-")]
    found = commands.find(typed)
    if found is None:
        return _command_names(typed)
    command, _, used = found
    flags = load(command.target).flags
    flag = _awaiting_value(flags, before[-1] if before else "")
    if flag is not None:
        return _names_for(session, {"network": "network", "net": "network", "volumes-from": "container"}.get(flag.name, ""))
    if current.startswith("-"):
        return [(f"--{f.name}", f.help.partition("\n")[0]) for f in (HELP, *flags) if f is HELP or not f.hidden]
    if command.passes_on and len(typed) > used:
        return ()
    return _names_for(session, _argument_kind(command, len(typed) - used))


def _command_names(typed: Sequence[str]) -> Iterable[Candidate]:
    if not typed:
        usual, others = commands.top_level()
        return [*usual, *others, *commands.GROUPS]
    return commands.members(typed[0]) if commands.is_group(typed[0]) else ()


def _awaiting_value(flags: Sequence[Flag], word: str) -> Flag | None:
    """The flag whose value comes next, when `word` is one that takes a value."""
    for flag in flags:
        if not flag.kind.implied and word in {f"--{flag.name}", f"-{flag.short}"} and word != "-":
            return flag
    return None


def _argument_kind(command: commands.Command, position: int) -> str:
    """What the usage says stands there: the kind of object, or ""."""
    words = [w.strip("[].").partition(":")[0] for w in command.usage.partition("\n")[0].split() if w != commands.OPTIONS]
    if not words:
        return ""
    word = words[min(position, len(words) - 1)]
    kinds = {"CONTAINER": "container", "IMAGE": "image", "SOURCE_IMAGE": "image", "NETWORK": "network", "VOLUME": "volume"}
    kinds |= {"CONTEXT": "context", "NAME|ID": "container", "NAME": "image", "REPOSITORY": "image", "bash|zsh|fish": "shell"}
    return kinds.get(word, "") if position < len(words) or "..." in command.usage else ""


def _names_for(session: Session, kind: str) -> Iterable[Candidate]:
    sources: dict[str, Callable[[Session], Iterable[Candidate]]] = {
        "container": _containers,
        "image": _images,
        "network": lambda s: [(row["Name"], row["Driver"]) for row in s.api.get("/networks")],
        "volume": lambda s: [(row["Name"], row["Driver"]) for row in s.api.get("/volumes")["Volumes"] or ()],
        "context": _contexts,
        "shell": lambda _: [(name, "") for name in SCRIPTS],
    }
    source = sources.get(kind)
    try:
        return source(session) if source else ()
    except (ApiError, CannotConnect, BadEndpoint):
        return ()


def _containers(session: Session) -> Iterable[Candidate]:
    return [(name.removeprefix("/"), row["Status"]) for row in session.api.get("/containers/json", {"all": "1"}) for name in row["Names"]]


def _images(session: Session) -> Iterable[Candidate]:
    names = [name for row in session.api.get("/images/json") for name in row.get("RepoTags") or () if "<none>" not in name]
    return [(name, "") for name in (*names, *(n.removesuffix(":latest") for n in names if n.endswith(":latest")))]


def _contexts(session: Session) -> Iterable[Candidate]:
    from corten.client.contexts import DEFAULT, ContextStore

    return [(name, "") for name in (DEFAULT, *ContextStore(session.config.folder).names())]


COMPLETION = Action(completion)
