"""Invoices and credit notes: their sums, whatever the lines and the refunds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.gst import OTHER_COUNTRIES, Supply, Taxed, split_inclusive
from domain.billing.invoice import CreditNote, Item, sum_of, taxed_lines
from domain.billing.parties import Buyer, Supplier
from domain.shared.errors import InvalidValue
from tests.contracts.invoice_samples import (
    ABROAD,
    ASHA,
    FIRM,
    SUPPLIER,
    make_credit_note,
    make_invoice,
    make_item,
)

UNDERTAKING = replace(SUPPLIER, undertaking="AD290326001234X")
UNREGISTERED = replace(SUPPLIER, gstin="")
RATES = (0, 25, 300, 500, 1_200, 1_800, 2_800, 4_000)

items = st.builds(
    Item,
    description=st.just("Something"),
    sac=st.sampled_from(["998314", "998434"]),
    rate=st.sampled_from(RATES),
    amount=st.integers(0, 3_000) | st.integers(0, 10**9),
)
some_items = st.lists(items, min_size=1, max_size=20)
suppliers = st.sampled_from([SUPPLIER, UNDERTAKING, UNREGISTERED])
buyers = st.sampled_from([ASHA, FIRM, ABROAD])


@given(items=some_items, supplier=suppliers, buyer=buyers)
def test_value_and_taxes_sum_to_the_total_for_any_lines(
    items: list[Item], supplier: Supplier, buyer: Buyer
) -> None:
    invoice = make_invoice(*items, supplier=supplier, buyer=buyer)
    amounts = invoice.amounts
    assert amounts.total == sum(item.amount for item in items)
    assert amounts.taxable + amounts.cgst + amounts.sgst + amounts.igst == amounts.total
    assert amounts.cgst == amounts.sgst
    assert sum_of(parts for _, parts in invoice.rates) == amounts


@pytest.mark.parametrize(
    ("supplier", "buyer", "place", "supply"),
    [
        (SUPPLIER, ASHA, "29", Supply.INTRA_STATE),
        (SUPPLIER, FIRM, "27", Supply.INTER_STATE),
        (SUPPLIER, Buyer(name="Somebody"), "29", Supply.INTRA_STATE),
        (SUPPLIER, ABROAD, OTHER_COUNTRIES, Supply.EXPORT_WITH_TAX),
        (UNDERTAKING, ABROAD, OTHER_COUNTRIES, Supply.EXPORT_WITHOUT_TAX),
        (UNREGISTERED, FIRM, "27", Supply.UNREGISTERED),
    ],
)
def test_who_buys_where_chooses_the_tax(
    supplier: Supplier, buyer: Buyer, place: str, supply: Supply
) -> None:
    found = taxed_lines([make_item()], supplier, buyer)
    assert found[:2] == (place, supply)
    (line,) = found[2]
    assert line.amounts == split_inclusive(118_000, 1_800, supply)
    assert line.rate == (1_800 if supply.taxed else 0)


def test_a_sample_shows_the_tax_that_a_registered_supplier_would() -> None:
    sample = replace(UNREGISTERED, sample=True)
    assert make_invoice(supplier=sample).amounts == make_invoice().amounts


def test_an_invoice_has_lines_of_few_rates() -> None:
    with pytest.raises(ValueError, match="lines"):
        taxed_lines([], SUPPLIER, ASHA)
    with pytest.raises(ValueError, match="rates"):
        taxed_lines([make_item(rate=rate) for rate in range(9)], SUPPLIER, ASHA)


@st.composite
def refunds(draw: st.DrawFn, total: int) -> list[int]:
    """Amounts that are paid back one after another, until nothing is left."""
    parts = []
    while total:
        part = total
        if total > 100 and len(parts) < 30:
            part = draw(st.integers(100, total) | st.integers(100, min(total, 200)))
        parts.append(part)
        total -= part
    return parts


@given(
    data=st.data(),
    items=st.lists(items, min_size=1, max_size=10).filter(
        lambda items: sum(item.amount for item in items) > 0
    ),
    supplier=suppliers,
    buyer=buyers,
)
def test_any_sequence_of_refunds_of_the_whole_reverses_every_part_to_the_paisa(
    data: st.DataObject, items: list[Item], supplier: Supplier, buyer: Buyer
) -> None:
    invoice = make_invoice(*items, supplier=supplier, buyer=buyer)
    notes: list[CreditNote] = []
    for amount in data.draw(refunds(invoice.amounts.total)):
        note = make_credit_note(invoice, amount, *notes)
        assert note.amounts.total == amount
        notes.append(note)
    assert sum_of(note.amounts for note in notes) == invoice.amounts
    credited = {
        rate: sum_of(line.amounts for note in notes for line in note.lines if line.rate == rate)
        for rate, _ in invoice.rates
    }
    assert credited == dict(invoice.rates)


@given(items=some_items, buyer=buyers, share=st.integers(1, 99))
def test_the_tax_of_a_refund_is_in_proportion(items: list[Item], buyer: Buyer, share: int) -> None:
    invoice = make_invoice(*items, buyer=buyer)
    whole = invoice.amounts
    amount = whole.total * share // 100
    if amount < 100:
        return
    part = make_credit_note(invoice, amount).amounts
    # A rate's share is within two paise of its proportion, and so is each of its taxes.
    assert abs(part.tax - whole.tax * amount / whole.total) <= 4 * len(RATES)


def test_a_full_refund_is_the_invoice_again() -> None:
    invoice = make_invoice(make_item(amount=99_999), buyer=ASHA)
    assert make_credit_note(invoice, 99_999).amounts == invoice.amounts


def test_half_a_refund_takes_half_the_tax() -> None:
    note = make_credit_note(make_invoice(), 59_000)
    assert note.amounts == Taxed(taxable=50_000, cgst=4_500, sgst=4_500)


@given(data=st.data(), items=some_items, supplier=suppliers, buyer=buyers)
def test_refunds_of_whatever_size_sum_to_what_was_paid_back(
    data: st.DataObject, items: list[Item], supplier: Supplier, buyer: Buyer
) -> None:
    invoice = make_invoice(*items, supplier=supplier, buyer=buyer)
    left, notes = invoice.amounts.total, list[CreditNote]()
    while left and len(notes) < 20:
        amount = data.draw(st.integers(1, min(left, 3)) | st.integers(1, left))
        notes.append(make_credit_note(invoice, amount, *notes))
        left -= amount
    credited = sum_of(note.amounts for note in notes)
    assert credited.total == invoice.amounts.total - left
    assert credited.cgst <= invoice.amounts.cgst
    assert credited.igst <= invoice.amounts.igst


@pytest.mark.parametrize("amount", [0, -1, 118_001])
def test_nothing_and_too_much_are_refused(amount: int) -> None:
    with pytest.raises(InvalidValue) as refusal:
        make_credit_note(make_invoice(), amount)
    assert refusal.value.field == "amount_paise"


def test_what_was_credited_is_not_credited_again() -> None:
    invoice = make_invoice()
    first = make_credit_note(invoice, 117_999)
    assert make_credit_note(invoice, 1, first).amounts.total == 1
    with pytest.raises(InvalidValue, match="1 paise"):
        make_credit_note(invoice, 100, first)
