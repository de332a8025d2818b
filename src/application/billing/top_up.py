"""What a top-up's payment brings about: credits, once, and their claw-back."""

from application.ports.persistence import Transaction
from domain.billing.ledger import ClawBack, Grant, LotKind
from domain.billing.orders import Order
from domain.billing.payments import Payment, Refund, share


class TopUpFulfilment:
    """Grants the order's credits. They do not expire: they were paid for."""

    async def fulfil(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """Grant the credits under the payment's key."""
        await tx.ledger.grant(
            Grant(
                user_id=order.user_id,
                key=payment.key,
                credits=order.credits,
                kind=LotKind.TOP_UP,
                expires_at=None,
                reference=payment.key,
            )
        )

    async def fail(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """Nothing: the order stays open, and the person may try again."""

    async def reverse(self, tx: Transaction, order: Order, refund: Refund) -> None:
        """Take back the credits that the part given back had bought."""
        before = sum(
            other.amount_paise
            for other in await tx.payments.refunds_of(refund.payment_id)
            if other.reversed_at is not None and other.id != refund.id
        )
        credits = share(order.credits, refund.amount_paise, order.amount_paise, before)
        if credits:
            await tx.ledger.claw_back(
                ClawBack(
                    user_id=order.user_id,
                    key=refund.key,
                    credits=credits,
                    reference=f"payment:{refund.gateway_payment_id}",
                )
            )
