"""List and show what was sent to a webhook endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.persistence import UnitOfWork
from application.ports.webhooks import DeliveryFilter
from application.webhooks.read_endpoints import owned_endpoint
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import UserId, WebhookEndpointId, WebhookEventId
from domain.webhooks.delivery import Attempt, Delivery
from domain.webhooks.event import EVENT_TYPES


@dataclass(frozen=True, slots=True)
class ListDeliveries:
    """Lists an endpoint's deliveries, newest event first, one page at a time."""

    uow: UnitOfWork

    async def __call__(
        self, user_id: UserId, endpoint_id: WebhookEndpointId, filter_: DeliveryFilter
    ) -> Sequence[Delivery]:
        """The page's deliveries.

        Raises:
            NotFound: no such endpoint, or another person's.
            InvalidValue: there is no such type of event.
        """
        if filter_.type and filter_.type not in EVENT_TYPES:
            raise InvalidValue("type", "Give one type of event, such as 'run.succeeded'.")
        async with self.uow.begin(user_id) as tx:
            await owned_endpoint(tx, endpoint_id)
            return await tx.webhooks.deliveries(endpoint_id, filter_)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """A delivery, the exact text that is sent, and the last attempts, newest first."""

    delivery: Delivery
    payload: str
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class ShowDelivery:
    """Reads one delivery with its attempts."""

    uow: UnitOfWork

    async def __call__(
        self, user_id: UserId, endpoint_id: WebhookEndpointId, event_id: WebhookEventId
    ) -> DeliveryRecord:
        """The delivery and what came of each attempt.

        Raises:
            NotFound: no such delivery, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            delivery = await tx.webhooks.delivery(endpoint_id, event_id)
            body = await tx.webhooks.body(event_id)
            if delivery is None or body is None:
                raise NotFound("webhook delivery", event_id)
            attempts = await tx.webhooks.attempts(endpoint_id, event_id)
        return DeliveryRecord(delivery=delivery, payload=body.decode(), attempts=attempts)
