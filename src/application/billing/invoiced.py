"""Fulfilments that hand out the papers as well."""

from dataclasses import dataclass

from application.billing.fulfilment import Fulfilment
from application.billing.issue_invoice import IssueCreditNote, IssueInvoice
from application.ports.persistence import Transaction
from domain.billing.orders import Order
from domain.billing.payments import Payment, Refund


@dataclass(frozen=True, slots=True)
class InvoicedFulfilment:
    """Another fulfilment, with an invoice for what it gives and a credit note for what it takes.

    The papers come last: from their number to the commit, the series waits.
    """

    inner: Fulfilment
    issue_invoice: IssueInvoice
    issue_credit_note: IssueCreditNote

    async def fulfil(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """Give what was bought, and its invoice."""
        await self.inner.fulfil(tx, order, payment)
        await self.issue_invoice(tx, order=order, payment=payment)

    async def fail(self, tx: Transaction, order: Order, payment: Payment) -> None:
        """What did not happen has no papers."""
        await self.inner.fail(tx, order, payment)

    async def reverse(self, tx: Transaction, order: Order, refund: Refund) -> None:
        """Take back what was bought, and credit it."""
        await self.inner.reverse(tx, order, refund)
        await self.issue_credit_note(tx, refund=refund)
