"""Logical lines to instructions: one small function per keyword, in one table."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.errors import DockerfileError
from corten.build.dockerfile.lexer import Heredoc, LogicalLine, lex, without_heredoc_marks
from corten.build.dockerfile.suggest import nearest
from corten.units import FALSE, TRUE, parse_duration

MOST_STAGES = 10_000
NO_INSTRUCTIONS = "file with no instructions"
_FLAG = re.compile(r"--([a-z-]+)(?:=(.*))?", re.DOTALL)
_STAGE_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]*")
_BUILTIN_FRONTEND = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?|dockerfile\.v0")


@dataclass(frozen=True, slots=True)
class RawInstruction:
    """A line taken apart: keyword in upper case, its flags in order, and the rest."""

    keyword: str
    flags: tuple[tuple[str, str | None], ...]
    rest: str
    line: LogicalLine

    @property
    def place(self) -> ins.SourceLocation:
        line = self.line
        return ins.SourceLocation(line.start, line.end, line.text, line.comment, line.empty_continuation)

    def error(self, message: str, hint: str | None = None, *, plain: bool = False) -> DockerfileError:
        return DockerfileError(message, line=self.line.start, end=self.line.end, hint=hint, plain=plain)

    def one(self, name: str) -> str:
        """The value of a flag that may stand once."""
        found = [value or "" for key, value in self.flags if key == name]
        if len(found) > 1:
            raise self.error(f"duplicate flag specified: --{name}")
        return found[0] if found else ""

    def many(self, name: str) -> tuple[str, ...]:
        return tuple(value or "" for key, value in self.flags if key == name)

    def switch(self, name: str) -> bool | None:
        """A boolean flag: None when absent; `--link`, `--link=true` and `--link=false`."""
        if not any(key == name for key, _ in self.flags):
            return None
        value = self.one(name).lower()
        if value not in ("", "true", "1", "false", "0"):
            raise self.error(f"expecting boolean value for flag --{name}, not: {value}")
        return value in ("", "true", "1")


SWITCHES = frozenset({"link", "parents", "keep-git-dir", "unpack"})
FLAGS: dict[str, frozenset[str]] = {
    "FROM": frozenset({"platform"}),
    "RUN": frozenset({"mount", "network", "security", "device"}),
    "COPY": frozenset({"from", "chown", "chmod", "link", "parents", "exclude"}),
    "ADD": frozenset({"chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"}),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
}


def parse(text: str, name: str = "Dockerfile", frontend: str = "") -> ins.Dockerfile:
    """Raises DockerfileError with the line of the first mistake. `frontend` goes before the file's own `# syntax=`."""
    source = lex(text)
    frontend = frontend or source.directives.get("syntax", "")
    if frontend and not _BUILTIN_FRONTEND.fullmatch(frontend):
        hint = "only docker/dockerfile is built in; remove the line, or use an engine that runs frontend images"
        raise DockerfileError(f"the frontend {frontend!r} cannot be run", line=1, hint=hint)
    parsed = [parse_line(line) for line in source.lines]
    if not parsed:
        raise DockerfileError(NO_INSTRUCTIONS, line=1, plain=True)
    global_args, stages = _stages(parsed)
    return ins.Dockerfile(
        global_args=global_args, stages=stages, directives=source.directives, escape=source.escape, source=text, name=name
    )


def parse_line(line: LogicalLine) -> ins.Instruction:
    """One instruction. Raises DockerfileError."""
    word, _, rest = _partition(line.text)
    keyword = word.upper()
    parser = PARSERS.get(keyword)
    if parser is None:
        close = nearest(keyword, PARSERS)
        suggestion = f" (did you mean {close}?)" if close else ""
        raise DockerfileError(f"unknown instruction: {word}{suggestion}", line=line.start, end=line.end)
    flags, rest = _flags(rest)
    raw = RawInstruction(keyword, flags, rest, line)
    allowed = FLAGS.get(keyword, frozenset())
    for flag, _ in flags:
        if flag not in allowed:
            close = nearest(flag, sorted(allowed))
            raise raw.error(f"unknown flag: --{flag}{f' (did you mean {close}?)' if close else ''}")
    for flag, value in flags:
        if value is None and flag not in SWITCHES:
            raise raw.error(f"missing a value on flag: --{flag}")
    if not rest and keyword == "FROM":
        raise raw.error("FROM requires either one or three arguments")
    if not rest and keyword not in ("CMD", "ENTRYPOINT", "RUN", "COPY", "ADD"):
        raise raw.error(f"{keyword} requires {'exactly one argument' if keyword in ONE_ARGUMENT else 'at least one argument'}")
    return parser(raw)


