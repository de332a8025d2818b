"""What a document is made of, whatever it is written as.

A layout builds blocks; :func:`settled` numbers headings and tables, makes anchors unique
and turns references that lead nowhere into plain text. Writers take only settled documents.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain


class Mark(StrEnum):
    """How a piece of text stands out."""

    PLAIN = "plain"
    STRONG = "strong"
    EMPHASIS = "emphasis"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text. What no document may hold is cleaned away, see :func:`clean`."""

    value: str
    mark: Mark = Mark.PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", clean(self.value))


@dataclass(frozen=True, slots=True)
class Reference:
    """Text that leads to an anchor of the same document."""

    value: str
    anchor: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", clean(self.value))


@dataclass(frozen=True, slots=True)
class Break:
    """A new line inside a paragraph or a cell."""


Inline = Text | Reference | Break
Line = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 3. :func:`settled` fills in the number."""

    level: int
    text: str
    anchor: str = ""
    number: str = ""

    def __post_init__(self) -> None:
        if self.level not in (1, 2, 3):
            raise ValueError("a heading has a level from 1 to 3")
        object.__setattr__(self, "text", " ".join(clean(self.text).split()) or "Untitled")

    @property
    def label(self) -> str:
        """The heading as it is read: number and text."""
        return f"{self.number} {self.text}" if self.number else self.text


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    line: Line


@dataclass(frozen=True, slots=True)
class Label:
    """A few words over the block that follows, too small for the table of contents."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", " ".join(clean(self.text).split()))


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph set apart because it must not be overlooked."""

    line: Line


@dataclass(frozen=True, slots=True)
class Bullets:
    """An unordered list."""

    items: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Numbered:
    """An ordered list, counted from 1."""

    items: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Definitions:
    """Terms and what is said of them."""

    items: tuple[tuple[str, Line], ...]

    def __post_init__(self) -> None:
        items = tuple((clean(term), meaning) for term, meaning in self.items)
        object.__setattr__(self, "items", items)


@dataclass(frozen=True, slots=True)
class Code:
    """Text kept line by line, such as a program's output."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text).expandtabs(4).strip("\n"))


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption above and one header row. ``widths`` are relative.

    Raises:
        ValueError: a row, or the widths, have another number of cells than the header.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    widths: tuple[int, ...]
    number: int = 0

    def __post_init__(self) -> None:
        if {len(self.header)} != {len(cells) for cells in chain(self.rows, [self.widths])}:
            raise ValueError(f"every row of the table {self.caption!r} needs a cell per column")
        object.__setattr__(self, "caption", " ".join(clean(self.caption).split()))
        object.__setattr__(self, "header", tuple(map(clean, self.header)))

    @property
    def anchor(self) -> str:
        """Where references to the table lead."""
        return f"table-{self.number}"

    @property
    def label(self) -> str:
        """The caption as it is read: number and text."""
        return f"Table {self.number}. {self.caption}"


Block = Heading | Paragraph | Label | Note | Bullets | Numbered | Definitions | Code | Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole document: its cover and its body. ``facts`` and ``notes`` stand on the cover."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]
    body: tuple[Block, ...]

    def __post_init__(self) -> None:
        for name in ("title", "subtitle"):
            object.__setattr__(self, name, " ".join(clean(getattr(self, name)).split()))
        facts = tuple((clean(name), clean(value)) for name, value in self.facts)
        object.__setattr__(self, "facts", facts)

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The entries of the table of contents."""
        return tuple(block for block in self.body if isinstance(block, Heading))

    @property
    def tables(self) -> tuple[Table, ...]:
        """The entries of the list of tables."""
        return tuple(block for block in self.body if isinstance(block, Table))


def line(*parts: str | Inline) -> Line:
    """Inlines from strings and inlines; empty text is left out."""
    inlines = (Text(part) if isinstance(part, str) else part for part in parts)
    return tuple(part for part in inlines if isinstance(part, Break) or part.value)


def strong(value: str) -> Text:
    """Text that stands out."""
    return Text(value, Mark.STRONG)


def code(value: str) -> Text:
    """A name from a program."""
    return Text(value, Mark.CODE)


def anchor_of(identifier: str) -> str:
    """The anchor of something with an identifier: ``FR-1`` is at ``fr-1``."""
    return re.sub(r"[^a-z0-9]+", "-", identifier.lower()).strip("-")


def clean(text: str) -> str:
    """``text`` without what XML 1.0 forbids and what hides or turns other text.

    Terminal colours and bidirectional overrides are dropped; other control characters
    become U+FFFD, so that it can be seen that something stood there. Joiners stay: Indic
    scripts and emoji need them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _UNSEEN.sub("", _TERMINAL.sub("", text))
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)


_TERMINAL = re.compile("\x1b\\[[0-9;?]*[ -/]*[@-~]")
_UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")
# The complement of the Char production, https://www.w3.org/TR/xml/#charsets, with the C1
# controls, which it allows and discourages.
_ILLEGAL = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def settled(document: Document) -> Document:
    """``document`` with numbers, unique anchors, and references that all lead somewhere."""
    counters, tables = [0, 0, 0], 0
    anchors: set[str] = set()
    body: list[Block] = []
    for block in document.body:
        if isinstance(block, Heading):
            counters = [
                *counters[: block.level - 1],
                counters[block.level - 1] + 1,
                *[0] * (3 - block.level),
            ]
            number = ".".join(str(count) for count in counters[: block.level])
            anchor = block.anchor
            if not anchor or anchor in anchors:
                anchor = f"section-{number.replace('.', '-')}"
            anchors.add(anchor)
            body.append(replace(block, number=number, anchor=anchor))
        elif isinstance(block, Table):
            tables += 1
            body.append(replace(block, number=tables))
            anchors.add(f"table-{tables}")
        else:
            body.append(block)
    return replace(
        document,
        notes=tuple(Note(_resolved(note.line, anchors)) for note in document.notes),
        body=tuple(_block_resolved(block, anchors) for block in body),
    )


def _block_resolved(block: Block, anchors: set[str]) -> Block:
    if isinstance(block, Paragraph | Note):
        return replace(block, line=_resolved(block.line, anchors))
    if isinstance(block, Bullets | Numbered):
        return replace(block, items=tuple(_resolved(item, anchors) for item in block.items))
    if isinstance(block, Definitions):
        items = tuple((term, _resolved(meaning, anchors)) for term, meaning in block.items)
        return replace(block, items=items)
    if isinstance(block, Table):
        rows = tuple(tuple(_resolved(cell, anchors) for cell in row) for row in block.rows)
        return replace(block, rows=rows)
    return block


def _resolved(words: Line, anchors: set[str]) -> Line:
    return tuple(
        Text(part.value) if isinstance(part, Reference) and part.anchor not in anchors else part
        for part in words
    )
