"""The gateway's events: kept first, acted on afterwards, and nothing of them lost."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from application.billing.payment_book import PaymentBook
from application.billing.refund_desk import RefundDesk
from application.failpoints import Failpoint, reach
from application.ports.clock import IdMaker
from application.ports.metrics import PaymentMetrics
from application.ports.payment_gateway import (
    EventUnreadable,
    GatewayEvent,
    GatewayUnavailable,
    PaymentGateway,
)
from application.ports.payments import Owned, PaymentSchedule, Webhook, WebhookInbox, WebhookWork
from application.ports.persistence import DatabaseUnavailable
from domain.billing.payments import PaymentMismatch
from domain.shared.errors import InvalidValue
from domain.shared.ids import OrderId, TransactionId

log = structlog.get_logger(__name__)

MAX_EVENT_BYTES = 64 * 1024
"""Far above any event; a body beyond it is not one."""

BATCH = 50
LEASE_SECONDS = 30.0
"""How long an event belongs to whoever took it up. If they die, it comes again after it."""

AT_ONCE = 6
"""Events acted on at a time. One that waits for a gateway that hangs is not to keep those
behind it, whose money has come, from theirs."""

MAX_ATTEMPTS = 11
"""How often an event may break whoever takes it up, over about half an hour."""

_LONGEST_WAIT_SECONDS = 600.0

KEEP = timedelta(days=180)
"""How long an event can be looked into after it was acted on. A repeat that comes after that
changes nothing: what it would book goes by the payment's id."""

FORGET_BATCH = 500


@dataclass(frozen=True, slots=True)
class ReceiveWebhook:
    """Keeps an event whose signature holds. Nothing else, so that the answer is quick."""

    gateway: PaymentGateway
    inbox: WebhookInbox
    ids: IdMaker

    async def __call__(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep the event; False when a repeat of it was kept before. ``headers``: lower case.

        Raises:
            SignatureInvalid: the gateway did not sign this.
            InvalidValue: the body is too large to be an event.
            DatabaseUnavailable: it was not kept; the gateway must send it again.
        """
        if len(body) > MAX_EVENT_BYTES:
            raise InvalidValue("body", f"An event has at most {MAX_EVENT_BYTES} bytes.")
        event = self.gateway.check_event(headers, body)
        return await self.inbox.keep(self.ids.new(), self.gateway.name, event.id, event.body)


class _NotOurs(Exception):
    """The event is about an order or payment that nobody here has, or not yet."""


@dataclass(frozen=True, slots=True)
class ProcessWebhooks:
    """Acts on kept events. Many may do so at once; an event acted on twice changes nothing."""

    gateway: PaymentGateway
    work: WebhookWork
    schedule: PaymentSchedule
    book: PaymentBook
    refunds: RefundDesk
    metrics: PaymentMetrics

    async def __call__(self) -> int:
        """Act on a batch of due events; returns how many there were.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        taken = await self.work.take(BATCH, LEASE_SECONDS)
        free = asyncio.Semaphore(AT_ONCE)

        async def in_turn(webhook: Webhook) -> None:
            async with free:
                reach(Failpoint.EVENT_TAKEN)
                await self._act_on(webhook)

        ended = await asyncio.gather(*map(in_turn, taken), return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error
        return len(taken)

    async def _act_on(self, webhook: Webhook) -> None:
        try:
            await self._understand(webhook)
        except (GatewayUnavailable, DatabaseUnavailable) as away:
            # Nothing is wrong with the event: it waits, however long that takes.
            await self.work.defer(webhook.id, _wait(webhook.attempts), away.message)
        except (EventUnreadable, PaymentMismatch) as poison:
            await self._set_aside(webhook, str(poison))
        except Exception as error:  # one event must not stand in others' way
            if webhook.attempts >= MAX_ATTEMPTS:
                await self._set_aside(webhook, f"{type(error).__name__}: {error}")
            else:
                log.warning("event put off", event_id=webhook.event_id, exc_info=error)
                why = f"{type(error).__name__}: {error}"
                await self.work.defer(webhook.id, _wait(webhook.attempts), why)
        else:
            reach(Failpoint.EVENT_ACTED_ON)
            await self.work.done(webhook.id)

    async def _understand(self, webhook: Webhook) -> None:
        if webhook.gateway != self.gateway.name:
            raise EventUnreadable(f"It is of the gateway {webhook.gateway}, which is not in use.")
        event = self.gateway.read_event(webhook.body)
        await self._payment(event)
        if event.refund is not None:
            owned = await self._payer(event.refund.gateway_payment_id)
            await self.refunds.record(owned.user_id, TransactionId(owned.id), event.refund)
        if event.dispute is not None:
            owned = await self._payer(event.dispute.gateway_payment_id)
            await self.refunds.note_dispute(owned.user_id, TransactionId(owned.id), event.dispute)

    async def _payment(self, event: GatewayEvent) -> None:
        seen = event.payment
        # Without an order it is no payment of ours: the account may be shared with others.
        if seen is None or not seen.gateway_order_id:
            return
        owned = await self.schedule.owner_of_order(seen.gateway_order_id)
        if owned is None:
            raise _NotOurs(f"no order is known as {seen.gateway_order_id}")
        await self.book.observe(owned.user_id, OrderId(owned.id), seen)

    async def _payer(self, gateway_payment_id: str) -> Owned:
        owned = await self.schedule.owner_of_payment(gateway_payment_id)
        if owned is None:
            raise _NotOurs(f"no payment is known as {gateway_payment_id}")
        return owned

    async def _set_aside(self, webhook: Webhook, why: str) -> None:
        self.metrics.alert("event_set_aside")
        log.error("event set aside", event_id=webhook.event_id, webhook_id=str(webhook.id), why=why)
        await self.work.set_aside(webhook.id, why)


def _wait(attempts: int) -> float:
    """Seconds until the next try: doubled each time, ten minutes at most."""
    return min(2.0 ** min(attempts, 20), _LONGEST_WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class ForgetGatewayEvents:
    """Deletes a batch of events past their time. What was set aside stays."""

    work: WebhookWork

    async def __call__(self) -> int:
        """Delete some; how many.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        return await self.work.forget(KEEP.total_seconds(), FORGET_BATCH)
