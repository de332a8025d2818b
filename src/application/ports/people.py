"""What admins see of people, and of what they decide on together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from application.ports.paging import Page
from domain.billing.adjustment import Adjustment, AdjustmentStatus
from domain.identity.user import Role
from domain.shared.ids import AdjustmentId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSummary:
    """A person, as an admin sees them."""

    id: UserId
    email: str
    name: str
    role: Role
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleQuery:
    """Which people: with words in email or name, of a role, active or suspended."""

    page: Page
    search: str = ""
    role: Role | None = None
    is_active: bool | None = None


class PeopleOversight(Protocol):
    """Everybody, to be read only."""

    async def people(self, query: PeopleQuery) -> Sequence[PersonSummary]:
        """The page's people, newest first.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...

    async def person(self, user_id: UserId) -> PersonSummary | None:
        """Anybody, or None.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...


class AdjustmentRepository(Protocol):
    """The adjustments of the person's credits."""

    async def add(self, adjustment: Adjustment) -> None:
        """Keep a proposal."""
        ...

    async def get(self, adjustment_id: AdjustmentId) -> Adjustment | None:
        """The adjustment, locked until the commit, or None."""
        ...

    async def decide(self, adjustment: Adjustment) -> None:
        """Write a decision down. Nothing else of it can change."""
        ...


class AdjustmentOversight(Protocol):
    """Everybody's adjustments, to be read only."""

    async def adjustments(
        self, page: Page, status: AdjustmentStatus | None
    ) -> Sequence[Adjustment]:
        """The page's adjustments, newest first.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...

    async def adjustment(self, adjustment_id: AdjustmentId) -> Adjustment | None:
        """Anybody's, or None.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...
