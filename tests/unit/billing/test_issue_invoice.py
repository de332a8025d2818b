"""Invoices at a capture, credit notes at a refund."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from domain.billing.gst import Supply, Taxed
from domain.billing.invoice import CreditNote, sum_of
from domain.shared.errors import NotFound
from domain.shared.ids import UserId
from tests.contracts.invoice_samples import GSTIN_MAHARASHTRA
from tests.contracts.samples import keep_user, new_id
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork
from tests.unit.billing.selling import Paid, Shop, Sold


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def database(clock: MovableClock) -> InMemoryDatabase:
    return InMemoryDatabase(clock)


@pytest.fixture
def shop(database: InMemoryDatabase, clock: MovableClock) -> Shop:
    return Shop(uow=InMemoryUnitOfWork(database), clock=clock, ids=CountingIds())


@pytest.fixture
async def order(shop: Shop) -> Sold:
    return Sold(user_id=(await keep_user(shop.uow)).id)


async def test_an_invoice_says_who_sold_what_to_whom(shop: Shop, order: Sold) -> None:
    payment = Paid()
    await shop.name(order.user_id, gstin=GSTIN_MAHARASHTRA, address="Mumbai")
    invoice = await shop.sell(order, payment)
    assert invoice.number == "BB/26-27/000001"
    assert invoice.issued_on == date(2026, 11, 2)
    assert (invoice.order_id, invoice.payment_id) == (order.id, str(payment.id))
    assert (invoice.supplier, invoice.buyer.gstin) == (shop.supplier, GSTIN_MAHARASHTRA)
    assert (invoice.place, invoice.supply) == ("27", Supply.INTER_STATE)
    (line,) = invoice.lines
    assert (line.description, line.sac, line.rate) == (order.description, "998314", 1_800)
    assert line.amounts == Taxed(taxable=100_000, igst=18_000)


async def test_a_discount_is_recorded_where_it_was_taken_off(shop: Shop, order: Sold) -> None:
    cheaper = replace(order, amount_paise=88_500, discount_paise=29_500)
    (line,) = (await shop.sell(cheaper, Paid())).lines
    assert line.amounts.total == 88_500
    assert line.description == (
        "1,00,000 credits (list price ₹1180.00, less a discount of ₹295.00, taxes included)"
    )


async def test_without_a_profile_it_is_supplied_where_the_supplier_is(
    shop: Shop, order: Sold
) -> None:
    invoice = await shop.sell(order, Paid())
    assert (invoice.buyer.name, invoice.buyer.state) == ("Asha Rao", "")
    assert invoice.supply is Supply.INTRA_STATE


async def test_a_payment_is_invoiced_once(
    shop: Shop, order: Sold, database: InMemoryDatabase
) -> None:
    payment = Paid()
    first = await shop.sell(order, payment)
    assert await shop.sell(order, payment) == first
    assert list(database.tables.issued.values()) == [first]


async def test_a_change_of_the_profile_leaves_what_was_issued(shop: Shop, order: Sold) -> None:
    payment = Paid()
    invoice = await shop.sell(order, payment)
    await shop.name(order.user_id, name="Another Name", state="27")
    note = await shop.take_back(order, payment, 59_000)
    assert note is not None
    assert (note.buyer, note.place) == (invoice.buyer, "29")
    assert (await shop.sell(order, Paid())).buyer.name == "Another Name"


async def test_the_first_minute_of_april_in_india_is_a_new_year(
    shop: Shop, order: Sold, clock: MovableClock
) -> None:
    clock.set(datetime(2027, 3, 31, 18, 29, tzinfo=UTC))
    assert (await shop.sell(order, Paid())).number == "BB/26-27/000001"
    clock.set(datetime(2027, 3, 31, 18, 30, tzinfo=UTC))
    invoice = await shop.sell(order, Paid())
    assert (invoice.number, invoice.issued_on) == ("BB/27-28/000001", date(2027, 4, 1))


async def test_a_credit_note_names_its_invoice_and_reverses_the_tax(
    shop: Shop, order: Sold
) -> None:
    payment, refund_id = Paid(), new_id()
    invoice = await shop.sell(order, payment)
    note = await shop.take_back(order, payment, 59_000, id=refund_id, reason="Bought twice")
    assert isinstance(note, CreditNote)
    assert (note.number, note.refund_id) == ("BC/26-27/000001", str(refund_id))
    assert (note.invoice_id, note.invoice_number) == (invoice.id, invoice.number)
    assert (note.invoice_date, note.invoice_total) == (invoice.issued_on, 118_000)
    assert note.amounts == Taxed(taxable=50_000, cgst=4_500, sgst=4_500)
    assert note.reason == "Bought twice"


async def test_a_refund_is_credited_once(shop: Shop, order: Sold) -> None:
    payment, refund_id = Paid(), new_id()
    await shop.sell(order, payment)
    first = await shop.take_back(order, payment, 59_000, id=refund_id)
    assert first is not None
    assert first.reason == "Refund"
    assert await shop.take_back(order, payment, 59_000, id=refund_id) == first


async def test_refunds_in_parts_come_to_the_whole(shop: Shop, order: Sold) -> None:
    payment = Paid()
    invoice = await shop.sell(order, payment)
    notes = [await shop.take_back(order, payment, amount) for amount in (333, 33_333, 101, 84_233)]
    assert sum_of(note.amounts for note in notes if note) == invoice.amounts


async def test_no_more_is_credited_than_is_left(shop: Shop, order: Sold) -> None:
    payment = Paid()
    invoice = await shop.sell(order, payment)
    first = await shop.take_back(order, payment, 100_000)
    again = await shop.take_back(order, payment, 100_000)
    assert first is not None
    assert again is not None
    assert first.amounts + again.amounts == invoice.amounts
    assert await shop.take_back(order, payment, 100_000) is None


async def test_what_was_never_invoiced_has_nothing_to_credit(shop: Shop, order: Sold) -> None:
    assert await shop.take_back(order, Paid(), 100) is None


async def test_nobody_is_invoiced_who_is_not_there(shop: Shop, database: InMemoryDatabase) -> None:
    with pytest.raises(NotFound):
        await shop.sell(Sold(user_id=UserId(new_id())), Paid())
    assert not database.tables.series
