"""The one place where what is seen of a payment becomes what is known of it.

The browser's reply, events in any order, and what the gateway says when it is asked all
lead here. Each sighting is held against the order and the payment as they are kept, under
the order's lock: the first that shows the money captured pays the order, and every other
changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from application.billing.fulfilment import Fulfilment
from application.ports.clock import Clock, IdMaker
from application.ports.metrics import PaymentMetrics
from application.ports.payment_gateway import GatewayPayment, GatewayRefused, PaymentGateway
from application.ports.persistence import Transaction, UnitOfWork
from domain.billing.coupons import CouponAlreadyUsed, CouponExhausted
from domain.billing.orders import Order, OrderPurpose, OrderStatus
from domain.billing.payments import (
    Payment,
    PaymentMismatch,
    Refund,
    TransactionStatus,
    check_amount,
)
from domain.shared.errors import NotFound
from domain.shared.ids import OrderId, TransactionId, UserId

log = structlog.get_logger(__name__)

SURPLUS = "The order had been paid already, or was no longer for sale."


@dataclass(frozen=True, slots=True)
class PaymentBook:
    """Keeps payments, pays orders with them, and has surplus money given back."""

    uow: UnitOfWork
    gateway: PaymentGateway
    fulfilments: Mapping[OrderPurpose, Fulfilment]
    clock: Clock
    ids: IdMaker
    metrics: PaymentMetrics

    async def observe(self, user_id: UserId, order_id: OrderId, seen: GatewayPayment) -> Order:
        """Take note of a payment as the gateway showed it; returns the order after it.

        What was only authorised is captured first, if the order still wants it.

        Raises:
            NotFound: the person has no such order.
            PaymentMismatch: the amount or the currency is not the order's. Nothing was kept.
            GatewayUnavailable: it could not be captured now.
            GatewayRefused: it could not be captured at all.
        """
        try:
            if seen.status is TransactionStatus.AUTHORIZED:
                order = await self._note(user_id, order_id, seen)
                if not _wants(order):
                    # Left alone: what is not captured, the gateway gives back by itself.
                    return order
                seen = await self._captured(order, seen)
            return await self._note(user_id, order_id, seen)
        except PaymentMismatch as mismatch:
            self.metrics.alert("payment_mismatch")
            log.error(
                "payment does not match its order",
                order_id=str(order_id),
                payment_id=seen.id,
                amount=seen.amount_paise,
                currency=seen.currency,
                error=mismatch.message,
            )
            raise

    async def _captured(self, order: Order, seen: GatewayPayment) -> GatewayPayment:
        try:
            return await self.gateway.capture(seen.id, order.amount_paise)
        except GatewayRefused:
            # Somebody else may have captured it in the meantime, or it has lapsed.
            now = await self.gateway.payment(seen.id)
            if now.status is TransactionStatus.AUTHORIZED:
                raise
            return now

    async def _note(self, user_id: UserId, order_id: OrderId, seen: GatewayPayment) -> Order:
        async with self.uow.begin(user_id) as tx:
            order = await tx.orders.get(order_id, lock=True)
            if order is None:
                raise NotFound("order", order_id)
            if seen.status is None:
                return order
            if seen.gateway_order_id != order.gateway_order_id:
                raise PaymentMismatch(
                    "The payment belongs to another order.", order_id=str(order.id)
                )
            known = await tx.payments.by_gateway_id(seen.id)
            if known is not None and known.order_id != order.id:
                raise PaymentMismatch(
                    "The payment is known as one of another order.", order_id=str(order.id)
                )
            payment = self._after(order, known, seen)
            if payment == known:
                return order
            await tx.payments.put(payment)
            if payment.captured:
                return await self._settle(tx, order, payment)
            if payment.status is TransactionStatus.FAILED and order.status is not OrderStatus.PAID:
                await self.fulfilments[order.purpose].fail(tx, order, payment)
            return order

    def _after(self, order: Order, known: Payment | None, seen: GatewayPayment) -> Payment:
        """The payment with the sighting in it; the known one itself where it is no news."""
        assert seen.status is not None
        failed = seen.status is TransactionStatus.FAILED
        if not failed:
            check_amount(order, seen.amount_paise, seen.currency)
        if known is not None:
            after = known.advanced(seen.status, self.clock.now())
            if after is known:
                return known
            return replace(
                after,
                method=seen.method or known.method,
                mandate=seen.mandate or known.mandate,
            )
        first = Payment(
            id=TransactionId(self.ids.new()),
            user_id=order.user_id,
            order_id=order.id,
            gateway_payment_id=seen.id,
            status=TransactionStatus.FAILED if failed else TransactionStatus.AUTHORIZED,
            amount_paise=seen.amount_paise,
            currency=seen.currency,
            created_at=self.clock.now(),
            method=seen.method,
            error_code=seen.error_code if failed else "",
            error=seen.error if failed else "",
            mandate=seen.mandate,
        )
        return first if failed else first.advanced(seen.status, self.clock.now())

    async def _settle(self, tx: Transaction, order: Order, payment: Payment) -> Order:
        """The money is ours: pay the order with it, or give it back."""
        if not await self._still_for_sale(tx, order):
            log.warning(
                "surplus payment", order_id=str(order.id), payment_id=payment.gateway_payment_id
            )
            surplus = payment.give_back(
                TransactionId(self.ids.new()),
                payment.refundable_paise,
                SURPLUS,
                self.clock.now(),
            )
            await give_back(tx, payment, surplus)
            return order
        paid = replace(
            order,
            status=OrderStatus.PAID,
            paid_at=payment.captured_at,
            paid_with=payment.id,
        )
        await tx.orders.save(paid)
        await tx.orders.look_again(order.id, None)
        await self.fulfilments[order.purpose].fulfil(tx, paid, payment)
        log.info(
            "order paid",
            order_id=str(order.id),
            user_id=str(order.user_id),
            payment_id=payment.gateway_payment_id,
            amount=payment.amount_paise,
        )
        return paid

    async def _still_for_sale(self, tx: Transaction, order: Order) -> bool:
        """Whether a payment that has come may pay the order.

        One that comes after the order has ended still buys credits, which cost the same
        today: the person wanted them and has paid. A subscription may have changed since,
        a coupon given back may be somebody else's now, and who has deleted their account can
        have nothing of it: then the money goes back.
        """
        payer = await tx.users.get(order.user_id)
        if payer is not None and payer.left:
            return False
        if order.open:
            return True
        if not _wants(order):
            return False
        if order.coupon_id is None:
            return True
        try:
            await tx.coupons.redeem(order.coupon_id, order.id)
        except (CouponAlreadyUsed, CouponExhausted):
            return False
        return True


async def give_back(tx: Transaction, payment: Payment, refund: Refund) -> None:
    """Keep a refund that is to be made, under its order's lock.

    Raises:
        InvalidValue: it is not a positive amount.
        NothingToRefund: it is more than is left of the payment.
    """
    payment.check_refund(refund.amount_paise)
    await tx.payments.put(
        replace(payment, refunded_paise=payment.refunded_paise + refund.amount_paise)
    )
    await tx.payments.put_refund(refund)


def _wants(order: Order) -> bool:
    if order.status is OrderStatus.PAID:
        return False
    return order.open or order.purpose is OrderPurpose.TOP_UP
