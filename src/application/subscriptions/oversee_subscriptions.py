"""What an operator sees of everybody's subscriptions."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from application.ports.subscriptions import Notice, SubscriptionSchedule, SubscriptionSummary
from domain.billing.subscriptions.subscription import SubscriptionStatus
from domain.shared.errors import NotFound
from domain.shared.ids import SubscriptionId, UserId

LAST_NOTICES = 50


@dataclass(frozen=True, slots=True)
class OverseeSubscriptions:
    """Reads anybody's. Only the row is read past its owner; the history as them."""

    schedule: SubscriptionSchedule
    uow: UnitOfWork

    async def page(
        self, status: SubscriptionStatus | None, page: Page, user_id: UserId | None = None
    ) -> Sequence[SubscriptionSummary]:
        """The page's subscriptions, of everybody or of one person, newest first."""
        return await self.schedule.page(status, limit=page.limit, after=page.after, user_id=user_id)

    async def show(
        self, subscription_id: SubscriptionId
    ) -> tuple[SubscriptionSummary, Sequence[Notice]]:
        """One, and the end of its history, newest first.

        Raises:
            NotFound: there is none with that id.
        """
        found = await self.schedule.find(subscription_id)
        if found is None:
            raise NotFound("subscription", subscription_id)
        async with self.uow.begin(found.user_id) as tx:
            history = await tx.notices.of_subscription(
                subscription_id, limit=LAST_NOTICES, after=None
            )
        return found, history
