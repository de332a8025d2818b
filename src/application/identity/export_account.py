"""Give a person all that is kept of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from application.audit.told import told_to_owner
from application.ports.audit import AuditQuery
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
        for read in (
            *(self._projects, self._keys, self._endpoints, self._orders, self._movements),
            *(self._invoices, self._entries, self._audit),
        ):
            async for batch in read(user_id):
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

    async def _keys(self, user_id: UserId) -> AsyncIterator[Records]:
        after = None
        while True:
            async with self.uow.begin(user_id) as tx:
                keys = await tx.keys.page(KeyFilter(limit=BATCH, after=after))
            if not keys:
                return
            yield [_record("api_key", key) for key in keys]
            after = keys[-1].id

    async def _endpoints(self, user_id: UserId) -> AsyncIterator[Records]:
        after = None
        while True:
            async with self.uow.begin(user_id) as tx:
                endpoints = await tx.webhooks.page(Page(limit=BATCH, after=after))
            if not endpoints:
                return
            yield [_record("webhook_endpoint", endpoint) for endpoint in endpoints]
            after = endpoints[-1].id

    async def _orders(self, user_id: UserId) -> AsyncIterator[Records]:
        after = None
        while True:
            async with self.uow.begin(user_id) as tx:
                orders = await tx.orders.page(OrderFilter(limit=BATCH, after=after))
            if not orders:
                return
            yield [_record("order", order) for order in orders]
            after = orders[-1].id

    async def _movements(self, user_id: UserId) -> AsyncIterator[Records]:
        after = None
        while True:
            async with self.uow.begin(user_id) as tx:
                movements = await tx.payments.movements(MovementFilter(limit=BATCH, after=after))
            if not movements:
                return
            yield [_record("transaction", movement) for movement in movements]
            after = movements[-1].id

    async def _invoices(self, user_id: UserId) -> AsyncIterator[Records]:
        after = None
        while True:
            async with self.uow.begin(user_id) as tx:
                documents = await tx.invoices.page(BATCH, after, year=None, kind=None)
            if not documents:
                return
            yield [_record("invoice", document) for document in documents]
            after = documents[-1].id

    async def _entries(self, user_id: UserId) -> AsyncIterator[Records]:
        before = None
        while True:
            async with self.uow.begin(user_id) as tx:
                entries = await tx.ledger.entries(EntryQuery(limit=BATCH, before=before))
            if not entries:
                return
            yield [_record("ledger_entry", entry) for entry in entries]
            before = entries[-1].number

    async def _audit(self, user_id: UserId) -> AsyncIterator[Records]:
        before = None
        while True:
            async with self.uow.begin(user_id) as tx:
                acts = await tx.audit.entries(AuditQuery(limit=BATCH, before=before))
            if not acts:
                return
            yield [_record("audit_entry", told_to_owner(act)) for act in acts]
            before = acts[-1].number


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
