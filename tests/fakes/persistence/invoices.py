"""Invoices, credit notes, their series, and billing profiles, in memory."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from application.ports.invoices import BillingProfiles, InvoiceRegister, InvoiceRepository
from domain.billing.invoice import CreditNote, Invoice
from domain.billing.parties import BillingProfile
from domain.billing.serials import DocumentKind, FinancialYear, Turn
from domain.shared.ids import InvoiceId
from tests.fakes.persistence.database import InMemoryDatabase, Session, TransactionRefused


class InMemoryBillingProfiles(BillingProfiles):
    """The profile of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self) -> BillingProfile | None:
        return self._session.tables.profiles.get(self._session.tenant)

    async def put(self, profile: BillingProfile) -> None:
        self._session.require_own(profile.user_id)
        if profile.user_id not in self._session.tables.users:
            raise self._session.refused(TransactionRefused("no such user"))
        self._session.tables.profiles[profile.user_id] = profile

    async def delete(self) -> None:
        self._session.tables.profiles.pop(self._session.tenant, None)


class InMemoryInvoices(InvoiceRepository):
    """The documents of the session's person; the series are everybody's."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def take_turn(self, kind: DocumentKind, year: FinancialYear, today: date) -> Turn:
        before = self._session.tables.series.get((kind, year))
        turn = Turn(
            sequence=before.sequence + 1 if before else 1,
            on=max(before.on, today) if before else today,
        )
        self._session.tables.series[kind, year] = turn
        self._session.before_commit(lambda: self._check_used(kind, year, turn))
        return turn

    async def of_payment(self, payment_id: str) -> Invoice | None:
        return next(
            (
                document
                for document in self._own()
                if isinstance(document, Invoice) and document.payment_id == payment_id
            ),
            None,
        )

    async def credit_notes(self, invoice_id: InvoiceId) -> Sequence[CreditNote]:
        notes = [
            document
            for document in self._own()
            if isinstance(document, CreditNote) and document.invoice_id == invoice_id
        ]
        return sorted(notes, key=lambda note: note.id)

    async def add(self, document: Invoice | CreditNote) -> None:
        self._session.require_own(document.user_id)
        tables = self._session.tables
        taken = [_names(other) & _names(document) for other in tables.issued.values()]
        if document.user_id not in tables.users or any(taken):
            raise self._session.refused(TransactionRefused("no such user, or issued already"))
        if isinstance(document, CreditNote):
            invoice = tables.issued.get(document.invoice_id)
            if invoice is None or invoice.user_id != document.user_id:
                raise self._session.refused(TransactionRefused("no such invoice"))
            credited = sum(
                note.amounts.total for note in await self.credit_notes(document.invoice_id)
            )
            if credited + document.amounts.total > invoice.amounts.total:
                raise self._session.refused(TransactionRefused("the credit exceeds the invoice"))
        tables.issued[document.id] = document

    async def get(self, document_id: UUID) -> Invoice | CreditNote | None:
        document = self._session.tables.issued.get(document_id)
        return document if document and document.user_id == self._session.tenant else None

    async def page(
        self,
        limit: int,
        after: UUID | None,
        *,
        year: FinancialYear | None,
        kind: DocumentKind | None,
    ) -> Sequence[Invoice | CreditNote]:
        found = [
            document
            for document in self._own()
            if (after is None or document.id < after)
            and year in (None, document.year)
            and kind in (None, document.kind)
        ]
        return sorted(found, key=lambda document: document.id, reverse=True)[:limit]

    def _own(self) -> list[Invoice | CreditNote]:
        tenant = self._session.tenant
        issued = self._session.tables.issued.values()
        return [document for document in issued if document.user_id == tenant]

    def _check_used(self, kind: DocumentKind, year: FinancialYear, turn: Turn) -> None:
        if not any(
            (document.kind, document.year, document.sequence) == (kind, year, turn.sequence)
            for document in self._session.tables.issued.values()
        ):
            raise TransactionRefused("a number was taken for nothing")


class InMemoryInvoiceRegister(InvoiceRegister):
    """Everybody's documents."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def issued(
        self, kind: DocumentKind, first: date, last: date, *, after: int, limit: int
    ) -> Sequence[Invoice | CreditNote]:
        found = [
            document
            for document in self._database.tables.issued.values()
            if document.kind is kind
            and first <= document.issued_on <= last
            and document.sequence > after
        ]
        return sorted(found, key=lambda document: document.sequence)[:limit]


def _names(document: Invoice | CreditNote) -> set[object]:
    """What no two documents may share."""
    names: set[object] = {
        document.id,
        (document.kind, document.year, document.sequence),
        (document.kind, document.year, document.number),
    }
    if isinstance(document, Invoice):
        return names | {("payment", document.payment_id)}
    return names | {("refund", document.refund_id)}
