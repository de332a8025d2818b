"""Letters in text and HTML, from one template each."""

import re
from html import escape
from typing import Final
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined

from application.ports.mail import Letter, Message

_LINK: Final = re.compile(r"\[([^\]\n]+)\]\((https?://[^\s)]+)\)")

_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>{title}</title></head>"
    '<body style="margin:0;background:#f4f4f5;color:#18181b;'
    'font:16px/1.6 system-ui,-apple-system,Segoe UI,sans-serif">'
    '<div style="max-width:34rem;margin:0 auto;padding:2rem 1.25rem">'
    '<p style="margin:0 0 1.5rem;font-weight:700">BharatBuild AI</p>'
    '<div style="background:#fff;border-radius:.5rem;padding:1.5rem 1.75rem">{content}</div>'
    "</div></body></html>"
)
_BUTTON: Final = (
    '<a href="{url}" style="display:inline-block;background:#14532d;color:#fff;'
    'text-decoration:none;font-weight:600;border-radius:.5rem;padding:.625rem 1.25rem">{text}</a>'
)


class TemplatedLetterWriter:
    """The ``LetterWriter`` over the templates beside it."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("adapters.mail"),
            undefined=StrictUndefined,
            autoescape=False,  # text first; HTML is escaped below
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def write(self, mail_id: UUID, letter: Letter) -> Message:
        """The message. The subject is one line, whatever its data hold."""
        data = {name: _one_line(value) for name, value in letter.data.items()}
        rendered = self._templates.get_template(f"{letter.template}.txt").render(**data)
        subject, _, body = rendered.strip().partition("\n")
        paragraphs = [" ".join(part.split()) for part in body.strip().split("\n\n")]
        paragraphs = [paragraph for paragraph in paragraphs if paragraph]
        return Message(
            id=mail_id,
            to=letter.to,
            subject=subject,
            text="\n\n".join(_LINK.sub(r"\1:\n\2", each) for each in paragraphs) + "\n",
            html=_PAGE.format(title=escape(subject), content="".join(map(_paragraph, paragraphs))),
        )


def _paragraph(text: str) -> str:
    said, end = "", 0
    for link in _LINK.finditer(text):
        said += escape(text[end : link.start()])
        said += _BUTTON.format(url=escape(link[2], quote=True), text=escape(link[1]))
        end = link.end()
    return f'<p style="margin:0 0 1rem">{said}{escape(text[end:])}</p>'


def _one_line(value: str | int) -> str | int:
    """A value without line breaks, which would begin a paragraph or a header."""
    if isinstance(value, int):
        return value
    return " ".join("".join(ch if ch.isprintable() else " " for ch in value).split())
