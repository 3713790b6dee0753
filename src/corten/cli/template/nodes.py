"""What a parsed template is made of. `str(node)` is the text that Go shows in `executing "" at <…>`."""

from typing import Any


class Node:
    """A place in the template: `offset` is the character where Go says the node is."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Literal(Node):
    """A number, string, boolean or character; `source` as written. `value` is int, float, str or bool."""

    __slots__ = ("source", "value")

    def __init__(self, offset: int, source: str, value: Any) -> None:
        super().__init__(offset)
        self.source = source
        self.value = value

    def __str__(self) -> str:
        return self.source


class Nil(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "nil"


class Dot(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "."


class Field(Node):
    """`.A.B` on dot."""

    __slots__ = ("names",)

    def __init__(self, offset: int, names: list[str]) -> None:
        super().__init__(offset)
        self.names = names

    def __str__(self) -> str:
        return "".join("." + n for n in self.names)


class Variable(Node):
    """`$x.A.B`; `names[0]` is the variable with its dollar."""

    __slots__ = ("names",)

    def __init__(self, offset: int, names: list[str]) -> None:
        super().__init__(offset)
        self.names = names

    def __str__(self) -> str:
        return ".".join(self.names)


class Chain(Node):
    """`(pipeline).A.B`."""

    __slots__ = ("names", "operand")

    def __init__(self, offset: int, operand: Node, names: list[str]) -> None:
        super().__init__(offset)
        self.operand = operand
        self.names = names

    def __str__(self) -> str:
        inner = f"({self.operand})" if isinstance(self.operand, Pipe) else str(self.operand)
        return inner + "".join("." + n for n in self.names)


class Identifier(Node):
    """The name of a function."""

    __slots__ = ("name",)

    def __init__(self, offset: int, name: str) -> None:
        super().__init__(offset)
        self.name = name

    def __str__(self) -> str:
        return self.name


class Command(Node):
    __slots__ = ("operands",)

    def __init__(self, offset: int, operands: list[Node]) -> None:
        super().__init__(offset)
        self.operands = operands

    def __str__(self) -> str:
        return " ".join(f"({o})" if isinstance(o, Pipe) else str(o) for o in self.operands)


class Pipe(Node):
    """`$a, $b := command | command`; `assigns` tells `=` from `:=`."""

    __slots__ = ("assigns", "commands", "variables")

    def __init__(self, offset: int, variables: list[str], commands: list[Command], *, assigns: bool) -> None:
        super().__init__(offset)
        self.variables = variables
        self.commands = commands
        self.assigns = assigns

    def __str__(self) -> str:
        declared = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} " if self.variables else ""
        return declared + " | ".join(map(str, self.commands))


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, offset: int, text: str) -> None:
        super().__init__(offset)
        self.text = text


class Action(Node):
    __slots__ = ("pipe",)

    def __init__(self, offset: int, pipe: Pipe) -> None:
        super().__init__(offset)
        self.pipe = pipe


class Branch(Node):
    """`if`, `with` or `range` (the `word`), its body, and what stands behind `else`."""

    __slots__ = ("body", "otherwise", "pipe", "word")

    def __init__(self, offset: int, word: str, pipe: Pipe, *, body: list[Node], otherwise: list[Node]) -> None:
        super().__init__(offset)
        self.word = word
        self.pipe = pipe
        self.body = body
        self.otherwise = otherwise


class Jump(Node):
    """`break` or `continue`."""

    __slots__ = ("word",)

    def __init__(self, offset: int, word: str) -> None:
        super().__init__(offset)
        self.word = word


class Call(Node):
    """`{{template "name" pipe}}`."""

    __slots__ = ("name", "pipe")

    def __init__(self, offset: int, name: str, pipe: Pipe | None) -> None:
        super().__init__(offset)
        self.name = name
        self.pipe = pipe

    def __str__(self) -> str:
        from corten.quoting import go_quoted

        return "{{template " + go_quoted(self.name) + (f" {self.pipe}" if self.pipe else "") + "}}"
