"""Orders, payments and refunds, as far as invoices look at them."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from application.billing.billing_profile import NewBillingProfile, SaveBillingProfile
from application.billing.issue_invoice import IssueCreditNote, IssueInvoice, Terms
from application.ports.clock import Clock, IdMaker
from application.ports.persistence import UnitOfWork
from domain.billing.invoice import CreditNote, Invoice
from domain.billing.parties import Supplier
from domain.shared.ids import UserId
from tests.contracts.invoice_samples import SUPPLIER, TERMS
from tests.contracts.samples import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """A paid order."""

    user_id: UserId
    amount_paise: int = 118_000
    discount_paise: int = 0
    description: str = "1,00,000 credits"
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """Its payment."""

    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """A refund of a payment."""

    payment_id: UUID
    amount_paise: int
    reason: str = ""
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Sells and takes back, in transactions of its own."""

    uow: UnitOfWork
    clock: Clock
    ids: IdMaker
    supplier: Supplier = SUPPLIER

    @property
    def terms(self) -> Terms:
        return replace(TERMS, supplier=self.supplier)

    async def sell(self, order: Sold, payment: Paid) -> Invoice:
        async with self.uow.begin(order.user_id) as tx:
            issue = IssueInvoice(self.clock, self.ids, self.terms)
            return await issue(tx, order=order, payment=payment)

    async def take_back(
        self, order: Sold, payment: Paid, amount_paise: int, **refund: Any
    ) -> CreditNote | None:
        given = GivenBack(payment_id=payment.id, amount_paise=amount_paise, **refund)
        async with self.uow.begin(order.user_id) as tx:
            return await IssueCreditNote(self.clock, self.ids, self.terms)(tx, refund=given)

    async def name(self, user_id: UserId, **particulars: str) -> None:
        """Save a billing profile."""
        values = {"name": "A Firm", "address": "", "state": "", "country": "IN", "gstin": ""}
        await SaveBillingProfile(self.uow, self.clock)(
            NewBillingProfile(user_id=user_id, **(values | particulars))
        )
