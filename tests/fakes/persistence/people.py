"""People and adjustments, in memory."""

from collections.abc import Sequence

from application.ports.paging import Page
from application.ports.people import (
    AdjustmentOversight,
    AdjustmentRepository,
    PeopleOversight,
    PeopleQuery,
    PersonSummary,
)
from domain.billing.adjustment import Adjustment, AdjustmentStatus
from domain.identity.user import User
from domain.shared.ids import AdjustmentId, UserId
from tests.fakes.persistence.database import InMemoryDatabase, Session


class InMemoryAdjustments(AdjustmentRepository):
    """Those of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, adjustment: Adjustment) -> None:
        self._session.require_own(adjustment.user_id)
        self._session.tables.adjustments[adjustment.id] = adjustment

    async def get(self, adjustment_id: AdjustmentId) -> Adjustment | None:
        found = self._session.tables.adjustments.get(adjustment_id)
        return found if found and found.user_id == self._session.tenant else None

    async def decide(self, adjustment: Adjustment) -> None:
        if await self.get(adjustment.id) is not None:
            self._session.tables.adjustments[adjustment.id] = adjustment


class InMemoryPeopleOversight(PeopleOversight, AdjustmentOversight):
    """Reads the rows of every person."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def people(self, query: PeopleQuery) -> Sequence[PersonSummary]:
        words = query.search.lower()
        found = [
            user
            for user in self._database.tables.users.values()
            if (query.page.after is None or user.id < query.page.after)
            and query.role in (None, user.role)
            and query.is_active in (None, user.is_active)
            and (words in user.email or words in user.name.lower())
        ]
        found.sort(key=lambda user: user.id, reverse=True)
        return [_summary(user) for user in found[: query.page.limit]]

    async def person(self, user_id: UserId) -> PersonSummary | None:
        user = self._database.tables.users.get(user_id)
        return _summary(user) if user else None

    async def adjustments(
        self, page: Page, status: AdjustmentStatus | None
    ) -> Sequence[Adjustment]:
        found = [
            each
            for each in self._database.tables.adjustments.values()
            if (page.after is None or each.id < page.after) and status in (None, each.status)
        ]
        return sorted(found, key=lambda each: each.id, reverse=True)[: page.limit]

    async def adjustment(self, adjustment_id: AdjustmentId) -> Adjustment | None:
        return self._database.tables.adjustments.get(adjustment_id)


def _summary(user: User) -> PersonSummary:
    return PersonSummary(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        is_active=user.is_active,
        created_at=user.created_at,
    )
