"""Invoices as PDF files: read back as a person would read them."""

import asyncio
import io
import re
from dataclasses import replace
from uuid import UUID

import pytest
from pypdf import PdfReader

from adapters.documents.invoice_pdf import TypstInvoiceRenderer, render_invoice
from domain.billing.invoice import CreditNote, Invoice
from domain.billing.parties import Buyer
from tests.contracts.invoice_samples import (
    ABROAD,
    ASHA,
    FIRM,
    SUPPLIER,
    make_credit_note,
    make_invoice,
    make_item,
)


def pages(document: Invoice | CreditNote) -> list[str]:
    """The text of each page, without the places where a word may be broken."""
    reader = PdfReader(io.BytesIO(render_invoice(document)))
    return [page.extract_text().replace("\u200b", "") for page in reader.pages]


def assert_says(document: Invoice | CreditNote, *words: str) -> None:
    """Hold a document's text to what it must say, wherever its lines break."""
    text = squeezed("".join(pages(document)))
    missing = [word for word in words if squeezed(word) not in text]
    assert not missing, text


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_an_invoice_says_what_rule_46_asks_for() -> None:
    invoice = make_invoice(buyer=FIRM)
    assert_says(
        invoice,
        "Tax Invoice",
        *(SUPPLIER.name, *SUPPLIER.address.splitlines(), SUPPLIER.gstin),
        *("BB/26-27/000001", "02 Nov 2026"),
        *(FIRM.name, *FIRM.address.splitlines(), FIRM.gstin, "27-Maharashtra"),
        *("998314", "1,00,000 credits", "18%", "1,000.00", "IGST", "180.00", "1,180.00"),
        *("Place of supply", "Reverse charge", "No"),
        "Rupees one thousand one hundred eighty only",
        "page 1 of 1",
    )


def test_within_a_state_there_are_two_taxes_of_half_the_rate() -> None:
    assert_says(make_invoice(), "CGST 9%", "SGST 9%", "90.00")


def test_a_territorys_tax_has_its_name() -> None:
    there = replace(ASHA, state="04")
    supplier = replace(SUPPLIER, state="04")
    assert_says(make_invoice(buyer=there, supplier=supplier), "UTGST 9%")


def test_the_rupee_sign_and_indian_scripts_have_their_glyphs() -> None:
    invoice = make_invoice(buyer=replace(ASHA, name="आशा राव"))
    assert_says(invoice, "₹ 1,180.00")
    reader = PdfReader(io.BytesIO(render_invoice(invoice)))
    fonts = reader.pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    names = {str(font.get_object()["/BaseFont"]) for font in fonts.values()}
    assert {name.split("+")[1].split("-")[0] for name in names} == {
        "NotoSans",
        "NotoSansDevanagari",
    }


def test_a_credit_note_names_its_invoice() -> None:
    note = make_credit_note(make_invoice(sequence=7), 59_000, reason="Wrong pack bought")
    assert_says(
        note,
        *("Credit Note", "BC/26-27/000001", "Against invoice", "BB/26-27/000007"),
        *("Wrong pack bought", "500.00", "45.00", "Total credited", "₹ 590.00"),
    )


def test_an_export_bears_the_words_of_the_rule() -> None:
    undertaking = replace(SUPPLIER, undertaking="AD290326001234X")
    assert_says(
        make_invoice(buyer=ABROAD, supplier=undertaking),
        "UNDER BOND OR LETTER OF UNDERTAKING WITHOUT PAYMENT OF INTEGRATED TAX",
        *("AD290326001234X", "96-Other Countries"),
    )
    assert_says(make_invoice(buyer=ABROAD), "EXPORT ON PAYMENT OF INTEGRATED TAX")


def test_without_a_supplier_it_says_that_it_is_a_sample() -> None:
    (text,) = pages(make_invoice(supplier=replace(SUPPLIER, gstin="", sample=True)))
    assert "Sample, not a tax invoice" in text
    assert "Tax Invoice" not in text


def test_who_is_not_registered_shows_no_tax() -> None:
    (text,) = pages(make_invoice(supplier=replace(SUPPLIER, gstin="")))
    assert "not registered under GST" in text
    assert "Tax Invoice" not in text
    assert "GST 9%" not in text


EVIL = (
    "*bold* _emphasis_ = Heading",
    '#panic("x") #read("/etc/passwd") #sys.inputs',
    "$x^2$ @reference <label> `raw` \\ // comment",
    '"} ] #import "@preview/x:1.0.0": *',
)


@pytest.mark.parametrize("text", EVIL)
def test_what_people_write_is_text_and_never_markup(text: str) -> None:
    buyer = Buyer(name=text, address=f"{text}\n{text}", state="29")
    invoice = make_invoice(make_item(description=text), buyer=buyer)
    assert_says(invoice, text)
    assert squeezed("".join(pages(invoice))).count(squeezed(text)) == 4
    assert_says(make_credit_note(invoice, 500, reason=text), text)


def test_many_lines_go_on_over_pages_under_the_same_titles() -> None:
    items = [make_item(description=f"Seat number {n}") for n in range(150)]
    text = pages(make_invoice(*items))
    assert len(text) > 3
    assert all("Taxable value" in page for page in text)
    whole = "".join(text)
    assert all(f"Seat number {n}" in whole for n in range(150))
    assert f"page {len(text)} of {len(text)}" in text[-1]
    assert "Rupees one lakh seventy-seven thousand only" in text[-1]


def test_lines_of_several_rates_are_summed_by_rate() -> None:
    items = [make_item(), make_item(rate=500, amount=10_500)]
    assert_says(make_invoice(*items), "TAX BY RATE", "5%", "100.00", "2.50", "18%", "90.00")


@pytest.mark.parametrize("letter", ["W", "/", "ಕ"])
def test_a_word_of_any_length_is_broken_into_lines(letter: str) -> None:
    buyer = replace(ASHA, name=letter * 200, address=letter * 200)
    (text,) = pages(make_invoice(make_item(description=letter * 200), buyer=buyer))
    runs = re.findall(f"{letter}+", text)
    assert sum(map(len, runs)) >= 600
    assert max(map(len, runs)) <= 72


@pytest.mark.parametrize(
    "id_", ["01a22114-6b5c-7521-9b5a-5297609dc1f1", "11111111-1111-7111-9111-111111111111"]
)
def test_an_identifier_is_broken_into_lines_whatever_its_digits(id_: str) -> None:
    invoice = make_invoice(order_id=UUID(id_), payment_id=id_)
    (text,) = pages(invoice)
    assert squeezed(text).count(id_) == 2
    assert max(map(len, re.findall("[0-9a-f-]+", text))) <= 24
    assert squeezed("".join(pages(make_credit_note(invoice, 500, refund_id=id_)))).count(id_) == 1


@pytest.mark.parametrize("kind", ["invoice", "credit note"])
def test_the_same_document_gives_the_same_bytes(kind: str) -> None:
    invoice = make_invoice(buyer=FIRM)
    document = invoice if kind == "invoice" else make_credit_note(invoice, 500)
    first = render_invoice(document)
    render_invoice(make_invoice())
    assert render_invoice(document) == first
    assert first.startswith(b"%PDF-")


async def test_many_may_ask_at_once() -> None:
    renderer = TypstInvoiceRenderer(concurrency=2)
    invoices = [make_invoice(sequence=n) for n in range(1, 9)]
    files = await asyncio.gather(*(renderer.render(invoice) for invoice in invoices))
    assert files == [render_invoice(invoice) for invoice in invoices]
