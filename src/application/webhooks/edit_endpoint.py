"""Change a webhook endpoint, or switch it on or off."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from application.ports.clock import Clock
from application.ports.persistence import UnitOfWork
from application.webhooks.read_endpoints import owned_endpoint
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.shared.ids import UserId, WebhookEndpointId
from domain.webhooks.destination import DestinationRules
from domain.webhooks.endpoint import DisabledReason, WebhookEndpoint, check_description
from domain.webhooks.event import check_filters

SWITCHED_OFF = "endpoint_disabled"
"""The error of deliveries that were pending when their endpoint was switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointEdit:
    """The new values; None leaves one as it is."""

    user_id: UserId
    origin: Origin
    endpoint_id: WebhookEndpointId
    url: str | None = None
    events: Sequence[str] | None = None
    description: str | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class EditEndpoint:
    """Edits. Pending deliveries go to the new URL; switching off ends them as failed."""

    uow: UnitOfWork
    rules: DestinationRules
    clock: Clock

    async def __call__(self, command: EndpointEdit) -> WebhookEndpoint:
        """Write the change. Switching on forgets the failures of before.

        Raises:
            NotFound: no such endpoint, or another person's.
            InvalidValue: a value does not fit.
        """
        now = self.clock.now()
        async with self.uow.begin(command.user_id) as tx:
            before = endpoint = await owned_endpoint(tx, command.endpoint_id, lock=True)
            if command.url is not None:
                endpoint = replace(endpoint, url=self.rules.check(command.url), updated_at=now)
            if command.events is not None:
                events = check_filters(command.events)
                endpoint = replace(endpoint, events=events, updated_at=now)
            if command.description is not None:
                description = check_description(command.description)
                endpoint = replace(endpoint, description=description, updated_at=now)
            if command.enabled is True and not endpoint.enabled:
                endpoint = endpoint.switched(DisabledReason.NONE, now)
            if command.enabled is False and endpoint.enabled:
                endpoint = endpoint.switched(DisabledReason.OWNER, now)
                await tx.webhooks.abandon(endpoint.id, SWITCHED_OFF)
            await tx.webhooks.save(endpoint)
            await tx.audit.record(
                command.origin,
                acted(AuditAction.ENDPOINT_EDITED, endpoint.id, before=before, after=endpoint),
            )
        return endpoint
