"""A shop to buy at: every use case of payments over one set of repositories."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from application.billing.buy_credits import BuyCredits, CancelOrder, CreditOrder
from application.billing.invoiced import InvoicedFulfilment
from application.billing.issue_invoice import IssueCreditNote, IssueInvoice
from application.billing.order_desk import OrderDesk
from application.billing.oversee_payments import OverseeWebhooks
from application.billing.payment_book import PaymentBook
from application.billing.reconcile import ReconcileOrders, ReconcileRefunds
from application.billing.refund_desk import RefundDesk
from application.billing.told import ToldFulfilment
from application.billing.top_up import TopUpFulfilment
from application.billing.verify_payment import VerifyPayment
from application.billing.webhooks import ProcessWebhooks, ReceiveWebhook
from application.ports.idempotency import Completion, KeyClaim, StoredReply
from application.ports.payment_gateway import GatewayEvent, GatewayPayment
from application.ports.payments import PaymentSchedule, WebhookInbox, WebhookWork
from application.ports.persistence import Transaction, UnitOfWork
from domain.billing.invoice import CreditNote, Invoice
from domain.billing.orders import Order, OrderPurpose
from domain.billing.payments import Payment, Refund, TransactionStatus
from domain.identity.user import User
from domain.shared.idempotency import IdempotencyKey
from domain.shared.ids import UserId
from tests.contracts.invoice_samples import TERMS
from tests.contracts.samples import LONG_LEASE, keep_user, new_id
from tests.fakes.clock import MovableClock
from tests.fakes.gateway_store import ScriptedGateway
from tests.fakes.metrics import RecordingPaymentMetrics

CAPTURED = TransactionStatus.CAPTURED
AUTHORIZED = TransactionStatus.AUTHORIZED
FAILED = TransactionStatus.FAILED


class RandomIds:
    """Identifiers that no other test has."""

    def new(self) -> Any:
        return new_id()


class CountedTopUps(TopUpFulfilment):
    """Top-ups that remember what was asked of them, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fulfil(self, tx: Transaction, order: Order, payment: Payment) -> None:
        self.asked.append("fulfil")
        await super().fulfil(tx, order, payment)

    async def fail(self, tx: Transaction, order: Order, payment: Payment) -> None:
        self.asked.append("fail")
        await super().fail(tx, order, payment)

    async def reverse(self, tx: Transaction, order: Order, refund: Refund) -> None:
        self.asked.append("reverse")
        await super().reverse(tx, order, refund)


