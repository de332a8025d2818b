"""Send a test event to a webhook endpoint."""

from dataclasses import dataclass

from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from application.ports.webhooks import DeliveryFilter
from application.webhooks.read_endpoints import owned_endpoint
from domain.shared.errors import Conflict, NotFound
from domain.shared.ids import UserId, WebhookEndpointId
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.event import TEST


class TestPending(Conflict):
    """The test before has no outcome yet."""

    __test__ = False  # not a test of ours, whatever its name begins with
    code = "webhook_test_pending"


@dataclass(frozen=True, slots=True)
class SendTest:
    """Sends ``webhook.test``, one at a time, and tries once only."""

    uow: UnitOfWork

    async def __call__(
        self,
        user_id: UserId,
        endpoint_id: WebhookEndpointId,
        *,
        once: Completion[Delivery] | None = None,
    ) -> Delivery:
        """Keep the event and its delivery; the delivery tells what came of it.

        Raises:
            NotFound: no such endpoint, or another person's.
            EndpointDisabled: it is switched off.
            TestPending: the test before is still on its way.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(user_id) as tx:
            await owned_endpoint(tx, endpoint_id, lock=True, on=True)
            pending = DeliveryFilter(limit=1, state=DeliveryState.PENDING, type=TEST)
            under_way = await tx.webhooks.deliveries(endpoint_id, pending)
            if under_way:
                raise TestPending(
                    "A test is on its way to this endpoint. Look at its delivery first.",
                    event_id=str(under_way[0].event_id),
                )
            said = {"endpoint_id": str(endpoint_id), "message": "A test, as you asked for."}
            event_id = await tx.webhooks.emit_to(endpoint_id, TEST, said)
            made = None
            if event_id is not None:
                made = await tx.webhooks.delivery(endpoint_id, event_id)
            if made is None:
                raise NotFound("webhook endpoint", endpoint_id)
            if once is not None:
                await once.store(tx.idempotency, made)
        return made
