"""Give a person all that is kept of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final

from application.audit.told import told_to_owner
from application.ports.audit import AuditEntry, AuditQuery
from application.ports.keys import KeyFilter
from application.ports.ledger import EntryQuery
from application.ports.paging import Page
from application.ports.payments import MovementFilter, OrderFilter
from application.ports.persistence import Transaction, UnitOfWork
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.user import NotAuthenticated
from domain.projects.run import Run
from domain.shared.ids import ProjectId, UserId

BATCH = 200

Records = Sequence[tuple[str, dict[str, Any]]]
"""What each record is of, and its fields."""

_Read = Callable[[Transaction, Any], Awaitable[Sequence[Any]]]
_Mark = Callable[[Any], Any]

_NOT_SHOWN = frozenset(
    {"password_hash", "session_version", "secret", "previous", "previous_secret", "file_url"}
)
"""Secrets, and what is only ours: their holder has no use for a hash, and a thief would."""


@dataclass(frozen=True, slots=True)
class ExportAccount:
    """Reads everything, a batch at a time and each in a transaction of its own."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, origin: Origin) -> AsyncIterator[Records]:
        """The records, in batches.

        Raises:
            NotAuthenticated: the account is off.
        """
        async with self.uow.begin(user_id) as tx:
            user = await tx.users.get(user_id)
            if user is None or not user.is_active:
                raise NotAuthenticated("This account is not active. Sign in again.")
            await tx.audit.record(origin, acted(AuditAction.EXPORTED, user_id))
            profile = await tx.billing_profiles.get()
            first = [
                _record("account", user),
                *(_record("session", each) for each in await tx.sessions.live()),
                *(_record("linked_identity", each) for each in await tx.linked_identities.all()),
                *([] if profile is None else [_record("billing_profile", profile)]),
            ]
        return self._batches(user_id, first)

    async def _batches(self, user_id: UserId, first: Records) -> AsyncIterator[Records]:
        yield first
        async for batch in self._projects(user_id):
            yield batch
        for of, read, mark in _PAGES:
            async for batch in self._paged(user_id, of, read, mark):
                yield batch

    async def _projects(self, user_id: UserId) -> AsyncIterator[Records]:
        after = None
        while True:
            async with self.uow.begin(user_id) as tx:
                projects = await tx.projects.page(
                    Page(limit=20, after=after), status=None, search=""
                )
                found = []
                for project in projects:
                    found.append(_record("project", project))
                    found += [_record("run", run) for run in await _runs(tx, project.id)]
                    found += [
                        _record("document", document)
                        for document in await tx.documents.latest(project.id)
                    ]
            if not projects:
                return
            yield found
            after = projects[-1].id

    async def _paged(
        self, user_id: UserId, of: str, read: _Read, mark: _Mark
    ) -> AsyncIterator[Records]:
        after = None
        while True:
            async with self.uow.begin(user_id) as tx:
                page = await read(tx, after)
            if not page:
                return
            yield [_record(of, each) for each in page]
            after = mark(page[-1])


async def _told(tx: Transaction, before: int | None) -> Sequence[AuditEntry]:
    return [
        told_to_owner(act) for act in await tx.audit.entries(AuditQuery(limit=BATCH, before=before))
    ]


_ID, _NUMBER = attrgetter("id"), attrgetter("number")

_PAGES: Final[Sequence[tuple[str, _Read, _Mark]]] = (
    ("api_key", lambda tx, after: tx.keys.page(KeyFilter(limit=BATCH, after=after)), _ID),
    ("webhook_endpoint", lambda tx, after: tx.webhooks.page(Page(limit=BATCH, after=after)), _ID),
    ("order", lambda tx, after: tx.orders.page(OrderFilter(limit=BATCH, after=after)), _ID),
    (
        "transaction",
        lambda tx, after: tx.payments.movements(MovementFilter(limit=BATCH, after=after)),
        _ID,
    ),
    ("invoice", lambda tx, after: tx.invoices.page(BATCH, after, year=None, kind=None), _ID),
    (
        "ledger_entry",
        lambda tx, before: tx.ledger.entries(EntryQuery(limit=BATCH, before=before)),
        _NUMBER,
    ),
    ("audit_entry", _told, _NUMBER),
)
"""What comes after the projects: each kind of record, how a page of it is read, and what the next
page is after."""


async def _runs(tx: Transaction, project_id: ProjectId) -> Sequence[Run]:
    """Every run of a project, newest first."""
    found: list[Run] = []
    while True:
        after = found[-1].id if found else None
        page = await tx.runs.of_project(project_id, Page(limit=BATCH, after=after))
        if not page:
            return found
        found += page


def _record(of: str, value: Any) -> tuple[str, dict[str, Any]]:
    shown = {
        each.name: getattr(value, each.name)
        for each in fields(value)
        if each.name not in _NOT_SHOWN
    }
    return of, shown
