"""Blocks written as Markdown: CommonMark 0.31 with the tables of GitHub Flavored Markdown.

All text comes from people or models, so every character that could mean something to
Markdown or HTML is escaped; the only markup in the output is the writer's own.
"""

import re
from collections.abc import Iterator

from adapters.documents.blocks import (
    Block,
    Break,
    Bullets,
    Code,
    Definitions,
    Document,
    Heading,
    Inline,
    Label,
    Line,
    Mark,
    Note,
    Numbered,
    Paragraph,
    Reference,
    Table,
    Text,
)


def write_markdown(document: Document) -> str:
    """The whole of a settled document, ending with a newline."""
    parts = [f"# {escaped(document.title)}", _facts(document)]
    parts += [_block(note) for note in document.notes]
    parts += ["**Contents**", "\n".join(_contents(document))]
    if document.tables:
        entries = [f"- [{escaped(t.label)}](#{t.anchor})" for t in document.tables]
        parts += ["**Tables**", "\n".join(entries)]
    parts += [_block(block) for block in document.body]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """``text`` so that Markdown shows it as it is, on one line."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\g<0>", text)
    # Inside a word an underscore means nothing; names such as due_on stay readable.
    return _EDGE_UNDERSCORE.sub(r"\\_", text)


_SPECIAL = re.compile(r"[\\`*\[\]|~$]")
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_LIST_NUMBER = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
_LINE_START = re.compile(r"^[-+#=]")


def _facts(document: Document) -> str:
    facts = [("Project", document.subtitle), *document.facts]
    return "\n".join(f"- **{escaped(name)}:** {_started(escaped(value))}" for name, value in facts)


def _contents(document: Document) -> Iterator[str]:
    for heading in document.headings:
        indent = "  " * (heading.level - 1)
        yield f"{indent}- [{escaped(heading.label)}](#{heading.anchor})"


def _block(block: Block) -> str:
    match block:
        case Heading():
            anchor = f'<a id="{block.anchor}"></a>'
            return f"{'#' * (block.level + 1)} {anchor}{escaped(block.label)}"
        case Paragraph():
            return _started(_line(block.line))
        case Label():
            return f"**{escaped(block.text)}**"
        case Note():
            return f"> {_started(_line(block.line))}"
        case Bullets():
            return "\n".join(f"- {_started(_line(item))}" for item in block.items)
        case Numbered():
            numbered = enumerate(block.items, start=1)
            return "\n".join(f"{number}. {_started(_line(item))}" for number, item in numbered)
        case Definitions():
            return "\n".join(
                f"- **{escaped(term)}:** {_line(meaning)}".rstrip() for term, meaning in block.items
            )
        case Code():
            fence = _fence(block.text, 3)
            return f"{fence}text\n{block.text}\n{fence}"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    rows = [
        _row([escaped(name) for name in table.header]),
        _row(["---"] * len(table.header)),
        *(_row([_line(cell, in_table=True) for cell in row]) for row in table.rows),
    ]
    caption = f'<a id="{table.anchor}"></a>**{escaped(table.label)}**'
    return caption + "\n\n" + "\n".join(rows)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _started(text: str) -> str:
    """``text`` at the start of a line, where some characters would begin a block."""
    return _LINE_START.sub(r"\\\g<0>", _LIST_NUMBER.sub(r"\1\\\2", text.strip()))


def _line(words: Line, *, in_table: bool = False) -> str:
    return "".join(_inline(part, in_table) for part in words).strip()


def _inline(part: Inline, in_table: bool) -> str:
    match part:
        case Break():
            return "<br>"
        case Reference():
            return f"[{escaped(part.value)}](#{part.anchor})"
        case Text(mark=Mark.CODE):
            return _code_span(part.value, in_table)
        case Text(mark=Mark.STRONG):
            return _wrapped(part.value, "**")
        case Text(mark=Mark.EMPHASIS):
            return _wrapped(part.value, "*")
        case Text():
            return _spaced(part.value, escaped(part.value))


def _wrapped(text: str, marker: str) -> str:
    # A marker next to a space marks nothing, so the outer spaces stay outside.
    shown = escaped(text)
    return _spaced(text, f"{marker}{shown}{marker}" if shown else "")


def _spaced(text: str, shown: str) -> str:
    if not shown:
        return " " if text else ""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() else ""
    return f"{before}{shown}{after}"


def _code_span(text: str, in_table: bool) -> str:
    text = " ".join(text.split())
    if not text:
        return ""
    if in_table:
        # In a table a pipe ends the cell even inside code (GFM, example 200).
        text = text.replace("|", "\\|")
    fence = _fence(text, 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _fence(text: str, shortest: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(shortest, longest + 1)
