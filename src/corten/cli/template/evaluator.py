"""Executes a parsed template on a value. Text comes out piece by piece; an error carries Go's place and sentence."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from corten.cli.template import nodes
from corten.cli.template.encode import PARAMETERIZED
from corten.cli.template.functions import Function, FunctionError
from corten.cli.template.parser import TemplateError, Tree, parse
from corten.cli.template.values import NO_VALUE, Nil, NoValue, Record, Struct, format_value, is_true, type_name
from corten.quoting import go_quoted

MISSING: Any = object()
"""No value comes from the stage before in the pipeline."""
MAX_DEPTH = 1000


class Template:
    """A parsed template. `missing_key_error`: a key that a map lacks is an error (Docker's second try on inspect), not `<no value>`."""

    def __init__(self, source: str, functions: Mapping[str, Function], *, name: str = "", missing_key_error: bool = False) -> None:
        """Raises TemplateError when `source` cannot be parsed."""
        self.tree = parse(source, functions, name=name)
        self.name = name
        self.functions = functions
        self.missing_key_error = missing_key_error

    def execute(self, data: Any) -> str:
        """The text for `data`. Raises TemplateError; what was written until then is in its `partial`."""
        run = _Run(self, self.tree)
        try:
            run.walk(self.tree.body, data)
        except TemplateError as error:
            raise ExecutionError(str(error), "".join(run.out)) from None
        return "".join(run.out)


class ExecutionError(TemplateError):
    """`partial` is the text that was made before the error."""

    def __init__(self, message: str, partial: str) -> None:
        super().__init__(message)
        self.partial = partial


class _Jump(Exception):
    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class _Run:
    """One execution: output, variables, and the node that an error names."""

    def __init__(self, template: Template, tree: Tree) -> None:
        self.out: list[str] = []
        self.template = template
        self.tree = tree
        self.node: nodes.Node = nodes.Dot(0)
        self.variables: list[tuple[str, Any]] = []
        self.depth = 0

    # -- statements

    def walk(self, body: Sequence[nodes.Node], dot: Any) -> None:
        if not self.variables:
            self.variables.append(("$", dot))
        for node in body:
            self._statement(node, dot)

    def _statement(self, node: nodes.Node, dot: Any) -> None:
        if isinstance(node, nodes.Text):
            self.out.append(node.text)
            return
        self.node = node
        if isinstance(node, nodes.Action):
            value = self.pipeline(node.pipe, dot)
            if not node.pipe.variables:
                self.out.append("<no value>" if value is None else format_value(value))
        elif isinstance(node, nodes.Branch):
            mark = len(self.variables)
            (self._range if node.word == "range" else self._choose)(node, dot)
            del self.variables[mark:]
        elif isinstance(node, nodes.Jump):
            raise _Jump(node.word)
        else:
            assert isinstance(node, nodes.Call)
            self._call(node, dot)

    def _choose(self, node: nodes.Branch, dot: Any) -> None:
        value = self.pipeline(node.pipe, dot)
        if is_true(value):
            self.walk(node.body, value if node.word == "with" else dot)
        else:
            self.walk(node.otherwise, dot)

    def _range(self, node: nodes.Branch, dot: Any) -> None:
        value = self.pipeline(node.pipe, dot)
        names = node.pipe.variables
        mark = len(self.variables) - (0 if node.pipe.assigns else len(names))
        ran = False
        for key, element in self._pairs(value):
            ran = True
            bound = (element,) if len(names) == 1 else (key, element)
            if node.pipe.assigns:
                for name, item in zip(names, bound, strict=False):
                    self._assign(name, item)
            else:
                self.variables[mark:] = list(zip(names, bound, strict=False))
            try:
                self.walk(node.body, element)
            except _Jump as jump:
                if jump.word == "break":
                    break
        if not ran:
            self.walk(node.otherwise, dot)

    def _pairs(self, value: Any) -> Iterable[tuple[Any, Any]]:
        match value:
            case bool() | str() | float() | Record() | Struct():
                raise self.error(f"range can't iterate over {format_value(value)}")
            case None | NoValue() | Nil():
                return ()
            case int():
                return ((i, i) for i in range(value))
            case dict():
                return ((k, value[k]) for k in sorted(value))
        return enumerate(value)

    def _call(self, node: nodes.Call, dot: Any) -> None:
        body = self.tree.named.get(node.name)
        if body is None:
            raise self.error(f"template {go_quoted(node.name)} not defined")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"exceeded maximum template depth ({MAX_DEPTH})")
        value = self.pipeline(node.pipe, dot) if node.pipe else None
        outer, self.variables = self.variables, []
        self.walk(body, value)
        self.variables = outer
        self.depth -= 1

    # -- expressions

    def pipeline(self, pipe: nodes.Pipe, dot: Any) -> Any:
        self.node = pipe
        value: Any = MISSING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.variables:
            if pipe.assigns:
                self._assign(name, value)
            else:
                self.variables.append((name, value))
        return value

    def _assign(self, name: str, value: Any) -> None:
        for i in range(len(self.variables) - 1, -1, -1):
            if self.variables[i][0] == name:
                self.variables[i] = (name, value)
                return
        raise self.error(f"undefined variable: {name}")

    def _command(self, command: nodes.Command, dot: Any, final: Any) -> Any:
        first = command.operands[0]
        if isinstance(first, nodes.Identifier):
            return self._function(first, command, dot, final)
        arguments = command.operands[1:]
        if isinstance(first, nodes.Field | nodes.Chain | nodes.Variable):
            return self._chain(first, dot, arguments, final)
        if isinstance(first, nodes.Pipe):
            self._refuse_arguments(command, final)
            return self.pipeline(first, dot)
        self.node = first
        self._refuse_arguments(command, final)
        if isinstance(first, nodes.Nil):
            raise self.error("nil is not a command")
        return dot if isinstance(first, nodes.Dot) else self._literal(first)

    def _literal(self, node: nodes.Node) -> Any:
        assert isinstance(node, nodes.Literal)
        value = node.value
        whole = isinstance(value, float) and value.is_integer() and not {".", "p", "P"} & set(node.source)
        return int(value) if whole else value

    def _refuse_arguments(self, command: nodes.Command, final: Any) -> None:
        if len(command.operands) > 1 or final is not MISSING:
            raise self.error(f"can't give argument to non-function {command.operands[0]}")

    def _chain(self, node: nodes.Field | nodes.Chain | nodes.Variable, dot: Any, arguments: Sequence[nodes.Node], final: Any) -> Any:
        """A field of a field of …; arguments go to the last one."""
        self.node = node
        names, value = node.names, dot
        if isinstance(node, nodes.Variable):
            value, names = self._variable(names[0]), names[1:]
            if not names and (arguments or final is not MISSING):
                raise self.error(f"can't give argument to non-function {node}")
        elif isinstance(node, nodes.Chain):
            value = self._argument(node.operand, dot)
        for name in names[:-1]:
            value = self._field(value, name)
        if not names:
            return value
        if isinstance(value, dict) and (arguments or final is not MISSING):
            raise self.error(f"{names[-1]} is not a method but has arguments")
        given = [self._argument(a, dot) for a in arguments]
        return self._field(value, names[-1], *given, *(() if final is MISSING else (final,)))

    def _variable(self, name: str) -> Any:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise self.error(f"undefined variable: {name}")

    def _field(self, receiver: Any, name: str, *arguments: Any) -> Any:
        if isinstance(receiver, Record):
            getter = receiver.getters.get(name)
            if getter is not None:
                wanted = 1 if name in PARAMETERIZED else 0
                if len(arguments) != wanted:
                    raise self.error(f"wrong number of args for {name}: want {wanted} got {len(arguments)}")
                return getter(receiver.data, *arguments)
        elif receiver is None or isinstance(receiver, NoValue):
            if self.template.missing_key_error:
                raise self.error(f"nil data; no entry for key {go_quoted(name)}")
            return NO_VALUE
        elif isinstance(receiver, dict):
            return self._entry(receiver, name)
        elif isinstance(receiver, Nil) and receiver.kind == "map":
            return NO_VALUE
        elif isinstance(receiver, Nil):
            raise self.error(f"nil pointer evaluating {type_name(receiver)}.{name}")
        raise self.error(f"can't evaluate field {name} in type {self._type(receiver)}")

    def _type(self, value: Any) -> str:
        return "interface {}" if self.template.missing_key_error else type_name(value)

    def _entry(self, receiver: dict[str, Any], name: str) -> Any:
        if isinstance(receiver, Struct):
            key = receiver.aliases.get(name, name)
            if key in receiver:
                return receiver[key]
            if key in receiver.absent:
                return receiver.absent[key]
            raise self.error(f"can't evaluate field {name} in type {type_name(receiver)}")
        if name in receiver:
            return receiver[name]
        if self.template.missing_key_error:
            raise self.error(f"map has no entry for key {go_quoted(name)}")
        return NO_VALUE

    # -- functions

    def _function(self, node: nodes.Identifier, command: nodes.Command, dot: Any, final: Any) -> Any:
        self.node = node
        function = self.template.functions[node.name]
        arguments = command.operands[1:]
        given = len(arguments) + (final is not MISSING)
        if problem := function.count_problem(given):
            raise self.error(f"wrong number of args for {node.name}: {problem}")
        values = self._values(function, arguments, dot)
        if function.lazy:
            return self._until_decided(function, values, final)
        evaluated = list(values)
        if final is not MISSING:
            evaluated.append(self._typed(function, len(evaluated), final, None))
        return self._invoke(node.name, function.call, evaluated, at=command)

    def _values(self, function: Function, arguments: Sequence[nodes.Node], dot: Any) -> Iterator[Any]:
        for index, argument in enumerate(arguments):
            yield self._typed(function, index, self._argument(argument, dot), argument)

    def _until_decided(self, function: Function, values: Iterator[Any], final: Any) -> Any:
        """`and` and `or`: the first value that decides, the last one otherwise; what follows is not evaluated."""
        value = MISSING
        for value in values:
            if function.call(value):
                return value
        return value if final is MISSING else final

    def _typed(self, function: Function, index: int, value: Any, node: nodes.Node | None) -> Any:
        if problem := function.type_problem(index, value, str(node) if isinstance(node, nodes.Literal) else ""):
            raise self.error(problem)
        return value

    def _invoke(self, name: str, call: Callable[..., Any], arguments: Sequence[Any], *, at: nodes.Node | None = None) -> Any:
        try:
            return call(*arguments)
        except FunctionError as error:
            self.node = at or self.node
            raise self.error(f"error calling {name}: {error}") from None

    def _argument(self, node: nodes.Node, dot: Any) -> Any:
        self.node = node
        match node:
            case nodes.Dot():
                return dot
            case nodes.Nil():
                return None
            case nodes.Literal():
                return self._literal(node)
            case nodes.Pipe():
                return self.pipeline(node, dot)
            case nodes.Identifier():
                return self._function(node, nodes.Command(node.offset, [node]), dot, MISSING)
        assert isinstance(node, nodes.Field | nodes.Chain | nodes.Variable)
        return self._chain(node, dot, (), MISSING)

    def error(self, message: str) -> TemplateError:
        source, offset = self.tree.source, self.node.offset
        line = 1 + source.count("\n", 0, offset)
        column = offset - (source.rfind("\n", 0, offset) + 1)
        name = self.template.name
        return TemplateError(f"template: {name}:{line}:{column}: executing {go_quoted(name)} at <{self.node}>: {message}")
