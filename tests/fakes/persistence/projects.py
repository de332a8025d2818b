"""Projects, with the steps of their runs and the documents that came out, in memory."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from application.ports.paging import Page
from application.ports.projects import AgentTaskRepository, DocumentRepository, ProjectRepository
from domain.agents.pipelines import DocumentType
from domain.projects.agent_task import AgentTask, AgentTaskStatus
from domain.projects.document import Document
from domain.projects.project import Project, ProjectStatus
from domain.shared.ids import DocumentId, ProjectId, RunId
from tests.fakes.persistence.database import Session, TransactionRefused


class InMemoryProjects(ProjectRepository):
    """The projects of the session's person. Newest first is by id: they are version 7."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, project: Project) -> None:
        self._session.require_own(project.user_id)
        tables = self._session.tables
        if project.user_id not in tables.users or project.id in tables.projects:
            raise self._session.refused(TransactionRefused("no such user, or the id is taken"))
        tables.projects[project.id] = project

    async def get(self, project_id: ProjectId, *, lock: bool = False) -> Project | None:
        project = self._session.tables.projects.get(project_id)
        return project if project and project.user_id == self._session.tenant else None

    async def page(
        self, page: Page, *, status: ProjectStatus | None, search: str
    ) -> Sequence[Project]:
        tenant = self._session.tenant
        found = [
            project
            for project in self._session.tables.projects.values()
            if project.user_id == tenant
            and (status is None or project.status is status)
            and search.lower() in project.title.lower()
            and (page.after is None or project.id < page.after)
        ]
        return sorted(found, key=lambda project: project.id, reverse=True)[: page.limit]

    async def save(self, project: Project) -> None:
        kept = await self.get(project.id)
        if kept is not None:
            self._session.tables.projects[project.id] = replace(
                kept,
                title=project.title,
                idea=project.idea,
                status=project.status,
                progress=project.progress,
                updated_at=project.updated_at,
            )

    async def delete(self, project_id: ProjectId) -> None:
        if await self.get(project_id) is None:
            return
        tables = self._session.tables
        del tables.projects[project_id]
        gone = {row.run.id for row in tables.runs.values() if row.run.project_id == project_id}
        tables.runs = {key: row for key, row in tables.runs.items() if key not in gone}
        tables.events = {key: row for key, row in tables.events.items() if key[0] not in gone}
        tables.tasks = {key: row for key, row in tables.tasks.items() if key[0] not in gone}
        tables.documents = {
            key: row for key, row in tables.documents.items() if row.project_id != project_id
        }
        # What was spent stays on the books; what was said is the person's, and goes.
        tables.calls = {
            key: replace(call, text="") if call.run_id in gone else call
            for key, call in tables.calls.items()
        }


class InMemoryAgentTasks(AgentTaskRepository):
    """The steps of the session's person's runs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, task: AgentTask) -> None:
        self._session.require_own(task.user_id)
        row = self._session.tables.runs.get(task.run_id)
        if row is None or row.run.user_id != task.user_id:
            raise self._session.refused(TransactionRefused("no such run"))
        place = (task.run_id, task.step)
        before = self._session.tables.tasks.get(place, task)
        self._session.tables.tasks[place] = replace(task, id=before.id)

    async def of_run(self, run_id: RunId) -> Sequence[AgentTask]:
        tenant = self._session.tenant
        tasks = self._session.tables.tasks.values()
        return sorted(
            (task for task in tasks if task.run_id == run_id and task.user_id == tenant),
            key=lambda task: task.id,
        )

    async def checkpoint(self, project_id: ProjectId, input_hash: str) -> AgentTask | None:
        tenant = self._session.tenant
        same = [
            task
            for task in self._session.tables.tasks.values()
            if task.project_id == project_id
            and task.input_hash == input_hash
            and task.user_id == tenant
            and task.status is AgentTaskStatus.SUCCEEDED
        ]
        return max(same, key=lambda task: task.id, default=None)


class InMemoryDocuments(DocumentRepository):
    """The documents of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, documents: Iterable[Document]) -> None:
        tables = self._session.tables
        for document in documents:
            self._session.require_own(document.user_id)
            project = tables.projects.get(document.project_id)
            if project is None or project.user_id != document.user_id:
                raise self._session.refused(TransactionRefused("no such project"))
            if any(_version(document) == _version(other) for other in tables.documents.values()):
                raise self._session.refused(TransactionRefused("the version exists already"))
            tables.documents[document.id] = document

    async def get(self, document_id: DocumentId) -> Document | None:
        document = self._session.tables.documents.get(document_id)
        return document if document and document.user_id == self._session.tenant else None

    async def latest(
        self, project_id: ProjectId, *, type_: DocumentType | None = None
    ) -> Sequence[Document]:
        newest: dict[tuple[str, str], Document] = {}
        for document in self._own():
            if document.project_id == project_id and type_ in (None, document.type):
                place = (document.type.value, document.format)
                if place not in newest or newest[place].version < document.version:
                    newest[place] = document
        return sorted(newest.values(), key=lambda document: document.id)

    async def of_step(self, run_id: RunId, step: str) -> Sequence[Document]:
        found = [doc for doc in self._own() if doc.run_id == run_id and doc.step == step]
        return sorted(found, key=lambda document: document.id)

    def _own(self) -> list[Document]:
        tenant = self._session.tenant
        documents = self._session.tables.documents.values()
        return [document for document in documents if document.user_id == tenant]


def _version(document: Document) -> tuple[ProjectId, DocumentType, str, int]:
    return document.project_id, document.type, document.format, document.version
