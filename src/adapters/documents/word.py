"""Blocks written as a Word document (DOCX, ECMA-376): real styles, fields and bookmarks.

Page numbers are left to the program that lays the pages out: the fields that show them are
there, marked as not yet computed, and no number is made up. All else that a field shows
(contents, captions) is computed here, so it is right before anybody updates a field.
"""

from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO

import docx
from docx.document import Document as WordDocument
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.shared import Mm

from adapters.documents.archive import normalised_archive
from adapters.documents.blocks import (
    Block,
    Bullets,
    Code,
    Definitions,
    Document,
    Heading,
    Label,
    Line,
    Note,
    Numbered,
    Paragraph,
    Table,
    line,
    strong,
)
from adapters.documents.ooxml import (
    Bookmarks,
    computed_field,
    element,
    field_end,
    field_start,
    inlines,
    line_break,
    link,
    paragraph,
    run,
    tab,
    valued,
)
from adapters.documents.word_styles import (
    LANGUAGE,
    TEXT_WIDTH,
    add_ordered_list,
    prepare_styles,
)

AUTHOR = "BharatBuild AI"
LONGEST_PROPERTY = 255
"""Characters a core property may have; python-docx refuses longer ones."""

_NEXT_PAGE = "w:pageBreakBefore"


def write_word(document: Document, made_on: date, version: int) -> bytes:
    """The whole of a settled document. Equal arguments give equal bytes."""
    word = docx.Document(BytesIO(_template()))
    _set_properties(word, document, made_on, version)
    _set_page(word, document, version)
    writer = _Writer(word)
    body = word.element.body
    last = body.sectPr
    for block in writer.whole(document):
        last.addprevious(block)
    buffer = BytesIO()
    word.save(buffer)
    return normalised_archive(buffer.getvalue(), made_on)


@cache
def _template() -> bytes:
    # Half of the time of a small document would go into its styles, always the same ones.
    word = docx.Document()
    prepare_styles(word)
    buffer = BytesIO()
    word.save(buffer)
    return buffer.getvalue()