def _partition(text: str) -> tuple[str, str, str]:
    match = re.match(r"\S+", text)
    word = match[0] if match else ""
    return word, " ", text[len(word) :].strip()


def _flags(rest: str) -> tuple[tuple[tuple[str, str | None], ...], str]:
    found: list[tuple[str, str | None]] = []
    while rest.startswith("--"):
        word, _, after = _flag_word(rest)
        match = _FLAG.fullmatch(word)
        if word == "--" or not match:
            rest = after if word == "--" else rest
            break
        found.append((match[1], None if match[2] is None else _unquoted(match[2])))
        rest = after
    return tuple(found), rest


def _flag_word(text: str) -> tuple[str, str, str]:
    """A flag ends at white space outside quotes."""
    quote = ""
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c.isspace():
            return text[:i], " ", text[i:].lstrip()
    return text, "", ""


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _stages(parsed: list[ins.Instruction]) -> tuple[tuple[ins.Arg, ...], tuple[ins.Stage, ...]]:
    global_args: list[ins.Arg] = []
    stages: list[tuple[ins.From, list[ins.Instruction]]] = []
    for step in parsed:
        if isinstance(step, ins.From):
            stages.append((step, []))
        elif stages:
            stages[-1][1].append(step)
        elif isinstance(step, ins.Arg):
            global_args.append(step)
        else:
            raise DockerfileError("no build stage in current context", line=step.place.start, end=step.place.end, plain=True)
    if not stages:
        raise DockerfileError("no build stage in current context", line=parsed[-1].place.start, plain=True)
    if len(stages) > MOST_STAGES:
        raise DockerfileError(f"more than {MOST_STAGES} stages", line=stages[MOST_STAGES][0].place.start)
    return tuple(global_args), tuple(ins.Stage(index=n, base=base, steps=tuple(steps)) for n, (base, steps) in enumerate(stages))


def json_list(text: str) -> list[str] | None:
    """The exec form's list of strings, None when the text is no such list."""
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(v, str) for v in value) else None


def _command(raw: RawInstruction) -> ins.Command:
    argv = json_list(raw.rest)
    return ins.Command(argv=tuple(argv)) if argv is not None else ins.Command(text=raw.rest)


def _from(raw: RawInstruction) -> ins.Instruction:
    words = raw.rest.split()
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise raw.error("FROM requires either one or three arguments")
    name = words[2] if len(words) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        raise raw.error(f'invalid name for build stage: "{name}", name can\'t start with a number or contain symbols')
    return ins.From(place=raw.place, image=words[0], platform=raw.one("platform"), name=name)


def _run(raw: RawInstruction) -> ins.Instruction:
    security, network = raw.one("security"), raw.one("network")
    if network not in ("", "default", "none", "host"):
        raise raw.error(f'invalid network mode "{network}"', "one of default, none, host")
    if security not in ("", "sandbox", "insecure"):
        raise raw.error(f"security {security!r} is not valid", "one of sandbox, insecure")
    return ins.Run(
        place=raw.place,
        command=_command(raw),
        heredocs=raw.line.heredocs,
        mounts=tuple(_mount(raw, text) for text in raw.many("mount")),
        network=network,
        security=security,
        devices=tuple(_device(raw, text) for text in raw.many("device")),
    )


def _device(raw: RawInstruction, text: str) -> ins.DeviceFlag:
    """`NAME[,required[=BOOL]]` or `name=NAME`: a word that is no option is the name, blanks and equals signs and all."""
    name, required = "", False
    for part in _fields(raw, text):
        key, equals, value = part.partition("=")
        key = key.lower()
        if key == "required":
            if equals and value not in TRUE | FALSE:
                raise raw.error(f"invalid value for required: {value}", "true or false", plain=True)
            required = value in TRUE if equals else True
        elif key == "name" and equals:
            if name:
                raise raw.error(f"device name already set to {name}", plain=True)
            name = value
        elif not name:
            name = part
        elif not equals:
            raise raw.error(f"invalid field '{part}' must be a key=value pair", plain=True)
        else:
            close = nearest(key, ("name", "required"))
            raise raw.error(f"unexpected key '{key}' in '{part}'{f' (did you mean {close}?)' if close else ''}", plain=True)
    return ins.DeviceFlag(name, required)


def _fields(raw: RawInstruction, text: str) -> list[str]:
    try:
        return next(csv.reader([text]), [])
    except csv.Error as error:
        raise raw.error(f"failed to parse csv devices: {error}", plain=True) from error


