"""`images --tree`: each image with its names, and under it the platforms that it has."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from corten.cli.output.units import short_id
from corten.cli.session import Session
from corten.units import human_size

Json = Mapping[str, Any]
SPACING = 3
NARROWEST_NAME = 12
WARNING = "WARNING: This is an experimental feature. The output may change and shouldn't be depended on."
UNTAGGED = "<untagged>"
_HEAD, _NAME, _BODY, _FAINT, _WARN = "\x1b[39m\x1b[1m", "\x1b[34m\x1b[1m", "\x1b[39m", "\x1b[39m\x1b[2m", "\x1b[93m"
_CHIP, _END = "\x1b[38;5;0m\x1b[48;5;14m", "\x1b[0m"


class Row(NamedTuple):
    """One line of details. `sizes`: what the disk holds of it, and how much of that is content as the registry has it."""

    id: str
    sizes: tuple[int, int]
    in_use: bool


class Platform(NamedTuple):
    name: str
    row: Row
    is_here: bool


class TopImage(NamedTuple):
    names: Sequence[str]
    row: Row
    platforms: Sequence[Platform]


class Column(NamedTuple):
    title: str
    width: int
    to_right: bool = False


COLUMNS = (
    Column("IMAGE", 0),
    Column("ID", 12),
    Column("DISK USAGE", 10, to_right=True),
    Column("CONTENT SIZE", 12, to_right=True),
    Column("EXTRA", 5),
)


def show_tree(session: Session, images: Sequence[Json], *, every: bool) -> None:
    """Prints the answer of `/images/json?manifests=1`; images without a name only with `every`."""
    shown = [_top(image) for image in sorted(images, key=lambda i: -i["Created"]) if every or _has_name(image)]
    painter = _Painter(session, shown)
    painter.head()
    for image in shown:
        painter.image(image)


def _has_name(image: Json) -> bool:
    tags = image.get("RepoTags") or []
    return bool(tags or image.get("RepoDigests")) and tags != ["<none>:<none>"]


def _top(image: Json) -> TopImage:
    platforms = [_platform(m) for m in image.get("Manifests") or () if m.get("Kind") == "image"]
    in_use = image.get("Containers", -1) > 0 or any(p.row.in_use for p in platforms)
    content = sum(p.row.sizes[1] for p in platforms)
    names = sorted(image.get("RepoTags") or [], key=len, reverse=True)
    return TopImage(names, Row(image["Id"], (image["Size"], content), in_use), platforms)


def _platform(manifest: Json) -> Platform:
    data = manifest.get("ImageData") or {}
    platform = data.get("Platform") or {}
    name = "/".join(part for part in (platform.get("os"), platform.get("architecture"), platform.get("variant")) if part)
    sizes = manifest["Size"]["Total"], manifest["Size"]["Content"]
    return Platform(name, Row(manifest["ID"], sizes, bool(data.get("Containers"))), bool(manifest.get("Available")))


class _Painter:
    def __init__(self, session: Session, images: Sequence[TopImage]) -> None:
        self._out = session.out
        self._session = session
        self._on_terminal = session.out.isatty()
        self._width = self._terminal_width()
        self._columns = _fitted(self._width or 80, images)
        self._spaced = any(image.platforms for image in images)

    def head(self) -> None:
        self._session.say(self._coloured(_WARN, WARNING))
        plain = "Info ->  U In Use " if not self._on_terminal else "i Info →  U In Use "
        legend = plain
        if self._on_terminal:
            legend = f"\x1b[1m\x1b[106m\x1b[30mi{_END}{_END} \x1b[96mInfo → {_END}{_END} {_CHIP} U {_END} In Use "
        self._session.say(" " * max(0, (self._width or 80) - len(plain) - 2 * self._on_terminal) + legend)
        self._session.say()
        self._session.say((" " * SPACING).join(_cell(c, c.title, _HEAD, last=c.title == "EXTRA") for c in self._columns))

    def image(self, image: TopImage) -> None:
        names = image.names or [UNTAGGED]
        for name in names[:-1]:
            self._session.say(self._coloured(_NAME, _shortened(name, self._width) if self._width else name))
        self._line(names[-1], _NAME if image.names else _BODY, image.row, _BODY)
        for number, platform in enumerate(image.platforms):
            branch = "└─ " if number == len(image.platforms) - 1 else "├─ "
            colour = _BODY if platform.is_here else _FAINT
            self._line(branch + platform.name, colour, platform.row, colour)
        if self._spaced:
            self._session.say()

    def _line(self, name: str, colour: str, row: Row, body: str) -> None:
        texts = (short_id(row.id), human_size(row.sizes[0], 3), human_size(row.sizes[1], 3))
        cells = [_cell(self._columns[0], name, colour if self._on_terminal else "")]
        cells += [_cell(c, text, body if self._on_terminal else "") for c, text in zip(self._columns[1:4], texts, strict=False)]
        if len(self._columns) == len(COLUMNS):
            chip = f"{_CHIP} U {_END}  " if self._on_terminal else "U    "
            cells.append(chip if row.in_use else " " * COLUMNS[-1].width)
        self._session.say((" " * SPACING).join(cells))

    def _coloured(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_END}" if self._on_terminal else text

    def _terminal_width(self) -> int:
        try:
            return max(20, os.get_terminal_size(self._out.fileno()).columns)
        except (OSError, ValueError):
            return 0


def _fitted(width: int, images: Sequence[TopImage]) -> list[Column]:
    """The columns that fit; the first as narrow as the names allow."""
    left, columns = width, [COLUMNS[0]]
    for column in COLUMNS[1:]:
        if left - column.width - SPACING < NARROWEST_NAME:
            break
        left -= column.width + SPACING
        columns.append(column)
    names = [name for image in images for name in (*(image.names or [UNTAGGED]), *(f"└─ {p.name}" for p in image.platforms))]
    widest = max([len(COLUMNS[0].title), *map(len, names)])
    return [Column("IMAGE", min(left, widest)), *columns[1:]]


def _cell(column: Column, text: str, colour: str, *, last: bool = False) -> str:
    text = _shortened(text, column.width)
    padding = "" if last else " " * (column.width - len(text))
    shown = f"{colour}{text}{_END}" if colour else text
    return padding + shown if column.to_right and colour != _HEAD else shown + padding


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
