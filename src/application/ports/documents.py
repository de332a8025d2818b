"""Artifacts made into documents for people."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from domain.agents.artifacts import Artifact
from domain.agents.pipelines import DocumentType
from domain.agents.review import Finding


class DocumentFormat(StrEnum):
    """A rendered document's format, also its file extension."""

    MARKDOWN = "md"
    DOCX = "docx"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSource:
    """Everything a rendering may depend on, so that it is a function of this alone.

    ``notice`` discloses how the content was made and stands in the document when not
    empty; ``findings`` are what review could not have corrected, stated openly.
    """

    type: DocumentType
    project_title: str
    artifact: Artifact
    version: int
    made_on: date
    notice: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedDocument:
    """A document's bytes, ready to be stored."""

    type: DocumentType
    format: DocumentFormat
    title: str
    filename: str
    media_type: str
    data: bytes


class DocumentRenderer(Protocol):
    """Renders. Pure: the same source gives the same bytes, on any day."""

    async def render(self, source: DocumentSource) -> tuple[RenderedDocument, ...]:
        """Make every format this type of document comes in; none for code.

        Raises:
            ValueError: the artifact is not of the type the document is made from.
        """
        ...
