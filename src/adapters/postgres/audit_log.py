"""The audit log: a person's part of it within a transaction, and everybody's for admins."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import rows_of
from adapters.postgres.tables import audit_log
from application.ports.audit import AuditEntry, AuditQuery
from domain.audit.act import Act, AuditAction
from domain.audit.origin import ActorKind, Origin
from domain.shared.ids import ApiKeyId, UserId


class PostgresAuditTrail:
    """The ``AuditTrail`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    async def record(self, origin: Origin, act: Act) -> None:
        await self._connection.execute(
            insert(audit_log).values(written(self._user_id, origin, act)).inline()
        )

    async def entries(self, query: AuditQuery) -> Sequence[AuditEntry]:
        rows = await self._connection.execute(_selected(query, self._user_id))
        return [_entry(row) for row in rows]


class PostgresAuditOversight:
    """The ``AuditOversight`` over the ``dispatch`` role's engine, which may read all of it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def entries(
        self, query: AuditQuery, user_id: UserId | None = None
    ) -> Sequence[AuditEntry]:
        rows = await rows_of(self._engine, _selected(query, user_id))
        return [_entry(row) for row in rows]


def written(user_id: UserId, origin: Origin, act: Act) -> dict[str, Any]:
    """The columns of an entry; number and moment are the database's to give."""
    return {
        "user_id": user_id,
        "actor_kind": origin.kind.value,
        "actor_id": origin.person,
        "api_key_id": origin.key,
        "actor_name": origin.name,
        "address": origin.address,
        "request_id": origin.request_id,
        "action": act.action.value,
        "subject_id": act.subject_id,
        "before": dict(act.before),
        "after": dict(act.after),
    }


def _selected(query: AuditQuery, user_id: UserId | None) -> Select[Any]:
    columns = audit_log.c
    selected = select(audit_log).order_by(columns.id.desc()).limit(query.limit)
    for column, value in (
        (columns.user_id, user_id),
        (columns.action, query.action),
        (columns.actor_id, query.actor),
        (columns.subject_id, query.subject_id or None),
    ):
        if value is not None:
            selected = selected.where(column == value)
    if query.before is not None:
        selected = selected.where(columns.id < query.before)
    if query.since is not None:
        selected = selected.where(columns.at >= query.since)
    if query.until is not None:
        selected = selected.where(columns.at < query.until)
    return selected


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        number=row.id,
        at=row.at,
        user_id=UserId(row.user_id),
        origin=Origin(
            kind=ActorKind(row.actor_kind),
            person=None if row.actor_id is None else UserId(row.actor_id),
            key=None if row.api_key_id is None else ApiKeyId(row.api_key_id),
            name=row.actor_name,
            address=row.address,
            request_id=row.request_id,
        ),
        act=Act(
            action=AuditAction(row.action),
            subject_id=row.subject_id,
            before=row.before,
            after=row.after,
        ),
    )
