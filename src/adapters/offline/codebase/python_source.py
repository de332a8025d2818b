"""Writes values as Python source: the only way by which words of an idea enter code.

Every string becomes a literal whose unprintable and surrogate characters are escaped,
every docstring is escaped and wrapped. Nothing of an idea is ever pasted raw.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LINE_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Call:
    """A call of ``name`` with keyword arguments, to be written by :func:`call`."""

    name: str
    arguments: tuple[tuple[str, object], ...]


def literal(value: object, indent: int = 0, used: int = 24) -> str:
    """``value`` as a Python literal.

    ``indent`` is the column of the line it stands on, ``used`` what else that line
    holds; containers that do not fit are written one item a line.
    """
    if isinstance(value, Call):
        return call(value, indent, used)
    flat = _flat(value)
    if isinstance(value, str):
        return flat if indent + used + len(flat) <= LINE_LENGTH + 40 else _long_string(flat, indent)
    if indent + used + len(flat) <= LINE_LENGTH or not isinstance(value, Mapping | list | tuple):
        return flat
    inner = indent + 4
    if isinstance(value, Mapping):
        items = [
            f"{_flat(key)}: {literal(item, inner, len(_flat(key)) + 3)}"
            for key, item in value.items()
        ]
        opening, closing = "{", "}"
    else:
        items = [literal(item, inner, 1) for item in value]
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
    lines = "".join(f"{' ' * inner}{item},\n" for item in items)
    return f"{opening}\n{lines}{' ' * indent}{closing}"


def call(value: Call, indent: int = 0, used: int = 16) -> str:
    """``value`` as source, its arguments one a line where they do not fit."""
    flat = f"{value.name}({', '.join(f'{name}={_flat(v)}' for name, v in value.arguments)})"
    if indent + used + len(flat) <= LINE_LENGTH or not value.arguments:
        return flat
    inner = indent + 4
    lines = "".join(
        f"{' ' * inner}{name}={literal(v, inner, len(name) + 2)},\n" for name, v in value.arguments
    )
    return f"{value.name}(\n{lines}{' ' * indent})"


def arguments(sources: Sequence[str], indent: int = 0, used: int = 24) -> str:
    """Argument sources, on one line where they fit."""
    flat = ", ".join(sources)
    if indent + used + len(flat) <= LINE_LENGTH:
        return flat
    inner = " " * (indent + 4)
    wrapped = "".join(f"{inner}{source},\n" for source in sources)
    return f"\n{wrapped}{' ' * indent}"


def docstring(text: str, indent: int = 0) -> str:
    """``text`` as a docstring that starts at column ``indent``; blank lines part paragraphs."""
    room = LINE_LENGTH - indent - 6
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    wrapped = [
        textwrap.wrap(_escaped(part), room - 1, break_long_words=False, break_on_hyphens=False)
        for part in paragraphs
    ]
    lines = ("\n\n".join("\n".join(lines) for lines in wrapped)).split("\n")
    if len(lines) == 1 and len(lines[0]) <= room:
        return f'"""{lines[0]}"""'
    margin = " " * indent
    body = "\n".join(f"{margin}{line}" if line else "" for line in lines[1:])
    return f'"""{lines[0]}\n{body}\n{margin}"""'


def _flat(value: object) -> str:
    if isinstance(value, str):
        # The quotes that need fewer escapes, as formatters choose them.
        if '"' in value and "'" not in value:
            return "'" + _escaped(value).replace('\\"', '"') + "'"
        return f'"{_escaped(value)}"'
    if isinstance(value, Call):
        return f"{value.name}({', '.join(f'{n}={_flat(v)}' for n, v in value.arguments)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flat(k)}: {_flat(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, tuple):
        items: tuple[Any, ...] = value
        return "(" + ", ".join(map(_flat, items)) + ("," if len(items) == 1 else "") + ")"
    if value is None or isinstance(value, bool | int):
        return repr(value)
    raise TypeError(f"no literal for {type(value).__name__}")


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(c) or (c if c.isprintable() else _code(c)) for c in text)


def _code(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _long_string(flat: str, indent: int) -> str:
    """A string literal in pieces, cut between words so that no escape is torn apart."""
    pieces = textwrap.wrap(
        flat[1:-1],
        LINE_LENGTH - indent - 8,
        drop_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )
    margin = " " * (indent + 4)
    return "(\n" + "".join(f'{margin}"{piece}"\n' for piece in pieces) + " " * indent + ")"
