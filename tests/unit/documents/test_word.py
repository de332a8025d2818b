"""The Word document's structure, read back from its XML."""

import zipfile
from dataclasses import replace
from datetime import date
from functools import cache
from io import BytesIO
from typing import Any

import docx
from docx.oxml.ns import qn

from adapters.documents.blocks import Heading, clean, settled
from adapters.documents.ooxml import Bookmarks, right_to_left
from adapters.documents.word import write_word
from tests.unit.documents.samples import HOSTILE, every_block

DAY = date(2026, 11, 9)


@cache
def written(text: str = "plain") -> Any:
    """A document read back; made once, so tests must leave it as it is."""
    return docx.Document(BytesIO(write_word(settled(every_block(text)), DAY, 3)))


@cache
def hostile() -> Any:
    """One document that says everything harmful, in every kind of block."""
    body = tuple(block for text in HOSTILE for block in every_block(text).body)
    document = replace(every_block("".join(HOSTILE)), body=body)
    return docx.Document(BytesIO(write_word(settled(document), DAY, 3)))


def values(root: Any, tag: str, attribute: str = "w:val") -> list[str]:
    return [found.get(qn(attribute)) for found in root.iter(qn(tag))]


def texts(root: Any) -> str:
    return "".join(found.text or "" for found in root.iter(qn("w:t")))


def test_bookmarks_are_unique_and_every_link_leads_to_one() -> None:
    body = hostile().element.body
    names = values(body, "w:bookmarkStart", "w:name")
    links = values(body, "w:hyperlink", "w:anchor")
    numbers = values(body, "w:bookmarkStart", "w:id")
    assert len(set(names)) == len(names)
    assert sorted(numbers) == sorted(values(body, "w:bookmarkEnd", "w:id"))
    assert len(set(numbers)) == len(numbers)
    assert links
    assert set(links) <= set(names)


def test_bookmark_names_are_valid_however_long_the_anchor() -> None:
    bookmarks = Bookmarks()
    anchors = [f"{'long-' * 20}{n}" for n in range(12)] + ["fr-1", "fr_1"]
    names = [bookmarks.name(anchor) for anchor in anchors]
    assert len(set(names)) == len(anchors)
    assert all(len(name) <= 40 and name.replace("_", "").isalnum() for name in names)
    assert names == [bookmarks.name(anchor) for anchor in anchors]


def test_every_style_and_list_that_is_used_is_defined() -> None:
    word = written()
    styles = set(values(word.styles.element, "w:style", "w:styleId"))
    used = {
        value
        for tag in ("w:pStyle", "w:rStyle", "w:tblStyle")
        for value in values(word.element.body, tag)
    }
    assert used <= styles
    assert {"Title", "Heading1", "Heading2", "Heading3", "Caption", "ListNumber"} <= used
    numbering = word.part.numbering_part.element
    assert set(values(word.element.body, "w:numId")) <= set(values(numbering, "w:num", "w:numId"))


def test_each_numbered_list_starts_again() -> None:
    word = written()
    lists = [p for p in word.paragraphs if p.style.name == "List Number"]
    numbers = [values(p._p, "w:numId")[0] for p in lists]
    assert numbers[0] == numbers[1] != numbers[2]
    numbering = word.part.numbering_part.element
    restarted = [
        num.get(qn("w:numId"))
        for num in numbering.iter(qn("w:num"))
        if values(num, "w:startOverride") == ["1"]
    ]
    assert set(numbers) <= set(restarted)


def test_the_contents_are_a_field_that_is_already_filled() -> None:
    document = settled(every_block("plain"))
    body = written().element.body
    instructions = " ".join(found.text for found in body.iter(qn("w:instrText")))
    assert r'TOC \o "1-3" \h \z \u' in instructions
    assert r'TOC \h \z \c "Table"' in instructions
    frame = body.find(qn("w:sdt"))
    assert [texts(link) for link in frame.iter(qn("w:hyperlink"))] == [
        heading.label for heading in document.headings
    ]


