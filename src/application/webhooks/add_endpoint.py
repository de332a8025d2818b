"""Add a webhook endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from application.ports.security import SecretBox
from application.webhooks.endpoint_secrets import new_secret
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.shared.ids import UserId, WebhookEndpointId
from domain.webhooks.destination import DestinationRules
from domain.webhooks.endpoint import (
    MAX_ENDPOINTS,
    DisabledReason,
    TooManyEndpoints,
    WebhookEndpoint,
    check_description,
)
from domain.webhooks.event import check_filters
from domain.webhooks.signature import secret_text


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointWithSecret:
    """An endpoint with its new secret, in the form its owner keeps. Shown this once."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """Where to send what; no ``events`` are all events."""

    user_id: UserId
    origin: Origin
    url: str
    events: Sequence[str] = ()
    description: str = ""
    once: Completion[EndpointWithSecret] | None = None


@dataclass(frozen=True, slots=True)
class AddEndpoint:
    """Adds. What happens from then on is sent."""

    uow: UnitOfWork
    box: SecretBox
    rules: DestinationRules
    clock: Clock
    ids: IdMaker

    async def __call__(self, command: NewEndpoint) -> EndpointWithSecret:
        """Keep the endpoint, with a secret of its own.

        Raises:
            InvalidValue: URL, events or description do not fit.
            TooManyEndpoints: there are as many as one may have.
            KeyClaimLost: another request with the same key came first.
        """
        id_, now = WebhookEndpointId(self.ids.new()), self.clock.now()
        secret, sealed = new_secret(self.box, id_)
        endpoint = WebhookEndpoint(
            id=id_,
            user_id=command.user_id,
            url=self.rules.check(command.url),
            description=check_description(command.description),
            events=check_filters(command.events),
            disabled_reason=DisabledReason.NONE,
            disabled_at=None,
            secret=sealed,
            previous_secret=None,
            previous_until=None,
            failing_since=None,
            failed_events=0,
            created_at=now,
            updated_at=now,
        )
        added = EndpointWithSecret(endpoint=endpoint, secret=secret_text(secret))
        async with self.uow.begin(command.user_id) as tx:
            if await tx.webhooks.count() >= MAX_ENDPOINTS:
                raise TooManyEndpoints(
                    f"You have {MAX_ENDPOINTS} webhook endpoints, as many as one may have. Delete "
                    "one first.",
                    limit=MAX_ENDPOINTS,
                )
            await tx.webhooks.add(endpoint)
            await tx.audit.record(
                command.origin,
                acted(AuditAction.ENDPOINT_ADDED, endpoint.id, after=endpoint),
            )
            if command.once is not None:
                await command.once.store(tx.idempotency, added)
        return added
