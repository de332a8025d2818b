"""What a payment brings about: one fulfilment for each purpose of an order."""

from typing import Protocol

from application.ports.persistence import Transaction
from domain.billing.orders import Order
from domain.billing.payments import Payment, Refund


class Fulfilment(Protocol):
    """Gives what was bought, and takes it back. Each call is made once for its payment or
    refund, in the very transaction that records it; keys made of their ids keep even a
    repeated one harmless.
    """

    async def fulfil(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """The order was paid by this payment, which has just been captured."""
        ...

    async def fail(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """An attempt to pay the order failed; another may follow. Never after a success."""
        ...

    async def reverse(self, tx: Transaction, order: Order, refund: Refund) -> None:
        """A part of the price, or all of it, was given back or charged back."""
        ...
