"""Tokens to nodes. One template and the named ones it defines make a `Tree`."""

from collections.abc import Collection, Mapping
from typing import Any

from corten.cli.template import nodes
from corten.cli.template.constants import char_value, number_value, string_value
from corten.cli.template.lexer import TemplateSyntaxError, Token, tokens

OPERANDS = frozenset({"bool", "char", ".", "field", "identifier", "number", "nil", "string", "variable", "("})


class TemplateError(Exception):
    """A template that cannot be parsed or executed; the text is Go's whole sentence."""


class Tree:
    """A parsed template, its source (places in errors are counted in it) and its named parts."""

    __slots__ = ("body", "named", "source")

    def __init__(self, source: str, body: list[nodes.Node], named: Mapping[str, list[nodes.Node]]) -> None:
        self.source = source
        self.body = body
        self.named = named


def parse(source: str, functions: Collection[str], *, name: str = "") -> Tree:
    """Raises TemplateError with Go's sentence: `template: NAME:LINE: …`."""
    try:
        parser = _Parser(tokens(source), functions)
        body = parser.whole()
    except TemplateSyntaxError as error:
        line = 1 + source.count("\n", 0, error.offset)
        raise TemplateError(f"template: {name}:{line}: {error.message}") from None
    return Tree(source, body, parser.named)


