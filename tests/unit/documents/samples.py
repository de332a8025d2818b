"""A document with every kind of block, and text that means harm."""

from adapters.documents.blocks import (
    Break,
    Bullets,
    Code,
    Definitions,
    Document,
    Heading,
    Label,
    Mark,
    Note,
    Numbered,
    Paragraph,
    Reference,
    Table,
    Text,
    code,
    line,
    strong,
)

HOSTILE = (
    "a|b",
    "# not a heading",
    "- not a list",
    "1. not a list",
    "1) not a list",
    "> not a quotation",
    "=== not a rule",
    "<script>alert(1)</script>",
    "&lt; stays, & stays",
    "**not strong** _nor this_ ~~nor this~~ `nor code`",
    "[not a link](https://x.example) ![nor an image](x)",
    "back\\slash and trailing \\",
    "two\nlines\r\nand more",
    "a\0b\x07c\x1b[31mred\x1b[0m\ud800\uffff",
    "left \u202eturned",
    "पुस्तकालय में सदस्य पुस्तक लेते हैं",
    "المكتبة",
    "🙂👩‍💻",
    "x" * 300,
    "$a$ and $$b$$",
    "trailing space ",
    "tab\tseparated",
    "",
)


def every_block(text: str) -> Document:
    """One of each block, all of it saying ``text``."""
    said = (Text(text), Text(" "), strong(text), Text(" "), code(text), Text(text, Mark.EMPHASIS))
    return Document(
        title=text or "Title",
        subtitle=text or "Project",
        facts=(("Version", text),),
        notes=(Note(line(text)),),
        body=(
            Heading(1, text),
            Paragraph(said),
            Heading(2, text, "here"),
            Label(text),
            Bullets((line(text), said)),
            Numbered((line(text), said)),
            Heading(3, text, "here"),
            Numbered((line(text),)),
            Definitions(((text, said),)),
            Code(text),
            Table(
                caption=text,
                header=("One", text),
                rows=((line(text), said), (line(text, Break(), text), line(code(text)))),
                widths=(1, 2),
            ),
            Paragraph(line(Reference(text or "there", "here"), Reference("lost", "nowhere"))),
            Table(caption="Second", header=("One",), rows=((line("x"),),), widths=(1,)),
        ),
    )
