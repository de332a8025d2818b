"""Take the browser's word for a payment, once the gateway has confirmed it."""

from dataclasses import dataclass

from application.billing.payment_book import PaymentBook
from application.ports.payment_gateway import CheckoutReply, PaymentGateway
from application.ports.persistence import UnitOfWork
from domain.billing.orders import Order
from domain.shared.errors import NotFound
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class VerifyPayment:
    """Checks the reply's signature, asks the gateway for the payment, and keeps what it says."""

    uow: UnitOfWork
    gateway: PaymentGateway
    book: PaymentBook

    async def __call__(self, user_id: UserId, reply: CheckoutReply) -> Order:
        """The order as it stands then: paid, or still open while the payment is under way.

        Raises:
            SignatureInvalid: the gateway did not sign this reply.
            NotFound: the person has no such order.
            PaymentMismatch: the payment is not what the order asks for.
            GatewayUnavailable: the gateway did not answer. Its event will pay the order.
            GatewayRefused: it knows no such payment, or could not capture it.
        """
        self.gateway.check_reply(reply)
        async with self.uow.begin(user_id) as tx:
            order = await tx.orders.by_gateway_id(reply.gateway_order_id)
        if order is None:
            raise NotFound("order", reply.gateway_order_id)
        seen = await self.gateway.payment(reply.gateway_payment_id)
        return await self.book.observe(user_id, order.id, seen)
