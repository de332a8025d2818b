"""The renderer: a document's source in, its bytes in every format out."""

import asyncio
import re
import unicodedata
from datetime import date

from adapters.documents.blocks import Block, Document, Note, clean, line, settled, strong
from adapters.documents.layouts import idea_brief, prd, srs, verification_report
from adapters.documents.layouts.sections import findings_note, findings_section
from adapters.documents.markdown import write_markdown
from adapters.documents.word import write_word
from application.ports.documents import DocumentFormat, DocumentSource, RenderedDocument
from domain.agents.artifacts import (
    Codebase,
    IdeaBrief,
    ProductSpec,
    Requirements,
    Verification,
)
from domain.agents.pipelines import DocumentType

MEDIA_TYPES = {
    DocumentFormat.MARKDOWN: "text/markdown; charset=utf-8",
    DocumentFormat.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


class TemplatedDocumentRenderer:
    """Satisfies :class:`application.ports.documents.DocumentRenderer`.

    Rendering is work for the processor, so it runs in threads, at most ``concurrency`` of
    them at a time, and the event loop stays free.
    """

    def __init__(self, concurrency: int = 2) -> None:
        self._slots = asyncio.Semaphore(concurrency)

    async def render(self, source: DocumentSource) -> tuple[RenderedDocument, ...]:
        """Make Markdown and Word; nothing for code, which is delivered as it is.

        Raises:
            ValueError: the artifact is not of the type the document is made from.
        """
        async with self._slots:
            return await asyncio.to_thread(render_document, source)


def render_document(source: DocumentSource) -> tuple[RenderedDocument, ...]:
    """What the renderer does, without the threads. Equal sources give equal bytes.

    Raises:
        ValueError: the artifact is not of the type the document is made from.
    """
    if source.type is DocumentType.CODEBASE:
        if not isinstance(source.artifact, Codebase):
            raise ValueError(f"code is not made from {type(source.artifact).__name__}")
        return ()
    document = document_of(source)
    contents = {
        DocumentFormat.MARKDOWN: write_markdown(document).encode(),
        DocumentFormat.DOCX: write_word(document, source.made_on, source.version),
    }
    return tuple(
        RenderedDocument(
            type=source.type,
            format=format_,
            title=document.title,
            filename=filename(source.project_title, source.type, format_),
            media_type=MEDIA_TYPES[format_],
            data=data,
        )
        for format_, data in contents.items()
    )


def document_of(source: DocumentSource) -> Document:
    """The settled document that every format is written from.

    Raises:
        ValueError: the artifact is not of the type the document is made from.
    """
    title, body, notes = _laid_out(source)
    return settled(
        Document(
            title=title,
            subtitle=source.project_title if clean(source.project_title).strip() else _UNTITLED,
            facts=(("Version", str(source.version)), ("Date", _written(source.made_on))),
            notes=(*notes, *_notice(source.notice), *findings_note(source.findings)),
            body=(*body, *findings_section(source.findings)),
        )
    )


def filename(project_title: str, type_: DocumentType, format_: DocumentFormat) -> str:
    """A name that is safe on every system, e.g. ``college-library-srs.docx``."""
    plain = unicodedata.normalize("NFKD", project_title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:60].strip("-")
    return f"{slug or 'project'}-{type_.replace('_', '-')}.{format_}"


_Laid = tuple[str, tuple[Block, ...], tuple[Note, ...]]


def _laid_out(source: DocumentSource) -> _Laid:
    """The title, the body and what belongs on the cover."""
    match source.type, source.artifact:
        case DocumentType.IDEA_BRIEF, IdeaBrief() as brief:
            return "Idea Brief", idea_brief.lay_out(brief), ()
        case DocumentType.SRS, Requirements() as requirements:
            return "Software Requirements Specification", srs.lay_out(requirements), ()
        case DocumentType.PRD, ProductSpec() as spec:
            return "Product Requirements Document", prd.lay_out(spec), ()
        case DocumentType.VERIFICATION_REPORT, Verification() as verification:
            note = verification_report.status_note(verification)
            return "Verification Report", verification_report.lay_out(verification), (note,)
        case _:
            made = type(source.artifact).__name__
            raise ValueError(f"a document of type {source.type} is not made from {made}")


def _notice(notice: str) -> tuple[Note, ...]:
    return (Note(line(strong("How this was made. "), notice)),) if notice.strip() else ()


_UNTITLED = "Untitled project"

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def _written(day: date) -> str:
    # strftime would follow the process's locale.
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