MOUNT_OPTIONS: dict[str, frozenset[str]] = {
    "bind": frozenset({"target", "source", "from", "rw"}),
    "cache": frozenset({"id", "target", "ro", "sharing", "from", "source", "mode", "uid", "gid"}),
    "tmpfs": frozenset({"target", "size"}),
    "secret": frozenset({"id", "target", "required", "mode", "uid", "gid", "env"}),
    "ssh": frozenset({"id", "target", "required", "mode", "uid", "gid"}),
}
_MOUNT_SPELLINGS = {"dst": "target", "destination": "target", "src": "source", "readonly": "ro", "readwrite": "rw"}


def _mount(raw: RawInstruction, text: str) -> ins.MountFlag:
    options: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        key = _MOUNT_SPELLINGS.get(key.lower(), key.lower())
        options[key] = value
    kind = options.pop("type", "bind")
    if kind not in MOUNT_OPTIONS:
        raise raw.error(f'unsupported mount type "{kind}"', f"one of {', '.join(MOUNT_OPTIONS)}", plain=True)
    for key in options:
        if key not in MOUNT_OPTIONS[kind] | {"ro", "rw"}:
            close = nearest(key, sorted(MOUNT_OPTIONS[kind]))
            written = next(part for part in text.split(",") if part.partition("=")[0].lower() == key)
            suggestion = f" (did you mean {close}?)" if close else ""
            raise raw.error(f"unexpected key '{key}' in '{written}'{suggestion}", plain=True)
    _check_mount(raw, kind, options)
    return ins.MountFlag(type=kind, options=options)


_SWITCHES = ("ro", "rw", "required")
_NUMBERS = {"mode": 8, "uid": 10, "gid": 10, "size": 0}


def _check_mount(raw: RawInstruction, kind: str, options: dict[str, str]) -> None:
    """Values that hold no variable."""
    if kind in ("bind", "cache", "tmpfs") and not options.get("target"):
        raise raw.error('invalid mount target "/"', f"{kind} mounts need a target", plain=True)
    for key, value in options.items():
        if "$" in value:
            continue
        if key in _SWITCHES and value.lower() not in ("", "true", "false", "1", "0"):
            raise raw.error(f"invalid value for {key}: {value}", "true or false", plain=True)
        if key == "sharing" and value not in ("shared", "private", "locked"):
            raise raw.error(f'unsupported sharing value "{value}"', "one of shared, private, locked", plain=True)
        if key in ("mode", "uid", "gid") and not _is_number(value, _NUMBERS[key]):
            raise raw.error(f"invalid value {value} for {key}", plain=True)


def _is_number(text: str, radix: int) -> bool:
    try:
        return int(text, radix) >= 0
    except ValueError:
        return False


def _copy(raw: RawInstruction) -> ins.Instruction:
    rest = without_heredoc_marks(raw.rest).strip()
    words = json_list(rest)
    words = words if words is not None else rest.split()
    if len(words) + len(raw.line.heredocs) < 2 or not words:
        raise raw.error(f"{raw.keyword} requires at least two arguments, but only one was provided. Destination could not be determined")
    sources, target = tuple(words[:-1]), words[-1]
    return ins.Copy(
        place=raw.place,
        sources=sources,
        target=target,
        heredocs=raw.line.heredocs,
        is_add=raw.keyword == "ADD",
        from_=raw.one("from"),
        chown=raw.one("chown"),
        chmod=raw.one("chmod"),
        link=bool(raw.switch("link")),
        parents=bool(raw.switch("parents")),
        excludes=raw.many("exclude"),
        checksum=raw.one("checksum"),
        keep_git_dir=bool(raw.switch("keep-git-dir")),
        unpack=raw.switch("unpack"),
    )


_PAIR_WORD = re.compile(r"(?:[^\s\"'\\]|\\.|\"(?:[^\"\\]|\\.)*(?:\"|$)|'[^']*(?:'|$))+", re.DOTALL)


