"""Tax invoices and credit notes: drawn up once, never changed.

Contents after the CGST Rules 2017, rule 46 (invoices) and rule 53(1A) (credit notes). A
document keeps its supplier and buyer as they were when it was issued.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from typing import ClassVar
from uuid import UUID

from domain.billing.gst import (
    NOTHING,
    Supply,
    Taxed,
    nearest,
    place_of_supply,
    split_inclusive,
    supply_to,
)
from domain.billing.parties import Buyer, Supplier
from domain.billing.serials import DocumentKind, FinancialYear
from domain.shared.errors import InvalidValue
from domain.shared.ids import CreditNoteId, InvoiceId, UserId
from domain.shared.money import rupees

MAX_RATES = 8
"""Rates on one invoice, which is more than the law has: among so few, one has enough of every
refund to spare a paisa for each other (see :func:`reversed_parts`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What was sold: ``amount`` in paise includes the tax, after any discount."""

    description: str
    sac: str
    rate: int
    amount: int
    quantity: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An item with its taxes. ``sac`` is the services accounting code (rule 46(g))."""

    description: str
    sac: str
    rate: int
    quantity: int
    amounts: Taxed


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxDocument:
    """What invoice and credit note share.

    ``reverse_charge`` says whether the buyer owes the tax (rule 46(p)): never for what is sold
    here, and shown all the same, as the rule asks.
    """

    kind: ClassVar[DocumentKind]

    id: UUID
    user_id: UserId
    number: str
    sequence: int
    year: FinancialYear
    issued_on: date
    supplier: Supplier
    buyer: Buyer
    place: str
    supply: Supply
    lines: tuple[Line, ...]
    created_at: datetime
    reverse_charge: bool = False

    @property
    def amounts(self) -> Taxed:
        """The sum of the lines."""
        return sum_of(line.amounts for line in self.lines)

    @property
    def rates(self) -> tuple[tuple[int, Taxed], ...]:
        """The sum of each rate, lowest first."""
        return tuple(
            (rate, sum_of(line.amounts for line in self.lines if line.rate == rate))
            for rate in sorted({line.rate for line in self.lines})
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice(TaxDocument):
    """What a captured payment bought. One payment has one invoice."""

    kind: ClassVar[DocumentKind] = DocumentKind.INVOICE

    id: InvoiceId
    order_id: UUID
    payment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNote(TaxDocument):
    """What a refund took back of an invoice. One refund has one credit note.

    ``invoice_total`` is in paise.
    """

    kind: ClassVar[DocumentKind] = DocumentKind.CREDIT_NOTE

    id: CreditNoteId
    invoice_id: InvoiceId
    invoice_number: str
    invoice_date: date
    invoice_total: int
    refund_id: str
    reason: str


def sold_as(description: str, amount: int, discount: int) -> str:
    """What a line says was sold, with the discount that was taken off it, if any.

    A discount given before the supply is left out of its taxable value where the invoice
    records it (CGST Act, section 15(3)(a)).
    """
    if not discount:
        return description
    return (
        f"{description} (list price {rupees(amount + discount)}, less a discount of "
        f"{rupees(discount)}, taxes included)"
    )


def taxed_lines(
    items: Sequence[Item], supplier: Supplier, buyer: Buyer
) -> tuple[str, Supply, tuple[Line, ...]]:
    """Place of supply, kind of supply, and the lines with their taxes.

    Raises:
        ValueError: there is nothing to invoice, an amount is negative, or there are too many
            rates.
    """
    if not items or len({item.rate for item in items}) > MAX_RATES:
        raise ValueError(f"an invoice has lines, of at most {MAX_RATES} rates")
    place = place_of_supply(
        supplier_state=supplier.state, buyer_state=buyer.state, buyer_country=buyer.country
    )
    supply = supply_to(
        place,
        supplier_state=supplier.state,
        registered=supplier.registered,
        undertaking=bool(supplier.undertaking),
    )
    return (
        place,
        supply,
        tuple(
            Line(
                description=item.description,
                sac=item.sac,
                rate=item.rate if supply.taxed else 0,
                quantity=item.quantity,
                amounts=split_inclusive(item.amount, item.rate, supply),
            )
            for item in items
        ),
    )


def reversed_parts(
    invoice: Invoice, earlier: Iterable[CreditNote], amount: int
) -> tuple[Line, ...]:
    """What a refund of ``amount`` paise takes back: one line for each rate, tax in proportion.

    Each tax is what its share of everything credited so far comes to, less what was credited
    before. So refunds of a rupee or more, in any sequence, reverse each tax to the paisa once
    they come to the whole. Smaller ones, which gateways refuse, may leave paise of tax in the
    taxable value, because of one paisa neither half of a tax can be taken. No part is ever
    negative, and all parts sum to the amount.

    Raises:
        InvalidValue: the amount is not positive, or more than what is left.
    """
    notes = tuple(earlier)
    rates = dict(invoice.rates)
    before = {
        rate: sum_of(line.amounts for note in notes for line in note.lines if line.rate == rate)
        for rate in rates
    }
    left = {rate: rates[rate].total - before[rate].total for rate in rates}
    if not 0 < amount <= sum(left.values()):
        raise InvalidValue(
            "amount_paise", f"Refund a part of the {sum(left.values())} paise that are left."
        )
    shares = _shares(amount, left)
    codes = {line.rate: line.sac for line in reversed(invoice.lines)}
    return tuple(
        Line(
            description=f"Credit against invoice {invoice.number}",
            sac=codes[rate],
            rate=rate,
            quantity=1,
            amounts=_part(rates[rate], before[rate], share),
        )
        for rate, share in shares.items()
        if share
    )


def sum_of(amounts: Iterable[Taxed]) -> Taxed:
    """All of them together."""
    return reduce(Taxed.__add__, amounts, NOTHING)


def _shares(amount: int, left: dict[int, int]) -> dict[int, int]:
    """Divide ``amount`` in proportion to what is left of each rate, by largest remainder."""
    whole = sum(left.values())
    shares = {rate: amount * rest // whole for rate, rest in left.items()}
    by_remainder = sorted(left, key=lambda rate: (-(amount * left[rate] % whole), rate))
    for rate in by_remainder[: amount - sum(shares.values())]:
        shares[rate] += 1
    # A share of one paisa is made two: of two, both halves of a tax can be taken.
    largest = max(shares, key=lambda rate: (shares[rate], rate))
    for rate, share in shares.items():
        if share == 1 and left[rate] > 1 and shares[largest] > 2:
            shares[rate] += 1
            shares[largest] -= 1
    return shares


def _part(whole: Taxed, before: Taxed, share: int) -> Taxed:
    credited = before.total + share
    half = nearest(whole.cgst * credited, whole.total) - before.cgst
    half = min(half, share // 2)
    igst = nearest(whole.igst * credited, whole.total) - before.igst
    return Taxed(taxable=share - 2 * half - igst, cgst=half, sgst=half, igst=igst)
