"""The papers of what is bought and given back, however often it is told of."""

import asyncio

from application.billing.refund_desk import RefundOrder
from domain.billing.invoice import CreditNote, Invoice, sum_of
from domain.billing.payments import Payment, TransactionStatus
from tests.contracts.samples import ORIGIN, keep_user
from tests.contracts.shop import CAPTURED, FAILED, Shop


def give_back(payment: Payment, amount_paise: int | None = None) -> RefundOrder:
    return RefundOrder(
        origin=ORIGIN,
        user_id=payment.user_id,
        payment_id=payment.id,
        amount_paise=amount_paise,
        reason="Bought twice",
    )


class InvoicedFlowContract:
    async def test_a_captured_payment_has_an_invoice_of_its_amount(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        (invoice,) = await shop.papers(order.user_id)
        assert isinstance(invoice, Invoice)
        assert (invoice.order_id, invoice.payment_id) == (order.id, str(payment.id))
        assert invoice.amounts.total == order.amount_paise
        assert invoice.lines[0].description == order.description

    async def test_a_payment_told_many_times_at_once_has_one_invoice(self, shop: Shop) -> None:
        order = await shop.order()
        seen = await shop.gateway.attempt(order, CAPTURED)
        await asyncio.gather(*(shop.see(order, seen) for _ in range(12)))
        assert len(await shop.papers(order.user_id)) == 1

    async def test_an_attempt_that_failed_has_no_papers(self, shop: Shop) -> None:
        order = await shop.order()
        await shop.see(order, await shop.gateway.attempt(order, FAILED))
        assert await shop.papers(order.user_id) == []

    async def test_surplus_money_has_no_papers(self, shop: Shop) -> None:
        order, _ = await shop.paid()
        await shop.see(order, await shop.gateway.attempt(order, CAPTURED))
        surplus = next(p for p in await shop.payments(order) if p.refunded_paise)
        (refund,) = await shop.refunds_of(surplus)
        await shop.refunds.carry_out(refund)
        assert [paper.kind for paper in await shop.papers(order.user_id)] == ["invoice"]

    async def test_a_refund_has_a_credit_note_against_the_invoice(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        refund = await shop.refunds.request(give_back(payment, 5_000))
        invoice, note = await shop.papers(order.user_id)
        assert isinstance(note, CreditNote)
        assert (note.invoice_id, note.refund_id) == (invoice.id, str(refund.id))
        assert (note.amounts.total, note.reason) == (5_000, "Bought twice")

    async def test_refunds_in_parts_credit_the_whole_invoice(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        for part in (3_333, 101, None):
            await shop.refunds.request(give_back(payment, part))
        invoice, *notes = await shop.papers(order.user_id)
        assert len(notes) == 3
        assert sum_of(note.amounts for note in notes) == invoice.amounts

    async def test_a_refund_of_one_paisa_is_credited(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        await shop.refunds.request(give_back(payment, 1))
        _, note = await shop.papers(order.user_id)
        assert note.amounts.total == 1

    async def test_a_refund_under_way_is_credited_once(self, shop: Shop) -> None:
        order, payment = await shop.paid()
        shop.gateway.refund_status = TransactionStatus.PENDING
        refund = await shop.refunds.request(give_back(payment))
        (known,) = await shop.gateway.refunds_of(payment.gateway_payment_id)
        assert refund.status is TransactionStatus.PENDING
        for _ in range(2):
            await shop.refunds.record(order.user_id, payment.id, known)
        assert len(await shop.papers(order.user_id)) == 2

    async def test_what_was_not_committed_leaves_no_number_behind(self, shop: Shop) -> None:
        first, _ = await shop.paid()
        lost = await shop.order()
        seen = await shop.gateway.attempt(lost, CAPTURED)
        try:
            async with shop.uow.begin(lost.user_id) as tx:
                payment = Payment(
                    id=shop.ids.new(),
                    user_id=lost.user_id,
                    order_id=lost.id,
                    gateway_payment_id=seen.id,
                    status=CAPTURED,
                    amount_paise=lost.amount_paise,
                    currency=lost.currency,
                    created_at=shop.clock.now(),
                )
                await shop.fulfilments[lost.purpose].fulfil(tx, lost, payment)
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert await shop.papers(lost.user_id) == []
        owner = await keep_user(shop.uow)
        second, _ = await shop.paid(await shop.order(owner))
        before, after = [
            (await shop.papers(order.user_id))[0].sequence for order in (first, second)
        ]
        assert after == before + 1
