"""A renderer that writes a few plain lines: fast, pure, and the same in every format."""

from application.ports.documents import DocumentFormat, DocumentSource, RenderedDocument
from domain.agents.artifacts import (
    Codebase,
    IdeaBrief,
    ProductSpec,
    Requirements,
    Verification,
)
from domain.agents.pipelines import DocumentType

MADE_FROM = {
    DocumentType.IDEA_BRIEF: IdeaBrief,
    DocumentType.SRS: Requirements,
    DocumentType.PRD: ProductSpec,
    DocumentType.CODEBASE: Codebase,
    DocumentType.VERIFICATION_REPORT: Verification,
}
MEDIA_TYPES = {
    DocumentFormat.MARKDOWN: "text/markdown; charset=utf-8",
    DocumentFormat.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


class PlainTextRenderer:
    """Satisfies ``DocumentRenderer``. ``rendered`` are the sources it was asked for."""

    def __init__(self) -> None:
        self.rendered: list[DocumentSource] = []

    async def render(self, source: DocumentSource) -> tuple[RenderedDocument, ...]:
        if not isinstance(source.artifact, MADE_FROM[source.type]):
            raise ValueError(f"{source.type} is not made from {type(source.artifact).__name__}")
        self.rendered.append(source)
        if source.type is DocumentType.CODEBASE:
            return ()
        lines = [
            f"{source.type} of {source.project_title}, version {source.version}, {source.made_on}",
            source.notice,
            *(f"{f.severity} {f.subject}: {f.message}" for f in source.findings),
            repr(source.artifact),
        ]
        return tuple(
            RenderedDocument(
                type=source.type,
                format=format_,
                title=source.type.replace("_", " ").title(),
                filename=f"project-{source.type.replace('_', '-')}.{format_}",
                media_type=media_type,
                data="\n".join(lines).encode("utf-8", "replace"),
            )
            for format_, media_type in MEDIA_TYPES.items()
        )
