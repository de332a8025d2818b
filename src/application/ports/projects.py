"""Projects, runs, their steps and their documents, as they are kept."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from application.ports.paging import Page as Page
from domain.agents.pipelines import DocumentType
from domain.projects.agent_task import AgentTask
from domain.projects.document import Document
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Run, RunStatus
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import DocumentId, ProjectId, RunId


class ProjectRepository(Protocol):
    """The person's projects."""

    async def add(self, project: Project) -> None:
        """Keep a new project."""
        ...

    async def get(self, project_id: ProjectId, *, lock: bool = False) -> Project | None:
        """The project, or None. ``lock`` makes other writers wait until the commit."""
        ...

    async def page(
        self, page: Page, *, status: ProjectStatus | None, search: str
    ) -> Sequence[Project]:
        """Projects, newest first, optionally of one status or with words in the title."""
        ...

    async def save(self, project: Project) -> None:
        """Write back a changed project."""
        ...

    async def delete(self, project_id: ProjectId) -> None:
        """Remove the project with its runs, tasks, events and documents.

        Model calls and the ledger stay, because what was spent was spent; the calls' texts
        go, because they are the person's.
        """
        ...


class RunRepository(Protocol):
    """The person's runs and their event logs."""

    async def add(self, run: Run) -> None:
        """Keep a new run, due at once.

        Raises:
            RunInProgress: the project has a live run already.
        """
        ...

    async def get(self, run_id: RunId) -> Run | None:
        """The run, or None."""
        ...

    async def live(self, project_id: ProjectId) -> Run | None:
        """The project's live run, if it has one."""
        ...

    async def live_ids(self) -> Sequence[RunId]:
        """The person's live runs, in whatever project."""
        ...

    async def live_count(self) -> int:
        """How many live runs the person has, in whatever project."""
        ...

    async def of_project(self, project_id: ProjectId, page: Page) -> Sequence[Run]:
        """The project's runs, newest first."""
        ...

    async def lock(self, run_id: RunId, fence: int) -> Run:
        """Lock the run for this commit if the caller's claim still holds.

        Raises:
            LeaseLost: another claim came, or the run has ended.
        """
        ...

    async def set_progress(self, run_id: RunId, progress: int) -> None:
        """Write the share of work done, and forget the claims made since the last step."""
        ...

    async def finish(
        self, run_id: RunId, status: RunStatus, *, error_code: str = "", error: str = ""
    ) -> None:
        """Move a live run to a terminal state and drop its lease.

        Raises:
            LeaseLost: it has ended already.
            ValueError: ``status`` is not terminal.
        """
        ...

    async def request_cancel(self, run_id: RunId) -> Run:
        """Ask for a live run's end; one that waits becomes due at once.

        Raises:
            RunNotLive: it has ended.
            NotFound: there is none.
        """
        ...

    async def append_event(
        self, run_id: RunId, type_: EventType, data: Mapping[str, object]
    ) -> RunEvent:
        """Append to the run's log and return the entry, with its number and time."""
        ...

    async def events(self, run_id: RunId, after: int, limit: int) -> Sequence[RunEvent]:
        """The log's entries with numbers above ``after``, in order."""
        ...


class AgentTaskRepository(Protocol):
    """The steps of the person's runs."""

    async def put(self, task: AgentTask) -> None:
        """Keep the task of a (run, step), in place of what was there."""
        ...

    async def of_run(self, run_id: RunId) -> Sequence[AgentTask]:
        """The run's tasks, in the order they were begun."""
        ...

    async def checkpoint(self, project_id: ProjectId, input_hash: str) -> AgentTask | None:
        """The newest task of the project that succeeded on exactly these inputs."""
        ...


class DocumentRepository(Protocol):
    """The person's documents."""

    async def add(self, documents: Iterable[Document]) -> None:
        """Keep new documents."""
        ...

    async def get(self, document_id: DocumentId) -> Document | None:
        """The document, or None."""
        ...

    async def latest(
        self, project_id: ProjectId, *, type_: DocumentType | None = None
    ) -> Sequence[Document]:
        """The newest version of each type and format."""
        ...

    async def of_step(self, run_id: RunId, step: str) -> Sequence[Document]:
        """What one step of one run published."""
        ...
