"""Read a project's documents: list them, look at one, download one."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from application.ports.clock import Clock
from application.ports.object_store import ObjectStore
from application.ports.persistence import UnitOfWork
from application.projects.show_project import owned_project
from domain.agents.pipelines import DocumentType
from domain.billing.plans import ARCHIVE
from domain.projects.document import Document
from domain.shared.errors import NotFound
from domain.shared.ids import DocumentId, ProjectId, UserId


@dataclass(frozen=True, slots=True)
class ListDocuments:
    """Lists the newest version of each of a project's documents."""

    uow: UnitOfWork

    async def __call__(
        self, user_id: UserId, project_id: ProjectId, type_: DocumentType | None = None
    ) -> Sequence[Document]:
        """The documents, optionally of one type.

        Raises:
            NotFound: no such project, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            await owned_project(tx, project_id)
            return await tx.documents.latest(project_id, type_=type_)


@dataclass(frozen=True, slots=True)
class ShowDocument:
    """Shows one document's description."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, document_id: DocumentId) -> Document:
        """The document.

        Raises:
            NotFound: no such document, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            document = await tx.documents.get(document_id)
        if document is None:
            raise NotFound("document", document_id)
        return document


@dataclass(frozen=True, slots=True)
class DownloadDocument:
    """Streams one document's bytes."""

    uow: UnitOfWork
    store: ObjectStore
    clock: Clock

    async def __call__(
        self, user_id: UserId, document_id: DocumentId
    ) -> tuple[Document, AsyncGenerator[bytes]]:
        """The document and its bytes in chunks; no transaction is open meanwhile.

        Raises:
            NotFound: no such document, or another person's.
            PlanForbidsExport: the person's plan does not include its format.
            ObjectStoreUnavailable: the store did not answer.
        """
        document = await ShowDocument(self.uow)(user_id, document_id)
        async with self.uow.begin(user_id) as tx:
            plan = await tx.entitlements.effective(self.clock.now())
        plan.check_export(export_of(document))
        return document, await begun(self.store.stream(document.object_key))


def export_of(document: Document) -> str:
    """Which export a document's download is; a codebase is delivered as an archive."""
    return ARCHIVE if document.type is DocumentType.CODEBASE else document.format


async def begun(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same chunks, the first one read already.

    A store that is away is thus found before an answer has begun, not in the middle of it.

    Raises:
        ObjectNotFound: nothing has that key.
        ObjectStoreUnavailable: the store did not answer.
    """
    first = await anext(chunks, b"")

    async def rest() -> AsyncGenerator[bytes]:
        async with aclosing(chunks):
            yield first
            async for chunk in chunks:
                yield chunk

    return rest()
