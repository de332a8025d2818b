"""What is still to be deleted of those who left, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from application.ports.erasure import DueErasure, ErasureQueue, Erasures
from domain.shared.ids import UserId
from tests.fakes.persistence.database import ErasureRow, InMemoryDatabase, Session


class InMemoryErasures(Erasures):
    """What the session's person leaves."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self) -> None:
        now = self._session.now
        row = ErasureRow(asked_at=now, due_at=now)
        self._session.tables.erasures.setdefault(self._session.tenant, row)


class InMemoryErasureQueue(ErasureQueue):
    """Everybody's due rows."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def claim(self, limit: int, lease: timedelta) -> Sequence[DueErasure]:
        async with self._database.session(None) as session:
            rows = session.tables.erasures
            due = [user_id for user_id, row in rows.items() if row.due_at <= session.now]
            due.sort(key=lambda user_id: rows[user_id].due_at)
            claimed = []
            for user_id in due[:limit]:
                row = rows[user_id]
                rows[user_id] = replace(row, due_at=session.now + lease)
                claimed.append(
                    DueErasure(
                        user_id=user_id,
                        asked_for=session.now - row.asked_at,
                        attempts=row.attempts,
                    )
                )
            return claimed

    async def go_on(self, user_id: UserId, wait: timedelta) -> None:
        async with self._database.session(None) as session:
            rows = session.tables.erasures
            rows[user_id] = replace(rows[user_id], due_at=session.now + wait, attempts=0)

    async def put_off(self, user_id: UserId, wait: timedelta, error: str) -> None:
        async with self._database.session(None) as session:
            rows = session.tables.erasures
            row = rows[user_id]
            rows[user_id] = replace(row, due_at=session.now + wait, attempts=row.attempts + 1)

    async def done(self, user_id: UserId) -> None:
        async with self._database.session(None) as session:
            del session.tables.erasures[user_id]
