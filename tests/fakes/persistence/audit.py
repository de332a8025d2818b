"""The audit log, in memory."""

from collections.abc import Iterable, Sequence

from application.ports.audit import AuditEntry, AuditOversight, AuditQuery, AuditTrail
from domain.audit.act import Act
from domain.audit.origin import Origin
from domain.shared.ids import UserId
from tests.fakes.persistence.database import InMemoryDatabase, Session


class InMemoryAuditTrail(AuditTrail):
    """The part of the session's person, or of nobody."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def record(self, origin: Origin, act: Act) -> None:
        log = self._session.tables.audit
        entry = AuditEntry(
            number=len(log) + 1,
            at=self._session.now,
            user_id=self._session.owner,
            origin=origin,
            act=act,
        )
        log[entry.number] = entry

    async def entries(self, query: AuditQuery) -> Sequence[AuditEntry]:
        return _fitting(self._session.tables.audit.values(), query, self._session.owner)


class InMemoryAuditOversight(AuditOversight):
    """Everybody's part of the committed log."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def entries(
        self, query: AuditQuery, user_id: UserId | None = None
    ) -> Sequence[AuditEntry]:
        async with self._database.session(None) as session:
            return _fitting(session.tables.audit.values(), query, user_id)


def _fitting(
    entries: Iterable[AuditEntry], query: AuditQuery, user_id: UserId | None
) -> Sequence[AuditEntry]:
    fitting = [
        entry
        for entry in entries
        if user_id in (None, entry.user_id)
        and (query.before is None or entry.number < query.before)
        and query.action in (None, entry.act.action)
        and (query.since is None or entry.at >= query.since)
        and (query.until is None or entry.at < query.until)
        and query.actor in (None, entry.origin.person)
        and query.subject_id in ("", entry.act.subject_id)
    ]
    return sorted(fitting, key=lambda entry: -entry.number)[: query.limit]