class _Writer:
    """Makes the elements of one document's body and keeps count of what is unique in it."""

    def __init__(self, word: WordDocument) -> None:
        self._word = word
        self._bookmarks = Bookmarks()

    def whole(self, document: Document) -> list[BaseOxmlElement]:
        made = self._cover(document)
        made.append(self._contents(document))
        if document.tables:
            made += self._list_of_tables(document)
        for number, block in enumerate(document.body):
            made += self._block(block, new_page=number == 0)
        return made

    def _cover(self, document: Document) -> list[BaseOxmlElement]:
        made = [
            paragraph("Title", [run(document.title)]),
            paragraph("Subtitle", [run(document.subtitle)]),
        ]
        for name, value in document.facts:
            made.append(self._text("CoverFact", line(strong(f"{name}: "), value)))
        for note in document.notes:
            made.append(self._text("Notice", note.line))
        return made

    def _contents(self, document: Document) -> BaseOxmlElement:
        headings = document.headings
        made = [paragraph("TOCHeading", [run("Contents")], element(_NEXT_PAGE))]
        for number, heading in enumerate(headings):
            opening = field_start(r'TOC \o "1-3" \h \z \u') if number == 0 else []
            name = self._bookmarks.name(heading.anchor)
            made.append(_entry(f"TOC{heading.level}", name, heading.label, opening))
        if headings:
            made.append(paragraph("TOC1", [field_end()]))
        # The frame lets Word offer its own "Update table".
        gallery = element(
            "w:docPartObj",
            None,
            valued("w:docPartGallery", "Table of Contents"),
            element("w:docPartUnique"),
        )
        return element(
            "w:sdt",
            None,
            element("w:sdtPr", None, valued("w:id", "1001"), gallery),
            element("w:sdtContent", None, *made),
        )

    def _list_of_tables(self, document: Document) -> list[BaseOxmlElement]:
        made = [paragraph("TOCHeading", [run("Tables")])]
        for number, table in enumerate(document.tables):
            opening = field_start(r'TOC \h \z \c "Table"') if number == 0 else []
            name = self._bookmarks.name(table.anchor)
            made.append(_entry("TableofFigures", name, table.label, opening))
        return [*made, paragraph("TableofFigures", [field_end()])]

    def _block(self, block: Block, *, new_page: bool = False) -> list[BaseOxmlElement]:
        match block:
            case Heading():
                return [self._heading(block, new_page)]
            case Paragraph():
                return [self._text("BodyText", block.line)]
            case Label():
                return [paragraph("Label", [run(block.text)])]
            case Note():
                return [self._text("Notice", block.line)]
            case Bullets():
                return [self._text("ListBullet", item) for item in block.items]
            case Numbered():
                number = add_ordered_list(self._word)
                return [self._text("ListNumber", item, _place(number)) for item in block.items]
            case Definitions():
                return [
                    self._text("Definition", (*line(strong(f"{term}: ")), *meaning))
                    for term, meaning in block.items
                ]
            case Code():
                return [_code(block)]
            case Table():
                return self._table(block)

    def _text(self, style: str, words: Line, *properties: BaseOxmlElement) -> BaseOxmlElement:
        return paragraph(style, inlines(words, self._bookmarks), *properties)

    def _heading(self, heading: Heading, new_page: bool) -> BaseOxmlElement:
        # Word numbers the heading by its style; settled() counts the same way.
        words = self._bookmarks.around(heading.anchor, run(heading.text))
        properties = [element(_NEXT_PAGE)] if new_page else []
        return paragraph(f"Heading{heading.level}", words, *properties)

    def _table(self, table: Table) -> list[BaseOxmlElement]:
        number = computed_field(r"SEQ Table \* ARABIC", str(table.number))
        label = self._bookmarks.around(
            table.anchor, run("Table "), *number, run(f". {table.caption}")
        )
        total = sum(table.widths)
        widths = [str(TEXT_WIDTH * width // total) for width in table.widths]
        properties = element(
            "w:tblPr",
            None,
            valued("w:tblStyle", "ReportTable"),
            element("w:tblW", {"w:w": str(TEXT_WIDTH), "w:type": "dxa"}),
            element("w:tblLayout", {"w:type": "fixed"}),
            element(
                "w:tblLook",
                {"w:val": "0020", "w:firstRow": "1", "w:lastRow": "0", "w:noVBand": "1"},
            ),
        )
        grid = element("w:tblGrid", None, *(element("w:gridCol", {"w:w": w}) for w in widths))
        header = self._row(tuple(line(name) for name in table.header), widths, is_header=True)
        rows = [self._row(row, widths) for row in table.rows]
        return [
            paragraph("Caption", label, element("w:keepNext")),
            element("w:tbl", None, properties, grid, header, *rows),
            # Two tables in a row would become one; the gap is also the space below.
            paragraph("TableGap", []),
        ]

    def _row(
        self, cells: tuple[Line, ...], widths: list[str], *, is_header: bool = False
    ) -> BaseOxmlElement:
        properties = [element("w:cantSplit"), *([element("w:tblHeader")] if is_header else [])]
        made = [
            element(
                "w:tc",
                None,
                element("w:tcPr", None, element("w:tcW", {"w:w": width, "w:type": "dxa"})),
                self._text("TableText", cell),
            )
            for cell, width in zip(cells, widths, strict=True)
        ]
        return element("w:tr", None, element("w:trPr", None, *properties), *made)


def _place(numbering: str) -> BaseOxmlElement:
    return element("w:numPr", None, valued("w:ilvl", "0"), valued("w:numId", numbering))


def _entry(
    style: str, bookmark: str, label: str, opening: list[BaseOxmlElement]
) -> BaseOxmlElement:
    page = computed_field(rf"PAGEREF {bookmark} \h")
    return paragraph(style, [*opening, link(bookmark, run(label), tab(), *page)])


def _code(block: Code) -> BaseOxmlElement:
    runs: list[BaseOxmlElement] = []
    for text in block.text.split("\n"):
        runs += [*([line_break()] if runs else []), run(text)]
    return paragraph("SourceCode", runs)


def _set_properties(word: WordDocument, document: Document, made_on: date, version: int) -> None:
    core = word.core_properties
    moment = datetime(made_on.year, made_on.month, made_on.day, tzinfo=UTC)
    core.title = f"{document.title}: {document.subtitle}"[:LONGEST_PROPERTY]
    core.subject = document.subtitle[:LONGEST_PROPERTY]
    core.author = AUTHOR
    core.last_modified_by = AUTHOR
    core.comments = ""
    core.keywords = ""
    core.language = LANGUAGE
    core.created = core.modified = moment
    core.revision = max(1, version)
    core.version = str(version)
    # The template's picture of an empty page is not this document's.
    relations = word.part.package.rels
    for key in [key for key, rel in relations.items() if rel.reltype.endswith("/thumbnail")]:
        del relations[key]


def _set_page(word: WordDocument, document: Document, version: int) -> None:
    section = word.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    margin = Mm(25)
    section.left_margin = section.right_margin = margin
    section.top_margin = section.bottom_margin = margin
    # The cover has neither header nor footer.
    section.different_first_page_header_footer = True
    for story, style, left, right in (
        (section.header, "Header", [run(document.subtitle)], [run(document.title)]),
        (
            section.footer,
            "Footer",
            [run(f"Version {version}")],
            [run("Page "), *computed_field("PAGE"), run(" of "), *computed_field("NUMPAGES")],
        ),
    ):
        story.is_linked_to_previous = False
        root = story._element  # python-docx shows no public way to it
        for old in list(root):
            root.remove(old)
        root.append(paragraph(style, [*left, tab(), *right]))
