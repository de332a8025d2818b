"""Numbers, anchors and references are settled before anything is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.documents.blocks import (
    Block,
    Document,
    Heading,
    Paragraph,
    Reference,
    Table,
    Text,
    anchor_of,
    clean,
    line,
    settled,
)


def document(*body: Block) -> Document:
    return settled(Document(title="T", subtitle="S", facts=(), notes=(), body=body))


def table(caption: str = "c") -> Table:
    return Table(caption=caption, header=("a",), rows=((line("x"),),), widths=(1,))


def test_headings_are_numbered_by_level() -> None:
    levels = (1, 2, 3, 3, 2, 1, 2)
    made = document(*(Heading(level, "h") for level in levels))
    assert [heading.number for heading in made.headings] == [
        "1", "1.1", "1.1.1", "1.1.2", "1.2", "2", "2.1",
    ]  # fmt: skip


def test_tables_are_numbered_through_the_document() -> None:
    made = document(table(), Heading(1, "h"), table())
    assert [found.label for found in made.tables] == ["Table 1. c", "Table 2. c"]


def test_an_anchor_given_twice_leads_to_the_first() -> None:
    made = document(Heading(1, "a", "fr-1"), Heading(1, "b", "fr-1"))
    assert [heading.anchor for heading in made.headings] == ["fr-1", "section-2"]


def test_a_reference_that_leads_nowhere_becomes_text() -> None:
    found = document(Heading(1, "a", "x"), Paragraph((Reference("r", "x"), Reference("s", "y"))))
    (paragraph,) = (block for block in found.body if isinstance(block, Paragraph))
    assert paragraph.line == (Reference("r", "x"), Text("s"))


def test_a_table_with_a_ragged_row_is_refused() -> None:
    with pytest.raises(ValueError, match="cell per column"):
        Table(caption="c", header=("a", "b"), rows=((line("x"),),), widths=(1, 1))


def test_a_heading_has_a_level_that_styles_exist_for() -> None:
    with pytest.raises(ValueError, match="level"):
        Heading(4, "too deep")


def test_an_identifier_has_an_anchor() -> None:
    assert anchor_of("NFR-12") == "nfr-12"
    assert anchor_of("tests.test_x.C.test_y") == "tests-test-x-c-test-y"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\0b", "a\ufffdb"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\u202eb", "ab"),
        ("क्\u200dष 👩\u200d💻", "क्\u200dष 👩\u200d💻"),
        ("\ud800", "\ufffd"),
    ],
)
def test_text_is_cleaned_of_what_no_document_may_hold(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
    assert Text(text).value == cleaned


@given(st.text(st.characters()))
def test_cleaning_is_done_once_and_for_all(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    clean(text).encode()
