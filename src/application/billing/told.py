"""Fulfilments that tell webhook endpoints as well."""

from dataclasses import dataclass

from application.billing.fulfilment import Fulfilment
from application.ports.persistence import Transaction
from domain.billing.orders import Order
from domain.billing.payments import Payment, Refund


@dataclass(frozen=True, slots=True)
class ToldFulfilment:
    """Another fulfilment, of which the buyer's endpoints hear in the same transaction.

    Amounts are paise, taxes included.
    """

    inner: Fulfilment

    async def fulfil(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """Give what was bought, and say that the money has come."""
        await self.inner.fulfil(tx, order, payment)
        await tx.webhooks.emit(
            "payment.captured",
            {**_movement(payment), "purpose": order.purpose.value, "credits": order.credits},
        )

    async def fail(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """Say why the money has not come."""
        await self.inner.fail(tx, order, payment)
        await tx.webhooks.emit(
            "payment.failed",
            {
                **_movement(payment),
                "purpose": order.purpose.value,
                "error_code": payment.error_code,
                "error": payment.error,
            },
        )

    async def reverse(self, tx: Transaction, order: Order, refund: Refund) -> None:
        """Take back what was bought, and say how much went back."""
        await self.inner.reverse(tx, order, refund)
        await tx.webhooks.emit(
            "payment.refunded",
            {
                "order_id": str(refund.order_id),
                "payment_id": str(refund.payment_id),
                "refund_id": str(refund.id),
                "kind": refund.kind.value,
                "amount_paise": refund.amount_paise,
                "currency": refund.currency,
                "reason": refund.reason,
            },
        )


def _movement(payment: Payment) -> dict[str, object]:
    return {
        "order_id": str(payment.order_id),
        "payment_id": str(payment.id),
        "amount_paise": payment.amount_paise,
        "currency": payment.currency,
        "method": payment.method,
    }
