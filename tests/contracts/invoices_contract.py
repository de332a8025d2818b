"""What every keeper of invoices, credit notes, series and billing profiles does."""

import asyncio
import itertools
from dataclasses import replace
from datetime import date, timedelta

import pytest

from application.ports.invoices import InvoiceRegister
from application.ports.persistence import UnitOfWork
from domain.billing.invoice import CreditNote, Invoice
from domain.billing.parties import BillingProfile
from domain.billing.serials import DocumentKind, FinancialYear
from domain.shared.ids import CreditNoteId, InvoiceId, UserId
from tests.contracts.invoice_samples import (
    ABROAD,
    ASHA,
    FIRM,
    keep_credit_note,
    keep_invoice,
    make_credit_note,
    make_invoice,
    make_item,
)
from tests.contracts.samples import ids, intrude, keep_user, made_at, new_id

INVOICE, CREDIT_NOTE = DocumentKind

# Financial years that no other test of this process, and no clock, uses.
_years = itertools.count(2100)


def fresh_year() -> FinancialYear:
    """A year whose series are empty."""
    return FinancialYear(next(_years))


def first_day(year: FinancialYear) -> date:
    return date(year.start, 4, 1)


async def issued(uow: UnitOfWork, user_id: UserId) -> list[Invoice | CreditNote]:
    """All that the person was issued, newest first."""
    async with uow.begin(user_id) as tx:
        return list(await tx.invoices.page(100, None, year=None, kind=None))


