"""Where orders are made, told to the gateway, and charged to mandates."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from application.ports.clock import Clock, IdMaker
from application.ports.payment_gateway import MandateCharge, Payer, PaymentGateway
from application.ports.persistence import Transaction, UnitOfWork
from domain.billing.coupons import CouponNotUsable, normalised_code
from domain.billing.orders import OPEN_FOR, Order, OrderNotOpen, OrderPurpose, OrderStatus
from domain.billing.payments import Mandate, TransactionStatus
from domain.shared.errors import NotFound
from domain.shared.ids import OrderId, UserId

FIRST_LOOK = timedelta(minutes=1)
"""How long after an order was placed the gateway is asked about it, if it says nothing."""


@dataclass(frozen=True, slots=True)
class OrderDesk:
    """Makes orders for whatever is sold."""

    uow: UnitOfWork
    gateway: PaymentGateway
    clock: Clock
    ids: IdMaker

    async def open(
        self,
        tx: Transaction,
        *,
        user_id: UserId,
        purpose: OrderPurpose,
        reference: str,
        amount_paise: int,
        description: str,
        credits: int = 0,
        coupon_code: str = "",
        recurring: bool = False,
        open_for: timedelta = OPEN_FOR,
    ) -> Order:
        """Keep an order, in the caller's transaction. The gateway does not know it yet.

        ``amount_paise`` is the whole total before a coupon. ``recurring`` asks the payer for a
        mandate. After ``open_for`` an unpaid order is expired.

        Raises:
            CouponNotUsable: there is no such coupon, or it does not apply.
            CouponAlreadyUsed: the person has used it, or holds it with another order.
            CouponExhausted: it is used up.
        """
        now = self.clock.now()
        order = Order(
            id=OrderId(self.ids.new()),
            user_id=user_id,
            purpose=purpose,
            reference=reference,
            amount_paise=amount_paise,
            description=description,
            credits=credits,
            status=OrderStatus.OPEN,
            recurring=recurring,
            created_at=now,
            expires_at=now + open_for,
        )
        if not coupon_code:
            await tx.orders.add(order)
            return order
        coupon = await tx.coupons.by_code(normalised_code(coupon_code, "coupon"))
        if coupon is None:
            raise CouponNotUsable("There is no such coupon. Look at its spelling.")
        discount = coupon.discount(purpose, amount_paise, now)
        order = replace(
            order,
            amount_paise=amount_paise - discount,
            discount_paise=discount,
            coupon_id=coupon.id,
        )
        await tx.orders.add(order)
        await tx.coupons.redeem(coupon.id, order.id)
        return order

    async def place(
        self, order: Order, along: Callable[[Transaction, Order], Awaitable[None]] | None = None
    ) -> Order:
        """Tell the gateway of an order, outside of any transaction. Safe to repeat.

        ``along`` is done in the transaction that keeps what the gateway called it.

        Raises:
            NotFound: the order is not there.
            OrderNotOpen: it has been paid, has expired or was cancelled.
            GatewayUnavailable: the gateway did not answer; place it again.
            GatewayRefused: it will not take this order.
            PaymentsNotConfigured: there is no gateway.
        """
        if order.gateway_order_id:
            return order
        known = await self.gateway.create_order(order, await self._payer(order.user_id))
        async with self.uow.begin(order.user_id) as tx:
            kept = await tx.orders.get(order.id, lock=True)
            if kept is None:
                raise NotFound("order", order.id)
            if kept.gateway_order_id:
                return kept
            if not kept.open:
                raise OrderNotOpen(kept)
            placed = replace(
                kept,
                gateway_order_id=known.gateway_order_id,
                gateway_customer_id=known.customer_id,
            )
            await tx.orders.save(placed)
            await tx.orders.look_again(order.id, self.clock.now() + FIRST_LOOK)
            if along is not None:
                await along(tx, placed)
            return placed

    async def charge_mandate(self, order: Order, mandate: Mandate) -> None:
        """Charge an order to a payer who is not there, outside of any transaction.

        The outcome comes as any payment's does: as an event, or when the gateway is asked.
        Repeated, it charges again only where no attempt is under way or has succeeded.

        Raises:
            GatewayUnavailable: the gateway did not answer; the order will be looked at.
            GatewayRefused: it will not charge this mandate.
            OrderNotOpen: the order has been paid, has expired or was cancelled.
        """
        placed = await self.place(order)
        if not placed.open:
            raise OrderNotOpen(placed)
        attempts = await self.gateway.payments_of(placed.gateway_order_id)
        if any(attempt.status is not TransactionStatus.FAILED for attempt in attempts):
            return
        payer = await self._payer(order.user_id)
        async with self.uow.begin(order.user_id) as tx:
            # Before the charge: if its answer is lost, the order is looked at all the same.
            await tx.orders.look_again(order.id, self.clock.now())
        await self.gateway.charge_mandate(
            MandateCharge(
                gateway_order_id=placed.gateway_order_id,
                mandate=mandate,
                amount_paise=placed.amount_paise,
                email=payer.email,
                description=placed.description,
            )
        )

    async def _payer(self, user_id: UserId) -> Payer:
        async with self.uow.begin(user_id) as tx:
            user = await tx.users.get(user_id)
        if user is None:
            raise NotFound("user", user_id)
        return Payer(name=user.name, email=user.email)
