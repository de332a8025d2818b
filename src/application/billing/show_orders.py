"""Orders and movements of money, as their person sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.payment_gateway import Checkout, PaymentGateway
from application.ports.payments import Movement, MovementFilter, OrderFilter
from application.ports.persistence import UnitOfWork
from domain.billing.orders import Order
from domain.billing.payments import Payment
from domain.shared.errors import NotFound
from domain.shared.ids import OrderId, UserId


@dataclass(frozen=True, slots=True)
class ListOrders:
    """Lists a person's orders, newest first."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, query: OrderFilter) -> Sequence[Order]:
        """The page's orders."""
        async with self.uow.begin(user_id) as tx:
            return await tx.orders.page(query)


@dataclass(frozen=True, slots=True)
class ShowOrder:
    """An order, the attempts to pay it, and how to pay it while it is open."""

    uow: UnitOfWork
    gateway: PaymentGateway

    async def __call__(
        self, user_id: UserId, order_id: OrderId
    ) -> tuple[Order, Sequence[Payment], Checkout | None]:
        """The order; its attempts, oldest first; and the checkout, if it can be paid.

        Raises:
            NotFound: no such order, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            order = await tx.orders.get(order_id)
            if order is None:
                raise NotFound("order", order_id)
            attempts = await tx.payments.of_order(order_id)
        return order, attempts, self.checkout(order)

    def checkout(self, order: Order) -> Checkout | None:
        """How an order is paid; None for one that cannot be."""
        return self.gateway.checkout(order) if order.open and order.gateway_order_id else None


@dataclass(frozen=True, slots=True)
class ListMovements:
    """Lists a person's payments, refunds and chargebacks, newest first."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, query: MovementFilter) -> Sequence[Movement]:
        """The page's movements."""
        async with self.uow.begin(user_id) as tx:
            return await tx.payments.movements(query)
