"""Refunds and chargebacks: asked for, carried out by the gateway, and taken note of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from application.billing.fulfilment import Fulfilment
from application.billing.payment_book import give_back
from application.failpoints import Failpoint, reach
from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.metrics import PaymentMetrics
from application.ports.payment_gateway import (
    DisputeStatus,
    GatewayDispute,
    GatewayRefund,
    GatewayRefused,
    GatewayUnavailable,
    PaymentGateway,
    PaymentsNotConfigured,
    RefundRequest,
)
from application.ports.persistence import Transaction, UnitOfWork
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.orders import Order, OrderPurpose
from domain.billing.payments import (
    Payment,
    PaymentMismatch,
    Refund,
    TransactionKind,
    TransactionStatus,
)
from domain.shared.errors import Conflict, NotFound
from domain.shared.ids import TransactionId, UserId

log = structlog.get_logger(__name__)

_ENDED = (TransactionStatus.PROCESSED, TransactionStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder:
    """Which payment to give back, how much of it (None is all that is left), and why."""

    user_id: UserId
    payment_id: TransactionId
    amount_paise: int | None
    reason: str
    origin: Origin
    requested_by: UserId | None = None
    once: Completion[Refund] | None = None


@dataclass(frozen=True, slots=True)
class RefundDesk:
    """Gives money back. What it had bought is taken back once the gateway has the refund."""

    uow: UnitOfWork
    gateway: PaymentGateway
    fulfilments: Mapping[OrderPurpose, Fulfilment]
    clock: Clock
    ids: IdMaker
    metrics: PaymentMetrics

    async def request(self, command: RefundOrder) -> Refund:
        """Keep a refund, then ask the gateway for it.

        When the gateway does not answer, the refund stays requested, and is asked for again.
        The reply to a keyed request is kept with the refund, as requested, and amended with
        what the gateway answered: whoever dies in between leaves both, and a repeat finds them.

        Raises:
            NotFound: the person has no such payment.
            InvalidValue: the amount is not positive.
            NothingToRefund: more is asked back than is left.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(command.user_id) as tx:
            _, payment = await _locked(tx, command.payment_id)
            new = self._new(
                payment,
                amount_paise=payment.asked_back(command.amount_paise),
                reason=command.reason,
            )
            refund = replace(new, requested_by=command.requested_by)
            await give_back(tx, payment, refund)
            await tx.audit.record(
                command.origin, acted(AuditAction.REFUND_REQUESTED, refund.id, after=refund)
            )
            if command.once is not None:
                await command.once.store(tx.idempotency, refund)
        reach(Failpoint.REFUND_KEPT)
        return await self.carry_out(refund, command.once)

    async def carry_out(self, refund: Refund, once: Completion[Refund] | None = None) -> Refund:
        """Ask the gateway for a refund that is kept. Safe to repeat.

        Returns the refund as it stands after the answer, unchanged if there was none. ``once``
        is amended in the transaction that keeps the answer.
        """
        request = RefundRequest(
            key=_gateway_key(refund),
            gateway_payment_id=refund.gateway_payment_id,
            amount_paise=refund.amount_paise,
            reason=refund.reason,
            currency=refund.currency,
        )
        try:
            seen = await self.gateway.refund(request)
        except (GatewayUnavailable, PaymentsNotConfigured) as error:
            log.warning("refund not asked for", refund_id=str(refund.id), error=error.message)
            return refund
        except GatewayRefused as refusal:
            return await self._refused(refund, refusal.message, once)
        reach(Failpoint.REFUND_ANSWERED)
        try:
            return await self.record(refund.user_id, refund.payment_id, seen, once)
        except PaymentMismatch as mismatch:
            # It is kept as requested, and looked at by somebody.
            log.error("refund answered otherwise", refund_id=str(refund.id), error=mismatch.message)
            return refund

    async def retry(self, user_id: UserId, refund_id: TransactionId, *, origin: Origin) -> Refund:
        """Ask for a failed refund anew. What it took back is not taken back twice.

        Raises:
            NotFound: there is no such refund.
            Conflict: it has not failed.
        """
        async with self.uow.begin(user_id) as tx:
            found = await tx.payments.refund(refund_id)
            if found is None:
                raise NotFound("refund", refund_id)
            _, payment = await _locked(tx, found.payment_id)
            refund = await tx.payments.refund(refund_id)
            if refund is None or refund.status is not TransactionStatus.FAILED:
                raise Conflict("Only a failed refund can be tried again.")
            failed = refund
            refund = replace(
                refund,
                status=TransactionStatus.REQUESTED,
                attempt=refund.attempt + 1,
                gateway_refund_id="",
                error="",
            )
            if refund.reversed_at is None:
                await give_back(tx, payment, refund)
            else:
                await tx.payments.put_refund(refund)
            await tx.audit.record(
                origin, acted(AuditAction.REFUND_RETRIED, refund.id, before=failed, after=refund)
            )
        return await self.carry_out(refund)

    async def record(
        self,
        user_id: UserId,
        payment_id: TransactionId,
        seen: GatewayRefund,
        once: Completion[Refund] | None = None,
    ) -> Refund:
        """Take note of a refund as the gateway showed it; one it made unasked is kept too.

        Raises:
            NotFound: the person has no such payment.
            PaymentMismatch: it is in another currency than the payment, or of another amount
                than was asked for. Nothing was kept.
        """
        try:
            async with self.uow.begin(user_id) as tx:
                refund = await self._recorded(tx, payment_id, seen)
                if once is not None:
                    await once.amend(tx.idempotency, refund)
                return refund
        except PaymentMismatch as mismatch:
            self.metrics.alert("refund_mismatch")
            log.error("refund does not match", refund_id=seen.id, error=mismatch.message)
            raise

    async def _recorded(
        self, tx: Transaction, payment_id: TransactionId, seen: GatewayRefund
    ) -> Refund:
        order, payment = await _locked(tx, payment_id)
        payment.check_currency(seen.currency)
        known = _matching(await tx.payments.refunds_of(payment_id), seen)
        if known is None:
            if seen.status is TransactionStatus.FAILED:
                raise NotFound("refund", seen.id)
            known = self._new(
                payment, amount_paise=seen.amount_paise, reason="Made at the gateway."
            )
            await give_back(tx, payment, known)
        known.check_amount(seen.amount_paise)
        if known.status in _ENDED:
            if seen.status in _ENDED and seen.status is not known.status:
                self._alert("refund_contradicted", known)
            return known
        refund = replace(known, status=seen.status, gateway_refund_id=seen.id)
        if refund.status is TransactionStatus.FAILED:
            refund = replace(refund, error="The gateway could not carry it out.")
            await _free(tx, payment, refund)
            self._alert("refund_failed", refund)
        if refund == known:
            return known
        return await self._keep(tx, order, payment, refund)

    async def note_dispute(
        self, user_id: UserId, payment_id: TransactionId, seen: GatewayDispute
    ) -> None:
        """Take note of a payer's complaint; one that was lost takes back what was bought.

        Raises:
            NotFound: the person has no such payment.
            PaymentMismatch: it is in another currency than the payment. Nothing was kept.
        """
        async with self.uow.begin(user_id) as tx:
            order, payment = await _locked(tx, payment_id)
            payment.check_currency(seen.currency)
            if not await tx.payments.note_dispute(payment, seen):
                return
            self.metrics.alert(f"dispute_{seen.status}")
            log.warning("dispute", payment_id=payment.gateway_payment_id, status=seen.status.value)
            taken = min(seen.deducted_paise or seen.amount_paise, payment.refundable_paise)
            if seen.status is not DisputeStatus.LOST or taken == 0:
                return
            chargeback = replace(
                self._new(payment, amount_paise=taken, reason=seen.reason or "Charged back."),
                kind=TransactionKind.CHARGEBACK,
                status=TransactionStatus.PROCESSED,
                gateway_refund_id=seen.id,
            )
            await give_back(tx, payment, chargeback)
            await self._keep(tx, order, payment, chargeback)

    async def _keep(
        self, tx: Transaction, order: Order, payment: Payment, refund: Refund
    ) -> Refund:
        """Write it back; the first time that the money is on its way, reverse what it bought."""
        on_its_way = refund.status in (TransactionStatus.PENDING, TransactionStatus.PROCESSED)
        if not on_its_way or refund.reversed_at is not None:
            await tx.payments.put_refund(refund)
            return refund
        reversed_ = replace(refund, reversed_at=self.clock.now())
        await tx.payments.put_refund(reversed_)
        # Surplus money had bought nothing.
        if order.paid_with == payment.id:
            await self.fulfilments[order.purpose].reverse(tx, order, reversed_)
        return reversed_

    async def _refused(self, refund: Refund, why: str, once: Completion[Refund] | None) -> Refund:
        async with self.uow.begin(refund.user_id) as tx:
            _, payment = await _locked(tx, refund.payment_id)
            known = await tx.payments.refund(refund.id)
            if known is None or known.status is not TransactionStatus.REQUESTED:
                return known or refund
            failed = replace(known, status=TransactionStatus.FAILED, error=why)
            await tx.payments.put_refund(failed)
            await _free(tx, payment, failed)
            if once is not None:
                await once.amend(tx.idempotency, failed)
        self._alert("refund_failed", failed)
        return failed

    def _new(self, payment: Payment, *, amount_paise: int, reason: str) -> Refund:
        return payment.give_back(
            TransactionId(self.ids.new()), amount_paise, reason, self.clock.now()
        )

    def _alert(self, kind: str, refund: Refund) -> None:
        self.metrics.alert(kind)
        log.error(kind, refund_id=str(refund.id), payment_id=refund.gateway_payment_id)


async def _locked(tx: Transaction, payment_id: TransactionId) -> tuple[Order, Payment]:
    """The payment and its order, locked: whoever changes either takes this lock first."""
    named = await tx.payments.get(payment_id)
    order = None if named is None else await tx.orders.get(named.order_id, lock=True)
    payment = await tx.payments.get(payment_id)
    if order is None or payment is None:
        raise NotFound("payment", payment_id)
    return order, payment


async def _free(tx: Transaction, payment: Payment, failed: Refund) -> None:
    """Let the amount be given back otherwise. Not where it has taken back what it bought: then
    it is still owed, and is to be tried again."""
    if failed.reversed_at is None:
        left = payment.refunded_paise - failed.amount_paise
        await tx.payments.put(replace(payment, refunded_paise=left))


def _matching(refunds: Sequence[Refund], seen: GatewayRefund) -> Refund | None:
    for refund in refunds:
        if seen.id == refund.gateway_refund_id or (seen.key and seen.key == _gateway_key(refund)):
            return refund
    return None


def _gateway_key(refund: Refund) -> str:
    return f"{refund.id}-{refund.attempt}"
