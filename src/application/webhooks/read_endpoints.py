"""List and show webhook endpoints."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.paging import Page
from application.ports.persistence import Transaction, UnitOfWork
from domain.shared.errors import NotFound
from domain.shared.ids import UserId, WebhookEndpointId
from domain.webhooks.endpoint import EndpointDisabled, WebhookEndpoint


@dataclass(frozen=True, slots=True)
class ListEndpoints:
    """Lists endpoints, newest first, one page at a time."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, page: Page) -> Sequence[WebhookEndpoint]:
        """The page's endpoints."""
        async with self.uow.begin(user_id) as tx:
            return await tx.webhooks.page(page)


@dataclass(frozen=True, slots=True)
class ShowEndpoint:
    """Reads one endpoint."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, endpoint_id: WebhookEndpointId) -> WebhookEndpoint:
        """The endpoint.

        Raises:
            NotFound: no such endpoint, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            return await owned_endpoint(tx, endpoint_id)


async def owned_endpoint(
    tx: Transaction, endpoint_id: WebhookEndpointId, *, lock: bool = False, on: bool = False
) -> WebhookEndpoint:
    """The transaction's person's endpoint; ``on``: one that something may be sent to.

    Raises:
        NotFound: no such endpoint, or another person's: the two look the same.
        EndpointDisabled: it is switched off.
    """
    endpoint = await tx.webhooks.get(endpoint_id, lock=lock)
    if endpoint is None:
        raise NotFound("webhook endpoint", endpoint_id)
    if on and not endpoint.enabled:
        raise EndpointDisabled(
            "The endpoint is switched off. Switch it on (enabled: true), then repeat.",
            reason=endpoint.disabled_reason.value,
        )
    return endpoint
