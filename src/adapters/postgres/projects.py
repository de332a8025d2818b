"""Projects and their documents."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.tables import documents, model_calls, projects, runs
from application.ports.paging import Page
from domain.agents.artifacts import Mode
from domain.agents.pipelines import DocumentType
from domain.projects.document import Document
from domain.projects.project import Project, ProjectStatus
from domain.shared.ids import DocumentId, ProjectId, RunId, UserId


class PostgresProjects:
    """The ``ProjectRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = projects.c.user_id == user_id
        self._user_id = user_id

    async def add(self, project: Project) -> None:
        await self._connection.execute(insert(projects).values(**_columns(project)))

    async def get(self, project_id: ProjectId, *, lock: bool = False) -> Project | None:
        query = select(projects).where(projects.c.id == project_id, self._mine)
        rows = await self._connection.execute(query.with_for_update() if lock else query)
        row = rows.one_or_none()
        return None if row is None else project_of(row)

    async def page(
        self, page: Page, *, status: ProjectStatus | None, search: str
    ) -> Sequence[Project]:
        query = select(projects).where(self._mine)
        if page.after is not None:
            query = query.where(projects.c.id < page.after)
        if status is not None:
            query = query.where(projects.c.status == status)
        if search:
            query = query.where(
                func.lower(projects.c.title).contains(search.lower(), autoescape=True)
            )
        rows = await self._connection.execute(
            query.order_by(projects.c.id.desc()).limit(page.limit)
        )
        return [project_of(row) for row in rows]

    async def save(self, project: Project) -> None:
        await self._connection.execute(
            update(projects)
            .where(projects.c.id == project.id, self._mine)
            .values(
                title=project.title,
                idea=project.idea,
                status=project.status,
                progress=project.progress,
                updated_at=project.updated_at,
            )
        )

    async def delete(self, project_id: ProjectId) -> None:
        # What was spent stays on the books; what was said is the person's, and goes.
        await self._connection.execute(
            update(model_calls)
            .where(
                model_calls.c.run_id.in_(
                    select(runs.c.id).where(
                        runs.c.project_id == project_id, runs.c.user_id == self._user_id
                    )
                )
            )
            .values(text="")
        )
        await self._connection.execute(
            delete(projects).where(projects.c.id == project_id, self._mine)
        )


class PostgresDocuments:
    """The ``DocumentRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = documents.c.user_id == user_id

    async def add(self, documents_: Iterable[Document]) -> None:
        rows = [
            {
                "id": document.id,
                "project_id": document.project_id,
                "run_id": document.run_id,
                "user_id": document.user_id,
                "step": document.step,
                "type": document.type,
                "format": document.format,
                "version": document.version,
                "title": document.title,
                "filename": document.filename,
                "media_type": document.media_type,
                "file_url": document.object_key,
                "sha256": document.sha256,
                "size": document.size,
                "created_at": document.created_at,
            }
            for document in documents_
        ]
        if rows:
            await self._connection.execute(insert(documents), rows)

    async def get(self, document_id: DocumentId) -> Document | None:
        rows = await self._connection.execute(
            select(documents).where(documents.c.id == document_id, self._mine)
        )
        row = rows.one_or_none()
        return None if row is None else _document(row)

    async def latest(
        self, project_id: ProjectId, *, type_: DocumentType | None = None
    ) -> Sequence[Document]:
        query = (
            select(documents)
            .ext(distinct_on(documents.c.type, documents.c.format))
            .where(documents.c.project_id == project_id, self._mine)
            .order_by(documents.c.type, documents.c.format, documents.c.version.desc())
        )
        if type_ is not None:
            query = query.where(documents.c.type == type_)
        rows = await self._connection.execute(query)
        return sorted((_document(row) for row in rows), key=lambda document: document.id)

    async def of_step(self, run_id: RunId, step: str) -> Sequence[Document]:
        rows = await self._connection.execute(
            select(documents)
            .where(documents.c.run_id == run_id, documents.c.step == step, self._mine)
            .order_by(documents.c.id)
        )
        return [_document(row) for row in rows]


def _columns(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "user_id": project.user_id,
        "title": project.title,
        "idea": project.idea,
        "mode": project.mode,
        "status": project.status,
        "progress": project.progress,
        "created_at": project.created_at,
        "updated_at": project.updated_at,
    }


def project_of(row: Any) -> Project:
    """A project from its row."""
    return Project(
        id=ProjectId(row.id),
        user_id=UserId(row.user_id),
        title=row.title,
        idea=row.idea,
        mode=Mode(row.mode),
        status=ProjectStatus(row.status),
        progress=row.progress,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _document(row: Row[Any]) -> Document:
    return Document(
        id=DocumentId(row.id),
        project_id=ProjectId(row.project_id),
        run_id=RunId(row.run_id),
        user_id=UserId(row.user_id),
        step=row.step,
        type=DocumentType(row.type),
        format=row.format,
        version=row.version,
        title=row.title,
        filename=row.filename,
        media_type=row.media_type,
        object_key=row.file_url,
        sha256=row.sha256,
        size=row.size,
        created_at=row.created_at,
    )
