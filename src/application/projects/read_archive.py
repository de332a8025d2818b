"""Everything a project's runs made, as the members of one archive."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from application.ports.clock import Clock
from application.ports.object_store import ObjectStore
from application.ports.persistence import UnitOfWork
from application.projects.read_documents import export_of
from application.projects.show_project import owned_project
from application.runs.artifact_store import CodeManifest, object_key
from domain.agents.pipelines import DocumentType
from domain.billing.plans import ARCHIVE
from domain.projects.document import Document
from domain.projects.project import Project
from domain.shared.errors import Conflict
from domain.shared.ids import ProjectId, UserId


class NothingToArchive(Conflict):
    """The project has no documents yet."""

    code = "nothing_to_archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveMember:
    """A file of the archive; ``open`` gives its bytes in chunks when its turn has come."""

    path: str
    size: int
    modified_at: datetime
    open: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class ReadArchive:
    """Lists an archive's members: documents in the plan's formats, and the code as delivered."""

    uow: UnitOfWork
    store: ObjectStore
    clock: Clock

    async def __call__(
        self, user_id: UserId, project_id: ProjectId
    ) -> tuple[Project, tuple[ArchiveMember, ...]]:
        """The project and its members. Their bytes are read one after another, later.

        Raises:
            NotFound: no such project, or another person's.
            PlanForbidsExport: the person's plan does not include archives.
            NothingToArchive: no step of it has finished yet.
            ObjectStoreUnavailable: the store did not answer.
        """
        async with self.uow.begin(user_id) as tx:
            project = await owned_project(tx, project_id)
            plan = await tx.entitlements.effective(self.clock.now())
            plan.check_export(ARCHIVE)
            documents = await tx.documents.latest(project_id)
        if not documents:
            raise NothingToArchive("There is nothing to download yet: execute the project first.")
        members: list[ArchiveMember] = []
        for document in documents:
            if export_of(document) not in plan.exports:
                continue
            if document.type is DocumentType.CODEBASE:
                members.extend(await self._code(user_id, document))
            else:
                members.append(
                    self._member(
                        f"documents/{document.filename}",
                        document.size,
                        document.created_at,
                        document.object_key,
                    )
                )
        return project, tuple(sorted(members, key=lambda member: member.path))

    async def _code(self, user_id: UserId, document: Document) -> list[ArchiveMember]:
        data = await self.store.get(document.object_key)
        manifest = msgspec.json.decode(data, type=CodeManifest)
        return [
            self._member(
                f"code/{file.path}",
                file.size,
                document.created_at,
                object_key(user_id, file.sha256),
            )
            for file in manifest.files
        ]

    def _member(self, path: str, size: int, at: datetime, key: str) -> ArchiveMember:
        return ArchiveMember(
            path=path, size=size, modified_at=at, open=lambda: self.store.stream(key)
        )
