"""Issue invoices and credit notes, inside the transaction that captures or pays back."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from application.billing.billing_profile import buyer_of
from application.ports.clock import Clock, IdMaker
from application.ports.persistence import Transaction
from domain.billing.days import day_of
from domain.billing.invoice import (
    CreditNote,
    Invoice,
    Item,
    reversed_parts,
    sold_as,
    taxed_lines,
)
from domain.billing.parties import Supplier
from domain.billing.serials import (
    DocumentKind,
    FinancialYear,
    serial_number,
)
from domain.shared.ids import CreditNoteId, InvoiceId, UserId

NO_REASON = "Refund"
"""What a credit note gives as its reason when nobody gave one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the house sells: who it is, its services' code and rate, and its series.

    ``rate`` is in basis points. The prefixes tell the two series apart.
    """

    supplier: Supplier
    sac: str
    rate: int
    invoice_prefix: str
    credit_note_prefix: str


class SoldOrder(Protocol):
    """What an invoice needs to know of an order. Amounts include the tax, what is to be paid
    is what the discount has left."""

    @property
    def id(self) -> UUID: ...
    @property
    def user_id(self) -> UserId: ...
    @property
    def description(self) -> str: ...
    @property
    def amount_paise(self) -> int: ...
    @property
    def discount_paise(self) -> int: ...


class CapturedPayment(Protocol):
    """What an invoice needs to know of a payment."""

    @property
    def id(self) -> object: ...


class MadeRefund(Protocol):
    """What a credit note needs to know of a refund."""

    @property
    def id(self) -> object: ...
    @property
    def payment_id(self) -> object: ...
    @property
    def amount_paise(self) -> int: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class IssueInvoice:
    """Issues a payment's invoice, once, however often it is asked for.

    It must not stand in the way of a captured payment: what it needs and does not find (a
    billing profile) it does without.
    """

    clock: Clock
    ids: IdMaker
    terms: Terms

    async def __call__(
        self, tx: Transaction, *, order: SoldOrder, payment: CapturedPayment
    ) -> Invoice:
        """The payment's invoice, issued now or before.

        Raises:
            NotFound: the order's person is none.
        """
        payment_id = str(payment.id)
        issued = await tx.invoices.of_payment(payment_id)
        if issued is not None:
            return issued
        buyer = await buyer_of(tx, order.user_id)
        item = Item(
            description=sold_as(order.description, order.amount_paise, order.discount_paise),
            sac=self.terms.sac,
            rate=self.terms.rate,
            amount=order.amount_paise,
        )
        place, supply, lines = taxed_lines([item], self.terms.supplier, buyer)
        now = self.clock.now()
        year = FinancialYear.of(day_of(now))
        turn = await tx.invoices.take_turn(DocumentKind.INVOICE, year, day_of(now))
        invoice = Invoice(
            id=InvoiceId(self.ids.new()),
            user_id=order.user_id,
            number=serial_number(self.terms.invoice_prefix, year, turn.sequence),
            sequence=turn.sequence,
            year=year,
            issued_on=turn.on,
            supplier=self.terms.supplier,
            buyer=buyer,
            place=place,
            supply=supply,
            lines=lines,
            created_at=now,
            order_id=order.id,
            payment_id=payment_id,
        )
        await tx.invoices.add(invoice)
        return invoice


@dataclass(frozen=True, slots=True)
class IssueCreditNote:
    """Issues a refund's credit note, once, however often it is asked for.

    It names supplier and buyer as the invoice did, and reverses its taxes in proportion. It
    credits no more than is left of the invoice: a refund in place of one that failed on its way
    finds that credited already.
    """

    clock: Clock
    ids: IdMaker
    terms: Terms

    async def __call__(self, tx: Transaction, *, refund: MadeRefund) -> CreditNote | None:
        """The refund's credit note, issued now or before; None when nothing is left to credit,
        or nothing was invoiced.
        """
        invoice = await tx.invoices.of_payment(str(refund.payment_id))
        if invoice is None:
            return None
        earlier = await tx.invoices.credit_notes(invoice.id)
        refund_id = str(refund.id)
        for note in earlier:
            if note.refund_id == refund_id:
                return note
        left = invoice.amounts.total - sum(note.amounts.total for note in earlier)
        amount = min(refund.amount_paise, left)
        if amount <= 0:
            return None
        lines = reversed_parts(invoice, earlier, amount)
        now = self.clock.now()
        year = FinancialYear.of(day_of(now))
        turn = await tx.invoices.take_turn(DocumentKind.CREDIT_NOTE, year, day_of(now))
        note = CreditNote(
            id=CreditNoteId(self.ids.new()),
            user_id=invoice.user_id,
            number=serial_number(self.terms.credit_note_prefix, year, turn.sequence),
            sequence=turn.sequence,
            year=year,
            issued_on=turn.on,
            supplier=invoice.supplier,
            buyer=invoice.buyer,
            place=invoice.place,
            supply=invoice.supply,
            lines=lines,
            created_at=now,
            invoice_id=invoice.id,
            invoice_number=invoice.number,
            invoice_date=invoice.issued_on,
            invoice_total=invoice.amounts.total,
            refund_id=refund_id,
            reason=refund.reason or NO_REASON,
        )
        await tx.invoices.add(note)
        return note
