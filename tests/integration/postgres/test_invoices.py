"""Invoices on PostgreSQL, when many are issued at once."""

import asyncio
import random
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import open_engine
from adapters.postgres.invoices import PostgresInvoiceRegister
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import UuidMaker
from application.billing.export_invoices import ExportInvoices, Month
from application.billing.issue_invoice import IssueInvoice
from domain.billing.invoice import CreditNote, Invoice, sum_of
from entrypoints.local_stack import StackAddresses
from tests.contracts.samples import keep_user, new_id
from tests.fakes.clock import MovableClock
from tests.unit.billing.selling import Paid, Shop, Sold

BEGINNING = 2040
"""Financial years that nothing else in this database is issued in."""


def shop_of(uow: PostgresUnitOfWork, year: int) -> Shop:
    """A shop whose clock stands in its own financial year."""
    clock = MovableClock(datetime(year, 6, 15, 9, 0, tzinfo=UTC))
    return Shop(uow=uow, clock=clock, ids=UuidMaker())


async def documents_of(uow: PostgresUnitOfWork, order: Sold) -> list[Invoice | CreditNote]:
    async with uow.begin(order.user_id) as tx:
        return list(await tx.invoices.page(1_000, None, year=None, kind=None))


async def test_a_hundred_at_once_with_some_rolled_back_are_consecutive(
    postgres_uow: PostgresUnitOfWork,
) -> None:
    shop = shop_of(postgres_uow, BEGINNING)
    users = [await keep_user(postgres_uow) for _ in range(10)]
    lots = random.Random(7)
    broken = set(lots.sample(range(100), 30))

    async def sell(place: int) -> Invoice | None:
        order = Sold(user_id=users[place % 10].id, amount_paise=lots.randrange(100, 1_000_000))
        try:
            async with postgres_uow.begin(order.user_id) as tx:
                issue = IssueInvoice(shop.clock, shop.ids, shop.terms)
                invoice = await issue(tx, order=order, payment=Paid())
                if place in broken:
                    raise ZeroDivisionError
                return invoice
        except ZeroDivisionError:
            return None

    sold = await asyncio.gather(*(sell(place) for place in range(100)))
    kept = [invoice for invoice in sold if invoice is not None]
    assert len(kept) == 70
    numbers = sorted(invoice.number for invoice in kept)
    assert numbers == [f"BB/40-41/{sequence:06d}" for sequence in range(1, 71)]


async def test_one_payment_told_twenty_times_at_once_has_one_invoice(
    postgres_uow: PostgresUnitOfWork,
) -> None:
    shop = shop_of(postgres_uow, BEGINNING + 1)
    for turn in range(1, 11):
        order, payment = Sold(user_id=(await keep_user(postgres_uow)).id), Paid()
        told = await asyncio.gather(*(shop.sell(order, payment) for _ in range(20)))
        assert {invoice.number for invoice in told} == {f"BB/41-42/{turn:06d}"}
        assert await documents_of(postgres_uow, order) == [told[0]]


async def test_refunds_at_once_never_credit_more_than_the_invoice(
    postgres_uow: PostgresUnitOfWork,
) -> None:
    shop = shop_of(postgres_uow, BEGINNING + 2)
    order, payment = Sold(user_id=(await keep_user(postgres_uow)).id), Paid()
    invoice = await shop.sell(order, payment)
    refunds = [new_id() for _ in range(15)]
    ended = await asyncio.gather(
        # Each is told twice, as a gateway may.
        *(shop.take_back(order, payment, 11_800, id=id_) for id_ in refunds for _ in range(2)),
    )
    assert ended.count(None) == 10
    *notes, first = await documents_of(postgres_uow, order)
    assert first == invoice
    assert len(notes) == 10
    assert sum_of(note.amounts for note in notes) == invoice.amounts
    assert sorted(note.sequence for note in notes) == list(range(1, 11))


async def test_the_months_file_has_every_document_once(
    postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine
) -> None:
    shop = shop_of(postgres_uow, BEGINNING + 3)
    issued: list[Invoice | CreditNote] = []
    for _ in range(3):
        for amount in (118_000, 99_999, 101):
            order, payment = (
                Sold(user_id=(await keep_user(postgres_uow)).id, amount_paise=amount),
                Paid(),
            )
            issued.append(await shop.sell(order, payment))
            note = await shop.take_back(order, payment, 100)
            assert note is not None
            issued.append(note)
    export = ExportInvoices(PostgresInvoiceRegister(dispatch_engine), batch=4)
    month = Month.named(f"{BEGINNING + 3}-06")
    found = [row.document async for row in await export(month)]
    assert sorted(found, key=lambda document: document.id) == issued
    assert [document.kind for document in found] == ["invoice"] * 9 + ["credit_note"] * 9
    for half in (found[:9], found[9:]):
        assert [document.sequence for document in half] == list(range(1, 10))
    before = Month.named(f"{BEGINNING + 3}-05")
    assert [row async for row in await export(before)] == []


@pytest.mark.parametrize("table", ["invoices", "credit_notes"])
@pytest.mark.parametrize("command", ["UPDATE {} SET number = number", "DELETE FROM {}"])
async def test_not_even_the_owner_changes_what_is_issued(
    stack: StackAddresses, table: str, command: str
) -> None:
    owner = open_engine(stack.database_owner_url or "", pool_size=1, application="tests")
    try:
        with pytest.raises(DBAPIError, match="only grow"):
            async with owner.begin() as connection:
                await connection.execute(text(command.format(table)))
    finally:
        await owner.dispose()