def _pairs(raw: RawInstruction) -> tuple[tuple[tuple[str, str], ...], bool]:
    words = _PAIR_WORD.findall(raw.rest)
    if words and "=" not in words[0]:
        key, _, value = _partition(raw.rest)
        if not value:
            raise raw.error(f"{raw.keyword} must have two arguments", plain=True)
        return ((key, value),), True
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise raw.error(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value', plain=True)
        if not _unquoted(key):
            raise raw.error(f"{raw.keyword} names can not be blank")
        found.append((key, value))
    return tuple(found), False


def _env(raw: RawInstruction) -> ins.Instruction:
    pairs, legacy = _pairs(raw)
    return ins.Env(place=raw.place, pairs=pairs, legacy=legacy)


def _label(raw: RawInstruction) -> ins.Instruction:
    pairs, legacy = _pairs(raw)
    return ins.Label(place=raw.place, pairs=pairs, legacy=legacy)


def _arg(raw: RawInstruction) -> ins.Instruction:
    found: list[tuple[str, str | None]] = []
    for word in _PAIR_WORD.findall(raw.rest):
        key, equals, value = word.partition("=")
        if not key:
            raise raw.error("ARG names can not be blank")
        found.append((key, value if equals else None))
    return ins.Arg(place=raw.place, pairs=tuple(found))


def _onbuild(raw: RawInstruction) -> ins.Instruction:
    trigger = _partition(raw.rest)[0].upper()
    if trigger == "ONBUILD":
        raise raw.error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("FROM", "MAINTAINER"):
        raise raw.error(f"{trigger} isn't allowed as an ONBUILD trigger")
    parse_line(LogicalLine(raw.rest, raw.line.start, raw.line.end, raw.line.heredocs))
    return ins.OnBuild(place=raw.place, trigger=raw.rest, heredocs=raw.line.heredocs)


def _healthcheck(raw: RawInstruction) -> ins.Instruction:
    kind, _, rest = _partition(raw.rest)
    if kind.upper() == "NONE":
        if rest or raw.flags:
            raise raw.error("HEALTHCHECK NONE takes no arguments")
        return ins.HealthCheck(place=raw.place, test=("NONE",))
    if kind.upper() != "CMD":
        raise raw.error(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    argv = json_list(rest)
    if not (argv if argv is not None else rest):
        raise raw.error("Missing command after HEALTHCHECK CMD")
    return ins.HealthCheck(
        place=raw.place,
        test=("CMD", *argv) if argv is not None else ("CMD-SHELL", rest),
        interval=_nanoseconds(raw, "interval"),
        timeout=_nanoseconds(raw, "timeout"),
        start_period=_nanoseconds(raw, "start-period"),
        start_interval=_nanoseconds(raw, "start-interval"),
        retries=_retries(raw),
    )


def _nanoseconds(raw: RawInstruction, flag: str) -> int:
    text = raw.one(flag)
    if not text:
        return 0
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise raw.error(str(error)) from None
    if 0 < value < 1_000_000:
        raise raw.error(f'Interval "{flag}" cannot be less than 1ms')
    return value


def _retries(raw: RawInstruction) -> int:
    text = raw.one("retries")
    if text and not text.isdecimal():
        raise raw.error(f'strconv.ParseInt: parsing "{text}": invalid syntax', "--retries is a whole number")
    return int(text or 0)


def _words(raw: RawInstruction) -> tuple[str, ...]:
    words = json_list(raw.rest)
    found = tuple(words if words is not None else raw.rest.split())
    if any(not w.strip() for w in found):
        raise raw.error(f"{raw.keyword} specified can not be an empty string")
    return found


def _shell(raw: RawInstruction) -> ins.Instruction:
    argv = json_list(raw.rest)
    if not argv:
        raise raw.error("SHELL requires the arguments to be in JSON form")
    return ins.Shell(place=raw.place, argv=tuple(argv))


ONE_ARGUMENT = frozenset({"USER", "WORKDIR", "STOPSIGNAL", "MAINTAINER"})

PARSERS: dict[str, Callable[[RawInstruction], ins.Instruction]] = {
    "FROM": _from,
    "RUN": _run,
    "COPY": _copy,
    "ADD": _copy,
    "ENV": _env,
    "LABEL": _label,
    "ARG": _arg,
    "CMD": lambda raw: ins.Cmd(place=raw.place, command=_command(raw)),
    "ENTRYPOINT": lambda raw: ins.Entrypoint(place=raw.place, command=_command(raw)),
    "EXPOSE": lambda raw: ins.Expose(place=raw.place, ports=_words(raw)),
    "VOLUME": lambda raw: ins.Volume(place=raw.place, paths=_words(raw)),
    "USER": lambda raw: ins.User(place=raw.place, user=raw.rest),
    "WORKDIR": lambda raw: ins.Workdir(place=raw.place, path=raw.rest),
    "STOPSIGNAL": lambda raw: ins.StopSignal(place=raw.place, signal=raw.rest),
    "SHELL": _shell,
    "MAINTAINER": lambda raw: ins.Maintainer(place=raw.place, name=raw.rest),
    "HEALTHCHECK": _healthcheck,
    "ONBUILD": _onbuild,
}

__all__ = ["Heredoc", "json_list", "parse", "parse_line"]