@dataclass(kw_only=True)
class Shop:
    """Sells credits. The clock is the test's; the gateway does as it is told."""

    uow: UnitOfWork
    schedule: PaymentSchedule
    inbox: WebhookInbox
    work: WebhookWork
    clock: MovableClock
    gateway: ScriptedGateway = field(default_factory=ScriptedGateway)
    metrics: RecordingPaymentMetrics = field(default_factory=RecordingPaymentMetrics)
    ids: RandomIds = field(default_factory=RandomIds)
    top_ups: CountedTopUps = field(default_factory=CountedTopUps)
    key: IdempotencyKey = field(default_factory=lambda: IdempotencyKey(str(new_id())))

    @cached_property
    def fulfilments(self) -> Mapping[OrderPurpose, Any]:
        invoiced = InvoicedFulfilment(
            ToldFulfilment(self.top_ups),
            IssueInvoice(self.clock, self.ids, TERMS),
            IssueCreditNote(self.clock, self.ids, TERMS),
        )
        return dict.fromkeys(OrderPurpose, invoiced)

    @cached_property
    def desk(self) -> OrderDesk:
        return OrderDesk(self.uow, self.gateway, self.clock, self.ids)

    @cached_property
    def book(self) -> PaymentBook:
        return PaymentBook(
            self.uow, self.gateway, self.fulfilments, self.clock, self.ids, self.metrics
        )

    @cached_property
    def refunds(self) -> RefundDesk:
        return RefundDesk(
            self.uow, self.gateway, self.fulfilments, self.clock, self.ids, self.metrics
        )

    @cached_property
    def buy(self) -> BuyCredits:
        return BuyCredits(self.uow, self.desk)

    @cached_property
    def cancel(self) -> CancelOrder:
        return CancelOrder(self.uow)

    @cached_property
    def verify(self) -> VerifyPayment:
        return VerifyPayment(self.uow, self.gateway, self.book)

    @cached_property
    def receive(self) -> ReceiveWebhook:
        return ReceiveWebhook(self.gateway, self.inbox, self.ids)

    @cached_property
    def process(self) -> ProcessWebhooks:
        return ProcessWebhooks(
            self.gateway, self.work, self.schedule, self.book, self.refunds, self.metrics
        )

    @cached_property
    def events(self) -> OverseeWebhooks:
        return OverseeWebhooks(self.work)

    @cached_property
    def reconcile(self) -> ReconcileOrders:
        return ReconcileOrders(self.schedule, self.uow, self.gateway, self.book, self.clock)

    @cached_property
    def reconcile_refunds(self) -> ReconcileRefunds:
        return ReconcileRefunds(self.schedule, self.uow, self.gateway, self.refunds)

    async def order(self, owner: User | None = None, **more: Any) -> Order:
        """A placed order of the starter pack, of somebody new unless said otherwise."""
        owner = owner or await keep_user(self.uow)
        return await self.buy(CreditOrder(user_id=owner.id, pack="starter", **more))

    async def see(self, order: Order, payment: GatewayPayment) -> Order:
        return await self.book.observe(order.user_id, order.id, payment)

    async def paid(self, order: Order | None = None) -> tuple[Order, Payment]:
        """An order that was paid, and its payment."""
        order = order or await self.order()
        seen = await self.gateway.attempt(order, CAPTURED)
        paid = await self.see(order, seen)
        (payment,) = [p for p in await self.payments(order) if p.id == paid.paid_with]
        return paid, payment

    async def tell(self, event: GatewayEvent) -> None:
        """Have an event come."""
        await self.receive(*self.gateway.signed(event))

    async def act(self) -> None:
        """Act on events until none is due."""
        while await self.process():
            continue

    async def now(self, order: Order) -> Order:
        """The order as it is kept."""
        async with self.uow.begin(order.user_id) as tx:
            kept = await tx.orders.get(order.id)
        assert kept is not None
        return kept

    async def payments(self, order: Order) -> list[Payment]:
        async with self.uow.begin(order.user_id) as tx:
            return list(await tx.payments.of_order(order.id))

    async def refunds_of(self, payment: Payment) -> list[Refund]:
        async with self.uow.begin(payment.user_id) as tx:
            return list(await tx.payments.refunds_of(payment.id))

    async def keyed(self, user_id: UserId) -> Completion[Refund]:
        """A key that was claimed, for a request whose reply is asked for by :meth:`reply`."""
        self.key = IdempotencyKey(str(new_id()))
        async with self.uow.begin(user_id) as tx:
            claim = await tx.idempotency.claim(
                self.key, "", lease_seconds=LONG_LEASE, keep_seconds=LONG_LEASE
            )
        assert isinstance(claim, KeyClaim)
        return Completion(
            claim,
            lambda refund: StoredReply(
                status=202, headers={}, body=f"{refund.status} {refund.id}".encode()
            ),
        )

    async def reply(self, user_id: UserId) -> str:
        """What a repeat with the last key is answered."""
        async with self.uow.begin(user_id) as tx:
            found = await tx.idempotency.claim(self.key, "", lease_seconds=1, keep_seconds=1)
        assert isinstance(found, StoredReply)
        return found.body.decode()

    async def credits(self, user_id: UserId) -> tuple[int, int]:
        """What is free, and what is owed."""
        async with self.uow.begin(user_id) as tx:
            balance = await tx.ledger.balance(user_id)
        return balance.available, balance.owed

    async def papers(self, user_id: UserId) -> list[Invoice | CreditNote]:
        """The person's invoices and credit notes, oldest first."""
        async with self.uow.begin(user_id) as tx:
            return list(await tx.invoices.page(100, None, year=None, kind=None))[::-1]
