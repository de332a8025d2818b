"""Have webhook deliveries made again."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from application.ports.clock import Clock
from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from application.webhooks.read_endpoints import owned_endpoint
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import UserId, WebhookEndpointId, WebhookEventId
from domain.shared.moments import given_moment
from domain.webhooks.delivery import Delivery

KEEP = timedelta(days=30)
"""How long events, and with them their deliveries, are kept."""

MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class ReplayDelivery:
    """Sends one event again, delivered or not, with the same ``webhook-id`` and body."""

    uow: UnitOfWork

    async def __call__(
        self,
        user_id: UserId,
        endpoint_id: WebhookEndpointId,
        event_id: WebhookEventId,
        *,
        once: Completion[Delivery] | None = None,
    ) -> Delivery:
        """Have the delivery begin anew, with all its attempts before it.

        Raises:
            NotFound: no such delivery, or another person's.
            EndpointDisabled: the endpoint is switched off.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(user_id) as tx:
            await owned_endpoint(tx, endpoint_id, lock=True, on=True)
            begun = await tx.webhooks.replay(endpoint_id, event_id)
            if begun is None:
                raise NotFound("webhook delivery", event_id)
            if once is not None:
                await once.store(tx.idempotency, begun)
        return begun


@dataclass(frozen=True, slots=True)
class ReplayFailed:
    """Sends again what failed since a moment, a bounded number at once, oldest first."""

    uow: UnitOfWork
    clock: Clock

    async def __call__(
        self,
        user_id: UserId,
        endpoint_id: WebhookEndpointId,
        since: datetime,
        *,
        once: Completion[int] | None = None,
    ) -> int:
        """Have failed deliveries of events since then begin anew; returns how many.

        Raises:
            NotFound: no such endpoint, or another person's.
            EndpointDisabled: it is switched off.
            InvalidValue: ``since`` has no offset from UTC, or lies in the future.
            KeyClaimLost: another request with the same key came first.
        """
        since = given_moment("since", since)
        if since > self.clock.now():
            raise InvalidValue("since", "Give a moment in the past, e.g. 2026-11-02T09:00:00Z.")
        async with self.uow.begin(user_id) as tx:
            await owned_endpoint(tx, endpoint_id, lock=True, on=True)
            begun = await tx.webhooks.replay_failed(endpoint_id, since, MOST_AT_ONCE)
            if once is not None:
                await once.store(tx.idempotency, begun)
        return begun