class _Parser:
    def __init__(self, found: list[Token], functions: Collection[str]) -> None:
        self.named: dict[str, list[nodes.Node]] = {}
        self._tokens = found
        self._at = 0
        self._functions = functions
        self._variables = ["$"]
        self._loops = 0

    def whole(self) -> list[nodes.Node]:
        body, ending = self._list()
        if ending.kind != "eof":
            raise TemplateSyntaxError(f"unexpected {{{{{ending.value}}}}}", ending.offset)
        return body

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _next_solid(self) -> Token:
        token = self._next()
        return self._next() if token.kind == "space" else token

    def _peek_solid(self) -> Token:
        if self._peek().kind == "space":
            self._at += 1
        return self._peek()

    def _unexpected(self, token: Token, context: str) -> TemplateSyntaxError:
        return TemplateSyntaxError(f"unexpected {token} in {context}", token.offset)

    def _expect(self, kind: str, context: str) -> Token:
        token = self._next_solid()
        if token.kind != kind:
            raise self._unexpected(token, context)
        return token

    def _list(self) -> tuple[list[nodes.Node], Token]:
        """Nodes up to `end`, `else` or the end of the text; the token that ended them is consumed, its delimiter is not."""
        body: list[nodes.Node] = []
        while True:
            token = self._next()
            if token.kind == "eof":
                return body, token
            if token.kind == "text":
                body.append(nodes.Text(token.offset, token.value))
                continue
            first = self._peek_solid()
            if first.kind in {"end", "else"}:
                return body, self._next()
            if (node := self._action(first)) is not None:
                body.append(node)

    def _action(self, first: Token) -> nodes.Node | None:
        match first.kind:
            case "if" | "with" | "range":
                return self._branch(self._next().kind, first.offset)
            case "break" | "continue":
                return self._jump(self._next())
            case "template" | "block":
                return self._call(self._next())
            case "define":
                self._define(self._next())
                return None
        mark = len(self._variables)
        node = nodes.Action(first.offset, self._pipeline("command", "right"))
        assert len(self._variables) >= mark
        return node

    def _branch(self, word: str, offset: int) -> nodes.Branch:
        mark = len(self._variables)
        pipe = self._pipeline(word, "right")
        self._loops += word == "range"
        body, ending = self._list()
        self._loops -= word == "range"
        otherwise: list[nodes.Node] = []
        if ending.kind == "else":
            chained = self._peek_solid()
            if chained.kind == word and word != "range":
                otherwise = [self._branch(self._next().kind, chained.offset)]
                del self._variables[mark:]
                return nodes.Branch(offset, word, pipe, body=body, otherwise=otherwise)
            self._expect("right", "else")
            otherwise, ending = self._list()
        if ending.kind != "end":
            raise TemplateSyntaxError(
                "unexpected EOF" if ending.kind == "eof" else f"expected end; found {{{{{ending.value}}}}}", ending.offset
            )
        self._expect("right", "end")
        del self._variables[mark:]
        return nodes.Branch(offset, word, pipe, body=body, otherwise=otherwise)

    def _jump(self, word: Token) -> nodes.Jump:
        self._expect("right", f"{{{{{word.kind}}}}}")
        if not self._loops:
            raise TemplateSyntaxError(f"{{{{{word.kind}}}}} outside {{{{range}}}}", word.offset)
        return nodes.Jump(word.offset, word.kind)

    def _call(self, word: Token) -> nodes.Call:
        """`{{template "x" pipe}}`, and `{{block "x" pipe}}…{{end}}`, which also defines x."""
        context = "template clause" if word.kind == "template" else "block clause"
        token = self._expect("string", context)
        name = string_value(token)
        pipe = None
        if self._peek_solid().kind == "right":
            if word.kind == "block":
                raise TemplateSyntaxError("missing value for block clause", token.offset)
            self._next()
        else:
            pipe = self._pipeline(context, "right")
        if word.kind == "block":
            self.named[name] = self._enclosed()
        return nodes.Call(token.offset, name, pipe)

    def _define(self, word: Token) -> None:
        name = string_value(self._expect("string", "define clause"))
        self._expect("right", "define clause")
        outer, self._variables = self._variables, ["$"]
        self.named[name] = self._enclosed()
        self._variables = outer

    def _enclosed(self) -> list[nodes.Node]:
        body, ending = self._list()
        if ending.kind != "end":
            raise TemplateSyntaxError("unexpected EOF" if ending.kind == "eof" else "unexpected {{else}} in define clause", ending.offset)
        self._expect("right", "end")
        return body

    def _pipeline(self, context: str, closing: str) -> nodes.Pipe:
        offset = self._peek_solid().offset
        variables, assigns = self._declared(context)
        commands: list[nodes.Command] = []
        while True:
            token = self._next_solid()
            if token.kind == closing:
                break
            if token.kind not in OPERANDS:
                raise self._unexpected(token, context)
            self._at -= 1
            commands.append(self._command())
        if not commands:
            raise TemplateSyntaxError(f"missing value for {context}", token.offset)
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.operands[0], nodes.Literal | nodes.Nil | nodes.Dot):
                raise TemplateSyntaxError(f"non executable command in pipeline stage {stage}", command.offset)
        return nodes.Pipe(offset, variables, commands, assigns=assigns)

    def _declared(self, context: str) -> tuple[list[str], bool]:
        """`$a := `, `$a = `, in a range also `$i, $e := `; nothing otherwise."""
        found: list[str] = []
        start = self._at
        while (token := self._peek_solid()).kind == "variable":
            self._at += 1
            sign = self._peek_solid()
            if sign.kind in {":=", "="}:
                self._next()
                found.append(token.value)
                if sign.kind == ":=":
                    self._variables += found
                return found, sign.kind == "="
            if sign.kind != "," or context != "range" or found:
                break
            self._next()
            found.append(token.value)
        self._at = start
        return [], False

    def _command(self) -> nodes.Command:
        command = nodes.Command(self._peek_solid().offset, [])
        while True:
            self._peek_solid()
            operand = self._operand()
            if operand is not None:
                command.operands.append(operand)
            token = self._next()
            if token.kind == "space":
                continue
            if token.kind in {"right", ")"}:
                self._at -= 1
            elif token.kind != "|":
                raise self._unexpected(token, "operand")
            break
        if not command.operands:
            raise TemplateSyntaxError("empty command", command.offset)
        return command

    def _operand(self) -> nodes.Node | None:
        node = self._term()
        if node is None or self._peek().kind != "field":
            return node
        offset, names = self._peek().offset, []
        while self._peek().kind == "field":
            names.append(self._next().value[1:])
        if isinstance(node, nodes.Field):
            return nodes.Field(offset, [*node.names, *names])
        if isinstance(node, nodes.Variable):
            return nodes.Variable(offset, [*node.names, *names])
        if isinstance(node, nodes.Literal | nodes.Nil | nodes.Dot):
            raise TemplateSyntaxError(f"unexpected . after term {_quoted(str(node))}", offset)
        return nodes.Chain(offset, node, names)

    def _term(self) -> nodes.Node | None:
        token = self._next_solid()
        match token.kind:
            case "identifier":
                if token.value not in self._functions:
                    raise TemplateSyntaxError(f"function {_quoted(token.value)} not defined", token.offset)
                return nodes.Identifier(token.offset, token.value)
            case ".":
                return nodes.Dot(token.offset)
            case "nil":
                return nodes.Nil(token.offset)
            case "variable":
                if token.value not in self._variables:
                    raise TemplateSyntaxError(f"undefined variable {_quoted(token.value)}", token.offset)
                return nodes.Variable(token.offset, [token.value])
            case "field":
                return nodes.Field(token.offset, [token.value[1:]])
            case "(":
                return self._pipeline("parenthesized pipeline", ")")
            case "bool" | "char" | "number" | "string":
                return nodes.Literal(token.offset, token.value, _constant(token))
        self._at -= 1
        return None


def _constant(token: Token) -> Any:
    readers = {"bool": lambda t: t.value == "true", "char": char_value, "number": number_value, "string": string_value}
    return readers[token.kind](token)


def _quoted(text: str) -> str:
    from corten.quoting import go_quoted

    return go_quoted(text)
