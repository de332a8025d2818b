"""What every ``DocumentRenderer`` keeps."""

import asyncio
import re
from dataclasses import replace
from datetime import date

import pytest

from application.ports.documents import (
    DocumentFormat,
    DocumentRenderer,
    DocumentSource,
    RenderedDocument,
)
from domain.agents.artifacts import Artifact
from domain.agents.findings import Finding, Severity
from domain.agents.pipelines import DocumentType
from tests.unit.agents import samples

ARTIFACTS: dict[DocumentType, Artifact] = {
    DocumentType.IDEA_BRIEF: samples.brief(),
    DocumentType.SRS: samples.requirements(),
    DocumentType.PRD: samples.product(),
    DocumentType.VERIFICATION_REPORT: samples.verification(),
    DocumentType.CODEBASE: samples.codebase(),
}
WRITTEN = [type_ for type_ in ARTIFACTS if type_ is not DocumentType.CODEBASE]


def source(type_: DocumentType, **changes: object) -> DocumentSource:
    made = DocumentSource(
        type=type_,
        project_title="College Library",
        artifact=ARTIFACTS[type_],
        version=3,
        made_on=date(2026, 11, 9),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # tests name the fields


def in_format(documents: tuple[RenderedDocument, ...], format_: DocumentFormat) -> RenderedDocument:
    (found,) = (document for document in documents if document.format is format_)
    return found


class DocumentRendererContract:
    @pytest.mark.parametrize("type_", WRITTEN)
    async def test_a_document_comes_in_markdown_and_word(
        self, renderer: DocumentRenderer, type_: DocumentType
    ) -> None:
        documents = await renderer.render(source(type_))
        assert {document.format for document in documents} == set(DocumentFormat)
        for document in documents:
            assert document.type is type_
            assert document.title
            assert document.data
            assert re.fullmatch(r"[a-z0-9][a-z0-9-]*\.[a-z]+", document.filename)
            assert document.filename.endswith(f".{document.format}")
        media_types = {document.media_type for document in documents}
        assert len(media_types) == len(documents)

    async def test_code_is_not_a_document(self, renderer: DocumentRenderer) -> None:
        assert await renderer.render(source(DocumentType.CODEBASE)) == ()

    @pytest.mark.parametrize("type_", list(ARTIFACTS))
    async def test_another_artifact_is_refused(
        self, renderer: DocumentRenderer, type_: DocumentType
    ) -> None:
        other = DocumentType.PRD if type_ is DocumentType.SRS else DocumentType.SRS
        with pytest.raises(ValueError, match=r"."):
            await renderer.render(source(type_, artifact=ARTIFACTS[other]))

    @pytest.mark.parametrize("type_", WRITTEN)
    async def test_the_same_source_gives_the_same_bytes(
        self, renderer: DocumentRenderer, type_: DocumentType
    ) -> None:
        first, second = await asyncio.gather(
            renderer.render(source(type_)), renderer.render(source(type_))
        )
        assert first == second

    async def test_what_the_source_says_changes_the_bytes(self, renderer: DocumentRenderer) -> None:
        plain = await renderer.render(source(DocumentType.SRS))
        for changes in ({"version": 4}, {"made_on": date(2026, 11, 10)}, {"notice": "Offline."}):
            changed = await renderer.render(source(DocumentType.SRS, **changes))
            assert all(a.data != b.data for a, b in zip(plain, changed, strict=True))

    async def test_the_notice_and_the_findings_are_stated(self, renderer: DocumentRenderer) -> None:
        finding = Finding(
            code="no_measure", severity=Severity.ERROR, subject="NFR-1", message="Give a number"
        )
        documents = await renderer.render(
            source(DocumentType.SRS, notice="Composed offline", findings=(finding,))
        )
        text = in_format(documents, DocumentFormat.MARKDOWN).data.decode()
        for said in ("Composed offline", "Give a number", "NFR-1"):
            assert said in text

    @pytest.mark.parametrize("title", ["", "   ", "पुस्तकालय", "../../etc", "CON", "a\0b\nc", "🙂"])
    async def test_any_title_gives_a_safe_name(
        self, renderer: DocumentRenderer, title: str
    ) -> None:
        for document in await renderer.render(source(DocumentType.PRD, project_title=title)):
            assert re.fullmatch(r"[a-z0-9][a-z0-9-]*\.[a-z]+", document.filename)
