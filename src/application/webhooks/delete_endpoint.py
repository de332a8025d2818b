"""Delete a webhook endpoint."""

from dataclasses import dataclass

from application.ports.persistence import UnitOfWork
from application.webhooks.read_endpoints import owned_endpoint
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.shared.ids import UserId, WebhookEndpointId


@dataclass(frozen=True, slots=True)
class DeleteEndpoint:
    """Deletes. An attempt that is under way may still arrive."""

    uow: UnitOfWork

    async def __call__(
        self, user_id: UserId, endpoint_id: WebhookEndpointId, *, origin: Origin
    ) -> None:
        """Remove the endpoint with its secret, its deliveries and their attempts.

        Raises:
            NotFound: no such endpoint, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            endpoint = await owned_endpoint(tx, endpoint_id)
            await tx.webhooks.delete(endpoint_id)
            await tx.audit.record(
                origin, acted(AuditAction.ENDPOINT_DELETED, endpoint_id, before=endpoint)
            )