class BillingProfilesContract:
    async def test_nobody_has_a_profile_before_it_is_put(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        async with uow.begin(user.id) as tx:
            assert await tx.billing_profiles.get() is None

    async def test_a_profile_replaces_the_one_before(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        for buyer in (ASHA, FIRM, ABROAD):
            profile = BillingProfile(user_id=user.id, buyer=buyer, updated_at=made_at(user.id))
            async with uow.begin(user.id) as tx:
                await tx.billing_profiles.put(profile)
            async with uow.begin(user.id) as tx:
                assert await tx.billing_profiles.get() == profile

    async def test_a_stranger_neither_sees_nor_writes_it(self, uow: UnitOfWork) -> None:
        user, stranger = await keep_user(uow), await keep_user(uow)
        profile = BillingProfile(user_id=user.id, buyer=ASHA, updated_at=made_at(user.id))
        async with uow.begin(user.id) as tx:
            await tx.billing_profiles.put(profile)
        async with uow.begin(stranger.id) as tx:
            assert await tx.billing_profiles.get() is None
        forged = replace(profile, buyer=FIRM)
        await intrude(uow, stranger.id, lambda tx: tx.billing_profiles.put(forged))
        async with uow.begin(user.id) as tx:
            assert await tx.billing_profiles.get() == profile


class InvoicesContract:
    async def test_documents_come_back_as_issued(self, uow: UnitOfWork) -> None:
        lines = [make_item(), make_item(description="छूट", rate=500, amount=1, quantity=3)]
        invoice = await keep_invoice(uow, *lines, buyer=FIRM)
        note = await keep_credit_note(uow, invoice, 59_000)
        async with uow.begin(invoice.user_id) as tx:
            assert await tx.invoices.get(invoice.id) == invoice
            assert await tx.invoices.get(note.id) == note
            assert await tx.invoices.of_payment(invoice.payment_id) == invoice
            assert list(await tx.invoices.credit_notes(invoice.id)) == [note]

    async def test_what_is_not_there_is_none(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        async with uow.begin(user.id) as tx:
            assert await tx.invoices.get(new_id()) is None
            assert await tx.invoices.of_payment("pay_unknown") is None
            assert list(await tx.invoices.credit_notes(InvoiceId(new_id()))) == []

    async def test_a_series_counts_from_one_in_each_year_and_kind(self, uow: UnitOfWork) -> None:
        one, two = fresh_year(), fresh_year()
        numbers = [
            (await keep_invoice(uow, issued_on=first_day(year))).number
            for year in (one, one, two, one)
        ]
        assert [number[-6:] for number in numbers] == ["000001", "000002", "000001", "000003"]
        invoice = await keep_invoice(uow, issued_on=first_day(two))
        assert (await keep_credit_note(uow, invoice, 100)).sequence == 1

    async def test_a_number_that_was_rolled_back_is_given_again(self, uow: UnitOfWork) -> None:
        user, day = await keep_user(uow), first_day(fresh_year())
        with pytest.raises(ZeroDivisionError):
            async with uow.begin(user.id) as tx:
                turn = await tx.invoices.take_turn(INVOICE, FinancialYear.of(day), day)
                assert turn.sequence == 1
                raise ZeroDivisionError
        assert (await keep_invoice(uow, owner=user, issued_on=day)).sequence == 1

    async def test_a_number_taken_for_nothing_cannot_be_committed(self, uow: UnitOfWork) -> None:
        user, day = await keep_user(uow), first_day(fresh_year())
        with pytest.raises(Exception, match="taken for nothing"):
            async with uow.begin(user.id) as tx:
                await tx.invoices.take_turn(INVOICE, FinancialYear.of(day), day)
        assert (await keep_invoice(uow, owner=user, issued_on=day)).sequence == 1

    async def test_dates_do_not_run_back_within_a_series(self, uow: UnitOfWork) -> None:
        day = first_day(fresh_year())
        later = await keep_invoice(uow, issued_on=day + timedelta(days=1))
        behind = await keep_invoice(uow, issued_on=day)
        assert (later.sequence, behind.sequence) == (1, 2)
        assert behind.issued_on == later.issued_on

    async def test_many_at_once_are_numbered_without_gap_or_repeat(self, uow: UnitOfWork) -> None:
        day = first_day(fresh_year())
        users = [await keep_user(uow) for _ in range(4)]

        async def issue(place: int) -> int | None:
            user = users[place % len(users)]
            try:
                async with uow.begin(user.id) as tx:
                    turn = await tx.invoices.take_turn(INVOICE, FinancialYear.of(day), day)
                    invoice = make_invoice(user_id=user.id, issued_on=day, sequence=turn.sequence)
                    await tx.invoices.add(invoice)
                    if place % 3 == 0:
                        raise ZeroDivisionError
                    return turn.sequence
            except ZeroDivisionError:
                return None

        given = await asyncio.gather(*(issue(place) for place in range(100)))
        kept = sorted(number for number in given if number is not None)
        assert kept == list(range(1, 67))

    async def test_a_payment_is_invoiced_once(self, uow: UnitOfWork) -> None:
        invoice = await keep_invoice(uow)
        twin = make_invoice(
            user_id=invoice.user_id, sequence=9_999_999, payment_id=invoice.payment_id
        )
        await intrude(uow, invoice.user_id, lambda tx: tx.invoices.add(twin))
        assert await issued(uow, invoice.user_id) == [invoice]

    async def test_a_number_is_given_once(self, uow: UnitOfWork) -> None:
        day = first_day(fresh_year())
        invoice = await keep_invoice(uow, issued_on=day)
        twin = make_invoice(user_id=invoice.user_id, issued_on=day, sequence=invoice.sequence)
        await intrude(uow, invoice.user_id, lambda tx: tx.invoices.add(twin))
        assert await issued(uow, invoice.user_id) == [invoice]

    async def test_a_refund_is_credited_once(self, uow: UnitOfWork) -> None:
        invoice = await keep_invoice(uow)
        note = await keep_credit_note(uow, invoice, 100)
        twin = replace(
            make_credit_note(invoice, 100, note, sequence=9_999_999), refund_id=note.refund_id
        )
        await intrude(uow, invoice.user_id, lambda tx: tx.invoices.add(twin))
        assert await issued(uow, invoice.user_id) == [note, invoice]

    async def test_credits_do_not_exceed_their_invoice(self, uow: UnitOfWork) -> None:
        invoice = await keep_invoice(uow)
        note = await keep_credit_note(uow, invoice, 118_000 - 100)
        over = make_credit_note(invoice, 101, sequence=9_999_999)
        await intrude(uow, invoice.user_id, lambda tx: tx.invoices.add(over))
        assert await issued(uow, invoice.user_id) == [note, invoice]

    async def test_pages_are_newest_first_of_both_kinds(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        first = await keep_invoice(uow, owner=user)
        note = await keep_credit_note(uow, first, 200)
        second = await keep_invoice(uow, owner=user)
        async with uow.begin(user.id) as tx:
            page = await tx.invoices.page(2, None, year=None, kind=None)
            rest = await tx.invoices.page(2, page[-1].id, year=None, kind=None)
        assert (ids(page), ids(rest)) == ([second.id, note.id], [first.id])

    async def test_pages_are_of_one_kind_or_year_if_asked(self, uow: UnitOfWork) -> None:
        user, year = await keep_user(uow), fresh_year()
        old = await keep_invoice(uow, owner=user, issued_on=first_day(year))
        new = await keep_invoice(uow, owner=user)
        note = await keep_credit_note(uow, new, 200)
        async with uow.begin(user.id) as tx:
            of_kind = await tx.invoices.page(9, None, year=None, kind=CREDIT_NOTE)
            of_year = await tx.invoices.page(9, None, year=year, kind=None)
            of_both = await tx.invoices.page(9, None, year=year, kind=CREDIT_NOTE)
        assert (ids(of_kind), ids(of_year), ids(of_both)) == ([note.id], [old.id], [])

    async def test_a_stranger_sees_nothing(self, uow: UnitOfWork) -> None:
        invoice = await keep_invoice(uow)
        note = await keep_credit_note(uow, invoice, 200)
        stranger = await keep_user(uow)
        async with uow.begin(stranger.id) as tx:
            assert await tx.invoices.get(invoice.id) is None
            assert await tx.invoices.get(note.id) is None
            assert await tx.invoices.of_payment(invoice.payment_id) is None
            assert list(await tx.invoices.credit_notes(invoice.id)) == []
        assert await issued(uow, stranger.id) == []

    async def test_a_stranger_cannot_credit_anothers_invoice(self, uow: UnitOfWork) -> None:
        invoice = await keep_invoice(uow)
        stranger = await keep_user(uow)
        note = make_credit_note(
            invoice,
            200,
            sequence=9_999_999,
            id=CreditNoteId(new_id()),
            user_id=stranger.id,
        )
        await intrude(uow, stranger.id, lambda tx: tx.invoices.add(note))
        assert await issued(uow, stranger.id) == []
        assert await issued(uow, invoice.user_id) == [invoice]


class InvoiceRegisterContract:
    async def test_a_months_documents_are_everybodys_in_the_order_of_their_series(
        self, uow: UnitOfWork, register: InvoiceRegister
    ) -> None:
        year = fresh_year()
        april, may = first_day(year), date(year.start, 5, 1)
        mine = [await keep_invoice(uow, issued_on=april) for _ in range(3)]
        later = await keep_invoice(uow, issued_on=may)
        note = await keep_credit_note(uow, later, 200)
        last = may - timedelta(days=1)
        found = await register.issued(INVOICE, april, last, after=0, limit=2)
        rest = await register.issued(INVOICE, april, last, after=2, limit=2)
        assert [*found, *rest] == mine
        assert await register.issued(INVOICE, may, may, after=0, limit=9) == [later]
        assert await register.issued(CREDIT_NOTE, may, may, after=0, limit=9) == [note]
        assert not await register.issued(CREDIT_NOTE, april, last, after=0, limit=9)
