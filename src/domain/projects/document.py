"""A document: an artifact rendered for people, or a codebase's manifest."""

from dataclasses import dataclass
from datetime import datetime

from domain.agents.pipelines import DocumentType
from domain.shared.ids import DocumentId, ProjectId, RunId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A stored rendering. ``size`` in bytes; ``object_key`` is never shown to anybody.

    ``format`` is the file extension; a codebase's document is its manifest, ``json``.
    """

    id: DocumentId
    project_id: ProjectId
    run_id: RunId
    user_id: UserId
    step: str
    type: DocumentType
    format: str
    version: int
    title: str
    filename: str
    media_type: str
    object_key: str
    sha256: str
    size: int
    created_at: datetime
