"""Make one attempt to deliver an event, and write down what came of it.

The attempt's outcome is written after the request, so a worker that dies in between leaves a
delivery whose lease runs out: it is sent again, with the same ``webhook-id``.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from application.failpoints import Failpoint, reach
from application.ports.clock import Clock
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.security import SecretBox, SecretUnreadable
from application.ports.webhooks import (
    DeliveryClaim,
    Verdict,
    WebhookAnswer,
    WebhookMetrics,
    WebhookRequest,
    WebhookSender,
)
from application.webhooks.edit_endpoint import SWITCHED_OFF
from application.webhooks.endpoint_secrets import opened
from domain.webhooks.delivery import EXCERPT_LENGTH, Attempt, DeliveryState
from domain.webhooks.endpoint import DisabledReason, WebhookEndpoint
from domain.webhooks.event import DISABLED, TEST
from domain.webhooks.schedule import MAX_ATTEMPTS, gives_up, wait_seconds
from domain.webhooks.signature import signed_headers

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    endpoint: WebhookEndpoint
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class AttemptDelivery:
    """Sends what was claimed. No transaction is open meanwhile."""

    uow: UnitOfWork
    box: SecretBox
    sender: WebhookSender
    clock: Clock
    metrics: WebhookMetrics
    chance: Callable[[], float] = random.random

    async def __call__(self, claim: DeliveryClaim) -> None:
        """Send once and move the delivery on.

        Raises:
            DatabaseUnavailable: nothing was sent, or what came of it could not be written;
                the lease runs out and it is sent again.
        """
        parcel = await self._parcel(claim)
        if parcel is None:
            return
        at, began = self.clock.now(), time.perf_counter()
        if claim.attempt > MAX_ATTEMPTS:
            answer = WebhookAnswer(error="worker_lost")
        else:
            answer = await self._sent(parcel, claim)
        attempt = Attempt(
            number=claim.fence,
            at=at,
            duration_ms=round(1000 * (time.perf_counter() - began)),
            status=answer.status,
            error=_error(answer),
            excerpt=answer.excerpt[:EXCERPT_LENGTH].replace("\x00", "\ufffd"),
            address=answer.address,
        )
        await self._settle(claim, parcel, answer, attempt)

    async def _parcel(self, claim: DeliveryClaim) -> _Parcel | None:
        async with self.uow.begin(claim.user_id) as tx:
            endpoint = await tx.webhooks.get(claim.endpoint_id)
            delivery = await tx.webhooks.delivery(claim.endpoint_id, claim.event_id)
            body = await tx.webhooks.body(claim.event_id)
        if endpoint is None or delivery is None or body is None:
            return None  # deleted since the claim
        return _Parcel(endpoint=endpoint, type=delivery.type, body=body)

    async def _sent(self, parcel: _Parcel, claim: DeliveryClaim) -> WebhookAnswer:
        endpoint, now = parcel.endpoint, self.clock.now()
        try:
            secrets = [opened(self.box, endpoint.id, each) for each in endpoint.secrets_at(now)]
        except SecretUnreadable as reason:
            # Ours to mend, and until then nothing may go out unsigned.
            log.error("webhook secret unreadable", endpoint_id=str(endpoint.id), reason=str(reason))
            return WebhookAnswer(error="secret_unreadable")
        reach(Failpoint.WEBHOOK_BEFORE_SEND)
        answer = await self.sender.send(
            WebhookRequest(
                url=endpoint.url,
                headers=signed_headers(secrets, claim.event_id, now, parcel.body),
                body=parcel.body,
            )
        )
        reach(Failpoint.WEBHOOK_AFTER_SEND)
        return answer

    async def _settle(
        self, claim: DeliveryClaim, parcel: _Parcel, answer: WebhookAnswer, attempt: Attempt
    ) -> None:
        verdict = self._verdict(claim, parcel, answer)
        disabled = DisabledReason.NONE
        async with self.uow.begin(claim.user_id) as tx:
            # The endpoint first, as everywhere: whoever edits it locks it before deliveries.
            if claim.troubled or verdict.state is not _DELIVERED:
                await tx.webhooks.get(claim.endpoint_id, lock=True)
            if not await tx.webhooks.record(claim, attempt, verdict):
                log.info("webhook attempt outdated", event_id=str(claim.event_id))
                return
            if verdict.state is _DELIVERED:
                if claim.troubled:
                    await tx.webhooks.succeeded(claim.endpoint_id)
            else:
                disabled = await self._consequence(tx, claim, parcel, answer, verdict)
        self.metrics.attempted(attempt.error or "delivered")
        if disabled is not DisabledReason.NONE:
            self.metrics.endpoint_disabled(disabled.value)
            log.warning(
                "webhook endpoint disabled",
                endpoint_id=str(claim.endpoint_id),
                user_id=str(claim.user_id),
                reason=disabled.value,
            )
        log.info(
            "webhook attempted",
            endpoint_id=str(claim.endpoint_id),
            event_id=str(claim.event_id),
            type=parcel.type,
            attempt=claim.attempt,
            status=answer.status,
            error=attempt.error,
            duration_ms=attempt.duration_ms,
        )

    def _verdict(self, claim: DeliveryClaim, parcel: _Parcel, answer: WebhookAnswer) -> Verdict:
        if not _error(answer):
            return Verdict(state=_DELIVERED)
        if answer.status == HTTPStatus.GONE or parcel.type == TEST:
            return Verdict(state=DeliveryState.FAILED)
        wait = wait_seconds(claim.attempt, self.chance(), answer.retry_after)
        if wait is None:
            return Verdict(state=DeliveryState.FAILED)
        return Verdict(state=DeliveryState.PENDING, wait_seconds=wait)

    async def _consequence(
        self,
        tx: Transaction,
        claim: DeliveryClaim,
        parcel: _Parcel,
        answer: WebhookAnswer,
        verdict: Verdict,
    ) -> DisabledReason:
        """What a failure means for the endpoint: why it was switched off just now, if it was."""
        reason = DisabledReason.NONE
        if answer.status == HTTPStatus.GONE:
            reason = DisabledReason.GONE
        elif parcel.type != TEST and answer.error not in _OURS:
            for_good = verdict.state is DeliveryState.FAILED
            health = await tx.webhooks.failed(claim.endpoint_id, for_good=for_good)
            if gives_up(health.failing_since, health.failed_events, health.now):
                reason = DisabledReason.FAILING
        endpoint = await tx.webhooks.get(claim.endpoint_id, lock=True)
        if reason is DisabledReason.NONE or endpoint is None or not endpoint.enabled:
            return DisabledReason.NONE
        await tx.webhooks.save(endpoint.switched(reason, self.clock.now()))
        await tx.webhooks.abandon(claim.endpoint_id, SWITCHED_OFF)
        # Written after the switch, so that it goes to the others alone.
        notice = {"endpoint_id": str(endpoint.id), "url": endpoint.url, "reason": reason.value}
        await tx.webhooks.emit(DISABLED, notice)
        return reason


_DELIVERED = DeliveryState.DELIVERED
_OURS = frozenset({"secret_unreadable", "worker_lost"})
"""Failures that say nothing about the endpoint."""


def _error(answer: WebhookAnswer) -> str:
    """Empty for 2xx, else the code of what failed; a redirect is a failure too."""
    if answer.error:
        return answer.error
    if answer.status is not None and 200 <= answer.status < 300:
        return ""
    return f"http_{answer.status}"
