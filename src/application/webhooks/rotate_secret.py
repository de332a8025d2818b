"""Give a webhook endpoint a new secret."""

from dataclasses import dataclass

from application.ports.clock import Clock
from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from application.ports.security import SecretBox
from application.webhooks.add_endpoint import EndpointWithSecret
from application.webhooks.endpoint_secrets import new_secret
from application.webhooks.read_endpoints import owned_endpoint
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.shared.ids import UserId, WebhookEndpointId
from domain.webhooks.endpoint import overlap_of
from domain.webhooks.signature import secret_text


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRotation:
    """Which endpoint; for ``overlap_seconds`` both secrets sign."""

    user_id: UserId
    origin: Origin
    endpoint_id: WebhookEndpointId
    overlap_seconds: int
    once: Completion[EndpointWithSecret] | None = None


@dataclass(frozen=True, slots=True)
class RotateSecret:
    """Rotates. Every attempt of the overlap carries both signatures, the new one first."""

    uow: UnitOfWork
    box: SecretBox
    clock: Clock

    async def __call__(self, command: SecretRotation) -> EndpointWithSecret:
        """Keep the new secret, and the one before until the overlap ends.

        A rotation during an overlap ends that of the one before.

        Raises:
            NotFound: no such endpoint, or another person's.
            InvalidValue: the overlap is out of range.
            KeyClaimLost: another request with the same key came first.
        """
        secret, sealed = new_secret(self.box, command.endpoint_id)
        overlap = overlap_of(command.overlap_seconds)
        async with self.uow.begin(command.user_id) as tx:
            endpoint = await owned_endpoint(tx, command.endpoint_id, lock=True)
            rotated = EndpointWithSecret(
                endpoint=endpoint.rotated(sealed, overlap, self.clock.now()),
                secret=secret_text(secret),
            )
            await tx.webhooks.save(rotated.endpoint)
            await tx.audit.record(
                command.origin,
                acted(
                    AuditAction.ENDPOINT_SECRET_ROTATED,
                    endpoint.id,
                    before=endpoint,
                    after=rotated.endpoint,
                ),
            )
            if command.once is not None:
                await command.once.store(tx.idempotency, rotated)
        return rotated
