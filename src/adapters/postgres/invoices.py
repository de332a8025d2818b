"""Invoices, credit notes, their series, and billing profiles."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, Table, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import rows_of
from adapters.postgres.locks import Kind, lock_of
from adapters.postgres.tables import billing_profiles, credit_notes, document_series, invoices
from domain.billing.gst import Supply
from domain.billing.invoice import CreditNote, Invoice, Line, TaxDocument
from domain.billing.parties import BillingProfile, Buyer, Supplier
from domain.billing.serials import DocumentKind, FinancialYear, Turn
from domain.shared.ids import CreditNoteId, InvoiceId, UserId


class PostgresBillingProfiles:
    """The ``BillingProfiles`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    async def get(self) -> BillingProfile | None:
        rows = await self._connection.execute(
            select(billing_profiles).where(billing_profiles.c.user_id == self._user_id)
        )
        row = rows.one_or_none()
        if row is None:
            return None
        return BillingProfile(
            user_id=UserId(row.user_id),
            buyer=Buyer(
                name=row.name,
                address=row.address,
                state=row.state,
                country=row.country,
                gstin=row.gstin,
            ),
            updated_at=row.updated_at,
        )

    async def put(self, profile: BillingProfile) -> None:
        values = {
            "name": profile.buyer.name,
            "address": profile.buyer.address,
            "state": profile.buyer.state,
            "country": profile.buyer.country,
            "gstin": profile.buyer.gstin,
            "updated_at": profile.updated_at,
        }
        await self._connection.execute(
            upsert(billing_profiles)
            .values(user_id=profile.user_id, **values)
            .on_conflict_do_update(index_elements=["user_id"], set_=values)
        )

    async def delete(self) -> None:
        await self._connection.execute(
            delete(billing_profiles).where(billing_profiles.c.user_id == self._user_id)
        )


class PostgresInvoices:
    """The ``InvoiceRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    async def take_turn(self, kind: DocumentKind, year: FinancialYear, today: date) -> Turn:
        rows = await self._connection.execute(
            upsert(document_series)
            .values(kind=kind, financial_year=year.start, last=1, last_on=today)
            .on_conflict_do_update(
                constraint="document_series_pkey",
                set_={
                    "last": document_series.c.last + 1,
                    "last_on": func.greatest(document_series.c.last_on, today),
                },
            )
            .returning(document_series.c.last, document_series.c.last_on)
        )
        row = rows.one()
        return Turn(sequence=row.last, on=row.last_on)

    async def of_payment(self, payment_id: str) -> Invoice | None:
        # A row that nobody may update cannot be locked; the payment's name can.
        await self._connection.execute(
            select(lock_of(Kind.INVOICE_OF_A_PAYMENT, f"invoice:{payment_id}"))
        )
        rows = await self._connection.execute(
            select(invoices).where(
                invoices.c.payment_id == payment_id, invoices.c.user_id == self._user_id
            )
        )
        row = rows.one_or_none()
        return None if row is None else _invoice(row)

    async def credit_notes(self, invoice_id: InvoiceId) -> Sequence[CreditNote]:
        rows = await self._connection.execute(
            select(credit_notes)
            .where(credit_notes.c.invoice_id == invoice_id, credit_notes.c.user_id == self._user_id)
            .order_by(credit_notes.c.id)
        )
        return [_credit_note(row) for row in rows]

    async def add(self, document: Invoice | CreditNote) -> None:
        shared = _shared_columns(document)
        if isinstance(document, Invoice):
            await self._connection.execute(
                insert(invoices).values(
                    **shared, order_id=document.order_id, payment_id=document.payment_id
                )
            )
            return
        await self._connection.execute(
            insert(credit_notes).values(
                **shared,
                invoice_id=document.invoice_id,
                invoice_number=document.invoice_number,
                invoice_date=document.invoice_date,
                invoice_total_paise=document.invoice_total,
                refund_id=document.refund_id,
                reason=document.reason,
            )
        )

    async def get(self, document_id: UUID) -> Invoice | CreditNote | None:
        for kind in DocumentKind:
            rows = await self._connection.execute(
                self._mine(kind).where(_table(kind).c.id == document_id)
            )
            row = rows.one_or_none()
            if row is not None:
                return _document(kind, row)
        return None

    async def page(
        self,
        limit: int,
        after: UUID | None,
        *,
        year: FinancialYear | None,
        kind: DocumentKind | None,
    ) -> Sequence[Invoice | CreditNote]:
        # Each kind's page is read by its own index; the two are merged here.
        found: list[Invoice | CreditNote] = []
        for each in DocumentKind if kind is None else (kind,):
            table = _table(each)
            query = self._mine(each)
            if after is not None:
                query = query.where(table.c.id < after)
            if year is not None:
                query = query.where(table.c.financial_year == year.start)
            rows = await self._connection.execute(query.order_by(table.c.id.desc()).limit(limit))
            found.extend(_document(each, row) for row in rows)
        return sorted(found, key=lambda document: document.id, reverse=True)[:limit]

    def _mine(self, kind: DocumentKind) -> Select[Any]:
        table = _table(kind)
        return select(table).where(table.c.user_id == self._user_id)


class PostgresInvoiceRegister:
    """The ``InvoiceRegister`` over the ``dispatch`` role's engine, which may read every row."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def issued(
        self, kind: DocumentKind, first: date, last: date, *, after: int, limit: int
    ) -> Sequence[Invoice | CreditNote]:
        table = _table(kind)
        query = (
            select(table)
            .where(
                table.c.financial_year == FinancialYear.of(first).start,
                table.c.issued_on.between(first, last),
                table.c.sequence > after,
            )
            .order_by(table.c.sequence)
            .limit(limit)
        )
        return [_document(kind, row) for row in await rows_of(self._engine, query)]


def _table(kind: DocumentKind) -> Table:
    return invoices if kind is DocumentKind.INVOICE else credit_notes


def _document(kind: DocumentKind, row: Row[Any]) -> Invoice | CreditNote:
    return _invoice(row) if kind is DocumentKind.INVOICE else _credit_note(row)


def _shared_columns(document: TaxDocument) -> dict[str, Any]:
    amounts = document.amounts
    return {
        "id": document.id,
        "user_id": document.user_id,
        "number": document.number,
        "financial_year": document.year.start,
        "sequence": document.sequence,
        "issued_on": document.issued_on,
        "supplier": msgspec.to_builtins(document.supplier),
        "buyer": msgspec.to_builtins(document.buyer),
        "place": document.place,
        "supply": document.supply,
        "reverse_charge": document.reverse_charge,
        "lines": msgspec.to_builtins(document.lines),
        "taxable_paise": amounts.taxable,
        "cgst_paise": amounts.cgst,
        "sgst_paise": amounts.sgst,
        "igst_paise": amounts.igst,
        "total_paise": amounts.total,
        "created_at": document.created_at,
    }


def _shared(row: Row[Any]) -> dict[str, Any]:
    return {
        "user_id": UserId(row.user_id),
        "number": row.number,
        "sequence": row.sequence,
        "year": FinancialYear(row.financial_year),
        "issued_on": row.issued_on,
        "supplier": msgspec.convert(row.supplier, Supplier),
        "buyer": msgspec.convert(row.buyer, Buyer),
        "place": row.place,
        "supply": Supply(row.supply),
        "lines": msgspec.convert(row.lines, tuple[Line, ...]),
        "created_at": row.created_at,
        "reverse_charge": row.reverse_charge,
    }


def _invoice(row: Row[Any]) -> Invoice:
    return Invoice(
        id=InvoiceId(row.id), order_id=row.order_id, payment_id=row.payment_id, **_shared(row)
    )


def _credit_note(row: Row[Any]) -> CreditNote:
    return CreditNote(
        id=CreditNoteId(row.id),
        invoice_id=InvoiceId(row.invoice_id),
        invoice_number=row.invoice_number,
        invoice_date=row.invoice_date,
        invoice_total=row.invoice_total_paise,
        refund_id=row.refund_id,
        reason=row.reason,
        **_shared(row),
    )