def test_fields_are_closed_and_page_numbers_are_not_made_up() -> None:
    body = written().element.body
    kinds = values(body, "w:fldChar", "w:fldCharType")
    assert kinds.count("begin") == kinds.count("separate") == kinds.count("end")
    for paragraph in body.iter(qn("w:p")):
        runs = list(paragraph.iter(qn("w:r")))
        for place, run in enumerate(runs):
            instruction = texts_of_instruction(run)
            if instruction.startswith("PAGEREF"):
                begin = runs[place - 1].find(qn("w:fldChar"))
                assert begin.get(qn("w:dirty")) == "true"
                assert values(runs[place + 2], "w:fldChar", "w:fldCharType") == ["end"]


def texts_of_instruction(run: Any) -> str:
    found = run.find(qn("w:instrText"))
    return found.text.strip() if found is not None else ""


def test_captions_are_numbered_one_after_the_other() -> None:
    word = written()
    captions = [p for p in word.paragraphs if p.style.name == "Caption"]
    assert [texts(caption._p) for caption in captions] == ["Table 1. plain", "Table 2. Second"]
    assert all("SEQ Table" in texts_of_all_instructions(caption._p) for caption in captions)


def texts_of_all_instructions(root: Any) -> str:
    return " ".join(found.text for found in root.iter(qn("w:instrText")))


def test_the_header_row_repeats_and_rows_fit_the_grid() -> None:
    tables = list(hostile().element.body.iter(qn("w:tbl")))
    assert len(tables) == 2 * len(HOSTILE)
    for table in tables:
        rows = list(table.iter(qn("w:tr")))
        columns = len(list(table.iter(qn("w:gridCol"))))
        assert [len(list(row.iter(qn("w:tblHeader")))) for row in rows] == [1] + [0] * (
            len(rows) - 1
        )
        assert {len(list(row.iter(qn("w:tc")))) for row in rows} == {columns}


def test_headings_carry_the_number_by_style_and_not_in_their_text() -> None:
    word = written()
    headings = [p.text for p in word.paragraphs if p.style.name.startswith("Heading")]
    assert headings == ["plain"] * 3
    levels = {
        lvl.find(qn("w:pStyle")).get(qn("w:val")): lvl.find(qn("w:lvlText")).get(qn("w:val"))
        for lvl in word.part.numbering_part.element.iter(qn("w:lvl"))
        if lvl.find(qn("w:pStyle")) is not None
    }
    assert levels["Heading2"] == "%1.%2"
    assert isinstance(settled(every_block("x")).body[0], Heading)


def test_text_from_people_comes_through() -> None:
    tables = hostile().tables
    cells = [table._tbl.tr_lst[1].tc_lst[0] for table in tables[::2]]
    shown = [clean(text).replace("\n", " ").replace("\t", " ") for text in HOSTILE]
    assert [texts(cell) for cell in cells] == shown


def test_what_runs_from_right_to_left_says_so() -> None:
    word = written("المكتبة")
    (label,) = (p for p in word.paragraphs if p.style.name == "Label")
    assert label._p.pPr.find(qn("w:bidi")) is not None
    assert list(label._p.iter(qn("w:rtl")))
    assert not right_to_left("Library المكتبة")
    assert right_to_left("12 المكتبة")


def test_the_page_is_a4_with_page_numbers_and_a_bare_cover() -> None:
    section = written().sections[0]
    assert (round(section.page_width.mm), round(section.page_height.mm)) == (210, 297)
    assert section.different_first_page_header_footer
    assert "PAGE" in texts_of_all_instructions(section.footer._element)
    assert "NUMPAGES" in texts_of_all_instructions(section.footer._element)
    assert texts(section.header._element) == "plainplain"


def test_the_archive_and_its_properties_are_dated_by_the_source() -> None:
    data = write_word(settled(every_block("plain")), DAY, 3)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2026, 11, 9, 0, 0, 0)}
        assert archive.namelist()[0] == "[Content_Types].xml"
        assert not any("thumbnail" in name for name in archive.namelist())
    core = docx.Document(BytesIO(data)).core_properties
    assert core.created.date() == core.modified.date() == DAY
    assert (core.revision, core.language, core.comments) == (3, "en-IN", "")


def test_a_date_before_zip_archives_is_no_error() -> None:
    assert write_word(settled(every_block("plain")), date(1970, 1, 1), 1)


def test_the_language_is_set() -> None:
    assert set(values(written().styles.element, "w:lang")) == {"en-IN"}
