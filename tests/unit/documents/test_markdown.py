"""Text from people comes through Markdown as it was written, judged by a parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from adapters.documents.blocks import Document, Paragraph, Table, clean, code, line, settled, strong
from adapters.documents.markdown import escaped, write_markdown
from tests.unit.documents.samples import HOSTILE, every_block

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# Dense in what Markdown and HTML read as markup.
TEXT = st.one_of(
    st.text(max_size=30),
    st.text("\\`*_[]()<>&#|~$!-+=.1a \n:/", max_size=30),
    st.sampled_from(HOSTILE),
)


def parsed(markdown: str) -> list[Token]:
    return PARSER.parse(markdown)


def shown(token: Token) -> str:
    """What a reader sees of an inline token. Entities are decoded by the parser."""
    children = token.children or []
    return "".join(
        "\n" if child.type in {"softbreak", "hardbreak"} else child.content for child in children
    )


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def whole(*body: Paragraph | Table) -> list[Token]:
    document = Document(title="T", subtitle="S", facts=(), notes=(), body=body)
    return parsed(write_markdown(settled(document)))


@given(TEXT)
def test_a_paragraph_shows_exactly_its_text(text: str) -> None:
    tokens = whole(Paragraph(line("start"))), whole(Paragraph(line(text)))
    before, after = tokens
    if not one_line(text):
        assert len(after) < len(before)
        return
    assert [token.type for token in after] == [token.type for token in before]
    assert shown(after[-2]) == one_line(text)
    assert {child.type for child in after[-2].children or []} <= {"text", "text_special"}


@given(TEXT, st.sampled_from([strong, code]))
def test_marked_text_in_a_cell_shows_exactly_its_text(text: str, mark: object) -> None:
    assert callable(mark)
    table = Table(
        caption="c",
        header=("a", "b"),
        rows=((line("x ", mark(text), " y"), line("z")),),
        widths=(1, 1),
    )
    tokens = whole(table)
    cells = [
        shown(tokens[place + 1]) for place, token in enumerate(tokens) if token.type == "td_open"
    ]
    middle = one_line(text)
    assert [" ".join(cell.split()) for cell in cells] == [f"x {middle} y" if middle else "x y", "z"]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_structure_does_not_depend_on_what_is_said(text: str) -> None:
    def structure(said: str) -> list[str]:
        tokens = parsed(write_markdown(settled(every_block(said))))
        return [f"{token.type}{token.level}" for token in tokens]

    if text.strip():
        assert structure(text) == structure("plain")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_html_but_our_own_gets_through(text: str) -> None:
    for token in parsed(write_markdown(settled(every_block(text)))):
        assert token.type != "html_block" or token.content.startswith('<a id="')
        for child in token.children or []:
            if child.type == "html_inline":
                assert child.content == "<br>" or child.content.startswith(('<a id="', "</a>"))


@pytest.mark.parametrize("text", HOSTILE)
def test_every_row_has_a_cell_per_column(text: str) -> None:
    tokens = parsed(write_markdown(settled(every_block(text))))
    widths, cells = [], 0
    for token in tokens:
        if token.type in {"td_open", "th_open"}:
            cells += 1
        elif token.type == "tr_close":
            widths.append(cells)
            cells = 0
    assert widths == [2, 2, 2, 1, 1]


def test_every_link_leads_to_an_anchor() -> None:
    text = write_markdown(settled(every_block("x")))
    anchors = text.count('<a id="')
    links = {
        str(child.attrs["href"])
        for token in parsed(text)
        for child in token.children or []
        if child.type == "link_open"
    }
    assert links
    assert all(f'<a id="{link.removeprefix("#")}"></a>' in text for link in links)
    assert anchors == len({part.split('"')[0] for part in text.split('<a id="')[1:]})


def test_names_in_snake_case_stay_readable() -> None:
    assert escaped("due_on and _private_") == r"due_on and \_private\_"


def test_code_keeps_its_lines_and_its_backticks() -> None:
    document = every_block("x")
    text = write_markdown(settled(document)).replace("\nx\n", "\n```\n    y\n")
    assert "```text" in text
    (fence,) = (token for token in parsed(write_markdown(settled(every_block("a\n```\n    b"))))
                if token.type == "fence")  # fmt: skip
    assert fence.content == "a\n```\n    b\n"
