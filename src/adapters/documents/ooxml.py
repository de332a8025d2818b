"""The few WordprocessingML elements a document is written with (ECMA-376 part 1, §17)."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement

from adapters.documents.blocks import Break, Inline, Line, Mark, Reference

CHARACTER_STYLES = {Mark.STRONG: "Strong", Mark.EMPHASIS: "Emphasis", Mark.CODE: "CodeCharacter"}
LONGEST_BOOKMARK = 40


def element(
    tag: str, attributes: Mapping[str, str] | None = None, *children: BaseOxmlElement
) -> BaseOxmlElement:
    """An element with its children, names written with their prefix: ``w:p``."""
    made = OxmlElement(tag, {qn(name): value for name, value in (attributes or {}).items()})
    for child in children:
        made.append(child)
    return made


def valued(tag: str, value: str) -> BaseOxmlElement:
    """An element whose whole content is ``w:val``."""
    return element(tag, {"w:val": value})


@dataclass
class Bookmarks:
    """Names and numbers of one document's bookmarks: unique, and valid for Word.

    A name begins with a letter or underscore, holds letters, digits and underscores, and
    has at most 40 characters. What begins with ``_Toc`` is hidden, as Word's own.
    """

    names: dict[str, str] = field(default_factory=dict)
    placed: int = 0

    def name(self, anchor: str) -> str:
        """The bookmark's name for ``anchor``; the same whenever it is asked for."""
        if anchor not in self.names:
            stem = "_Toc_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in anchor)
            wanted = stem[:LONGEST_BOOKMARK]
            taken, count = set(self.names.values()), 1
            while wanted in taken:
                count += 1
                suffix = f"_{count}"
                wanted = stem[: LONGEST_BOOKMARK - len(suffix)] + suffix
            self.names[anchor] = wanted
        return self.names[anchor]

    def around(self, anchor: str, *inside: BaseOxmlElement) -> list[BaseOxmlElement]:
        """``inside`` between the start and the end of the bookmark."""
        number = str(self.placed)
        self.placed += 1
        start = {"w:id": number, "w:name": self.name(anchor)}
        return [
            element("w:bookmarkStart", start),
            *inside,
            element("w:bookmarkEnd", {"w:id": number}),
        ]


def run(text: str, style: str = "") -> BaseOxmlElement:
    """A run of text. Where its script runs from right to left, it says so."""
    properties = []
    if style:
        properties.append(valued("w:rStyle", style))
    if right_to_left(text):
        properties.append(element("w:rtl"))
    words = element("w:t", {"xml:space": "preserve"})
    words.text = text
    return element(
        "w:r", None, *([element("w:rPr", None, *properties)] if properties else []), words
    )


def line_break() -> BaseOxmlElement:
    """A new line inside a paragraph."""
    return element("w:r", None, element("w:br"))


def tab() -> BaseOxmlElement:
    """A tabulator, in a run of its own."""
    return element("w:r", None, element("w:tab"))


def link(anchor: str, *runs: BaseOxmlElement) -> BaseOxmlElement:
    """A hyperlink to a bookmark of the same document."""
    return element("w:hyperlink", {"w:anchor": anchor, "w:history": "1"}, *runs)


def field_start(instruction: str, *, dirty: bool = False) -> list[BaseOxmlElement]:
    """The runs that open a field; its result and :func:`field_end` follow.

    ``dirty`` says that the result is not known here: the reader's program computes it.
    """
    words = element("w:instrText", {"xml:space": "preserve"})
    words.text = f" {instruction} "
    begin = {"w:fldCharType": "begin", **({"w:dirty": "true"} if dirty else {})}
    return [
        element("w:r", None, element("w:fldChar", begin)),
        element("w:r", None, words),
        element("w:r", None, element("w:fldChar", {"w:fldCharType": "separate"})),
    ]


def field_end() -> BaseOxmlElement:
    """The run that closes a field."""
    return element("w:r", None, element("w:fldChar", {"w:fldCharType": "end"}))


def computed_field(instruction: str, result: str = "") -> list[BaseOxmlElement]:
    """A whole field. Without a known result it is left for the reader's program."""
    shown = [run(result)] if result else []
    return [*field_start(instruction, dirty=not result), *shown, field_end()]


def inlines(words: Line, bookmarks: Bookmarks) -> list[BaseOxmlElement]:
    """The runs and links of a line."""
    return [made for part in words for made in _inline(part, bookmarks)]


def paragraph(
    style: str, children: Sequence[BaseOxmlElement], *properties: BaseOxmlElement
) -> BaseOxmlElement:
    """A paragraph; ``properties`` in the schema's order, after the style."""
    text = "".join(t.text or "" for child in children for t in child.iter(qn("w:t")))
    extra = [element("w:bidi")] if right_to_left(text) else []
    return element(
        "w:p",
        None,
        element("w:pPr", None, valued("w:pStyle", style), *properties, *extra),
        *children,
    )


def right_to_left(text: str) -> bool:
    """Whether the first strong character says so (Unicode UAX #9, rules P2 and P3)."""
    for direction in map(unicodedata.bidirectional, text):
        if direction in {"R", "AL"}:
            return True
        if direction == "L":
            return False
    return False


def _inline(part: Inline, bookmarks: Bookmarks) -> Iterator[BaseOxmlElement]:
    if isinstance(part, Break):
        yield line_break()
        return
    # A newline in running text is a space, as in Markdown.
    shown = part.value.replace("\n", " ").replace("\t", " ")
    if isinstance(part, Reference):
        yield link(bookmarks.name(part.anchor), run(shown, "Hyperlink"))
    else:
        yield run(shown, CHARACTER_STYLES.get(part.mark, ""))
