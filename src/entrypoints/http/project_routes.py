"""Projects, their runs' start, their documents and their archive."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_202_ACCEPTED
from stream_zip import ZIP_AUTO, Method, async_stream_zip

from application.ports.idempotency import Completion
from application.ports.security import Principal
from application.projects.create_project import CreateProject, NewProject
from application.projects.delete_project import DeleteProject
from application.projects.edit_project import EditProject, ProjectEdit
from application.projects.execute_project import ExecuteProject, Execution
from application.projects.list_projects import ListProjects, ProjectListing
from application.projects.list_runs import ListRuns
from application.projects.read_archive import ArchiveMember, ReadArchive
from application.projects.read_documents import DownloadDocument, ListDocuments, ShowDocument
from application.projects.show_project import ShowProject
from domain.agents.pipelines import DocumentType
from domain.audit.origin import Origin
from domain.identity.user import Permission
from domain.projects.project import ProjectStatus
from domain.projects.run import Run
from domain.shared.ids import DocumentId, ProjectId
from entrypoints.http.access import COST, provide_principal, requires
from entrypoints.http.attachments import attachment, slug
from entrypoints.http.cursors import DEFAULT_LIMIT, Cursor, Limit, cursor_after, page_from
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.keyed_requests import note_run
from entrypoints.http.routing import delete, get, patch, post
from entrypoints.http.schemas import (
    CreateProjectRequest,
    DocumentListView,
    DocumentView,
    EditProjectRequest,
    ExecuteRequest,
    ProjectDetailView,
    ProjectPageView,
    ProjectView,
    RunPageView,
    RunView,
)

_FILE_MODE = 0o644


class ProjectController(Controller):
    """Projects."""

    path = "/projects"
    tags = ("Projects",)

    @post(guards=[requires(Permission.PROJECTS_CREATE)], summary="Create a project")
    async def create(
        self,
        data: JSONBody[CreateProjectRequest],
        principal: NamedDependency[Principal],
        create_project: NamedDependency[CreateProject],
        once: NamedDependency[OncePerKey],
    ) -> Response[ProjectView]:
        """Keep an idea as a draft. Nothing runs and nothing is charged yet."""
        return await once(
            lambda completion: create_project(
                NewProject(
                    user_id=principal.user_id,
                    idea=data.idea,
                    mode=data.mode,
                    title=data.title,
                    key=principal.key,
                    once=completion,
                )
            ),
            ProjectView.of,
        )

    @get(guards=[requires(Permission.PROJECTS_READ)], summary="List projects")
    async def page(
        self,
        principal: NamedDependency[Principal],
        list_projects: NamedDependency[ListProjects],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
        status: FromQuery[ProjectStatus | None] = None,
        search: FromQuery[str] = "",
    ) -> ProjectPageView:
        """Newest first; of one status or with words in the title, if asked."""
        projects = await list_projects(
            ProjectListing(
                user_id=principal.user_id,
                page=page_from(cursor, limit),
                status=status,
                search=search.strip(),
            )
        )
        return ProjectPageView(
            items=[ProjectView.of(project) for project in projects[:limit]],
            next_cursor=cursor_after([project.id for project in projects], limit),
        )

    @get(
        "/{project_id:str}",
        guards=[requires(Permission.PROJECTS_READ)],
        summary="Show a project",
    )
    async def show(
        self,
        project_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        show_project: NamedDependency[ShowProject],
    ) -> ProjectDetailView:
        """The project and the run it was last executed by."""
        # Asked for here: of two dependencies each would be resolved in a task of its own.
        principal = provide_principal(request)
        project, run = await show_project(principal.user_id, ProjectId(project_id))
        return ProjectDetailView(ProjectView.of(project), RunView.of(run) if run else None)

    @patch(
        "/{project_id:str}",
        guards=[requires(Permission.PROJECTS_CREATE)],
        summary="Edit a project",
    )
    async def edit(
        self,
        project_id: FromPath[UUID],
        data: JSONBody[EditProjectRequest],
        principal: NamedDependency[Principal],
        edit_project: NamedDependency[EditProject],
    ) -> ProjectView:
        """Change title or idea. The next run makes again what depends on it."""
        project = await edit_project(
            ProjectEdit(
                user_id=principal.user_id,
                project_id=ProjectId(project_id),
                title=data.title,
                idea=data.idea,
            )
        )
        return ProjectView.of(project)

    @delete(
        "/{project_id:str}",
        guards=[requires(Permission.PROJECTS_DELETE)],
        summary="Delete a project",
    )
    async def remove(
        self,
        project_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        delete_project: NamedDependency[DeleteProject],
    ) -> None:
        """Remove a project with its runs and documents. There is no undo."""
        await delete_project(principal.user_id, ProjectId(project_id), origin=origin)

    @post(
        "/{project_id:str}/execute",
        guards=[requires(Permission.PROJECTS_EXECUTE)],
        status_code=HTTP_202_ACCEPTED,
        opt={COST: 5},
        summary="Execute a project",
    )
    async def execute(
        self,
        project_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        execute_project: NamedDependency[ExecuteProject],
        once: NamedDependency[OncePerKey],
        data: JSONBody[ExecuteRequest | None] = None,
    ) -> Response[RunView]:
        """Accept a run. It will reach an end whatever happens; follow it by its id."""

        async def accept(completion: Completion[Run] | None) -> Run:
            run = await execute_project(
                Execution(
                    user_id=principal.user_id,
                    project_id=ProjectId(project_id),
                    reuse=True if data is None else data.reuse,
                    cap_credits=None if data is None else data.cap_credits,
                    key=principal.key,
                    once=completion,
                )
            )
            note_run(once.request, run.id)
            return run

        return await once(accept, RunView.of)

    @get(
        "/{project_id:str}/runs",
        guards=[requires(Permission.PROJECTS_READ)],
        summary="List a project's runs",
    )
    async def runs(
        self,
        project_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        list_runs: NamedDependency[ListRuns],
        cursor: Cursor = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> RunPageView:
        """Newest first."""
        runs = await list_runs(principal.user_id, ProjectId(project_id), page_from(cursor, limit))
        return RunPageView(
            items=[RunView.of(run) for run in runs[:limit]],
            next_cursor=cursor_after([run.id for run in runs], limit),
        )

    @get(
        "/{project_id:str}/documents",
        guards=[requires(Permission.PROJECTS_READ)],
        summary="List a project's documents",
    )
    async def documents(
        self,
        project_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        list_documents: NamedDependency[ListDocuments],
        type: FromQuery[DocumentType | None] = None,
    ) -> DocumentListView:
        """The newest version of each type and format."""
        documents = await list_documents(principal.user_id, ProjectId(project_id), type)
        return DocumentListView([DocumentView.of(document) for document in documents])

    @get(
        "/{project_id:str}/archive",
        guards=[requires(Permission.PROJECTS_READ)],
        media_type="application/zip",
        summary="Download everything",
    )
    async def archive(
        self,
        project_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        read_archive: NamedDependency[ReadArchive],
    ) -> Stream:
        """Documents and code in one zip file, streamed."""
        project, members = await read_archive(principal.user_id, ProjectId(project_id))
        folder = slug(project.title)
        return Stream(
            async_stream_zip(_zip_members(folder, members)),
            media_type="application/zip",
            headers=attachment(f"{folder}.zip"),
        )


class DocumentController(Controller):
    """Single documents."""

    path = "/documents"
    tags = ("Documents",)

    @get(
        "/{document_id:str}",
        guards=[requires(Permission.PROJECTS_READ)],
        summary="Show a document",
    )
    async def show(
        self,
        document_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        show_document: NamedDependency[ShowDocument],
    ) -> DocumentView:
        """What the document is; its bytes are at ``download_url``."""
        return DocumentView.of(await show_document(principal.user_id, DocumentId(document_id)))

    @get(
        "/{document_id:str}/download",
        guards=[requires(Permission.PROJECTS_READ)],
        media_type="application/octet-stream",
        summary="Download a document",
    )
    async def download(
        self,
        document_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        download_document: NamedDependency[DownloadDocument],
    ) -> Stream:
        """The document's bytes, as an attachment."""
        document, chunks = await download_document(principal.user_id, DocumentId(document_id))
        return Stream(
            chunks,
            media_type=document.media_type,
            headers={
                **attachment(document.filename),
                "Content-Length": str(document.size),
                "ETag": f'"{document.sha256}"',
            },
        )


async def _zip_members(
    folder: str, members: Sequence[ArchiveMember]
) -> AsyncIterator[tuple[str, datetime, int, Method, AsyncIterable[bytes]]]:
    for member in members:
        yield (
            f"{folder}/{member.path}",
            member.modified_at,
            _FILE_MODE,
            ZIP_AUTO(member.size),
            member.open(),
        )
