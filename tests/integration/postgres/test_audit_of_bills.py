"""The audit of what was used, bought and billed: whole when all is well, and every damage told."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit import CHECKS, open_audit
from adapters.postgres.audit_bills import BILLS
from adapters.postgres.audit_ledger import Check
from adapters.postgres.payment_work import (
    PostgresPaymentSchedule,
    PostgresWebhookInbox,
    PostgresWebhookWork,
)
from adapters.postgres.subscription_work import PostgresSubscriptionSchedule
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.billing.buy_credits import CreditOrder
from application.billing.refund_desk import RefundOrder
from application.ports.model_calls import CallState, ModelCall
from application.runs.settlement import record_calls, settle_step
from domain.billing.ledger import Reservation
from domain.identity.user import User
from domain.shared.ids import AgentTaskId
from entrypoints.local_stack import StackAddresses
from tests.contracts.keys_contract import keep_key
from tests.contracts.office import Office
from tests.contracts.samples import ORIGIN, keep_project, keep_run, make_call, make_coupon, new_id
from tests.contracts.shop import CAPTURED
from tests.fakes.clock import MovableClock
from tests.fakes.prices import FIRST_RATE


@dataclass(frozen=True)
class Customer:
    """Somebody who did everything that is billed."""

    user: User
    coupon: str


@pytest.fixture(scope="module")
async def customer(app_engine: AsyncEngine, dispatch_engine: AsyncEngine) -> Customer:
    uow = PostgresUnitOfWork(app_engine)
    office = Office(
        uow=uow,
        schedule=PostgresPaymentSchedule(dispatch_engine),
        inbox=PostgresWebhookInbox(app_engine),
        work=PostgresWebhookWork(dispatch_engine),
        clock=MovableClock(),
        subscriptions=PostgresSubscriptionSchedule(dispatch_engine),
    )
    user = await office.buyer("student")
    coupon = make_coupon()
    async with uow.begin(user.id) as tx:
        await tx.coupons.add(coupon)
    order = await office.buy(CreditOrder(user_id=user.id, pack="starter", coupon=coupon.code))
    paid = await office.see(order, await office.gateway.attempt(order, CAPTURED))
    assert paid.paid_with is not None
    for paise in (1, 777):
        await office.refunds.request(
            RefundOrder(
                origin=ORIGIN,
                user_id=user.id,
                payment_id=paid.paid_with,
                amount_paise=paise,
                reason="-",
            )
        )
    await _use(uow, user)
    return Customer(user, coupon.code)


async def _use(uow: PostgresUnitOfWork, user: User) -> None:
    """A keyed run with a step that was settled, with what a crash of ours lost before and
    after it, and one that still holds."""
    key = await keep_key(uow, user)
    run = await keep_run(uow, await keep_project(uow, user), api_key_id=key.id)
    for step in ("idea", "srs"):
        async with uow.begin(user.id) as tx:
            call = make_call(run, step=step)
            await tx.calls.add(call)
            await tx.ledger.reserve(
                Reservation(
                    user_id=user.id,
                    key=f"reserve:{call.id}",
                    run_id=run.id,
                    step=step,
                    credits=50,
                )
            )
            await tx.keys.hold(run.id, 50)
    lost = [make_call(run, request_hash=f"{number:064}") for number in range(3)]
    async with uow.begin(user.id) as tx:
        (call,) = await tx.calls.of_step(run.id, "idea")
        for each in lost:
            await tx.calls.add(each)
        await tx.calls.give_up(run.id, "idea", lost[0].request_hash)
        await record_calls(tx, [_replied(call), _replied(lost[0])], FIRST_RATE)
        await settle_step(tx, run, "idea", AgentTaskId(new_id()), FIRST_RATE, charged=True)
    for each in lost[1:]:
        async with uow.begin(user.id) as tx:
            await record_calls(tx, [_replied(each)], FIRST_RATE)


def _replied(call: ModelCall) -> ModelCall:
    return replace(call, state=CallState.REPLIED, model="a-model", cost_nano_usd=3_000_001)


@pytest.fixture
async def superuser(superuser_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Who could do damage: triggers are off for this session, and nothing of it is kept."""
    connection = await asyncpg.connect(superuser_url)
    await connection.execute("SET session_replication_role = replica")
    undone = connection.transaction()
    await undone.start()
    yield connection
    await undone.rollback()
    await connection.close()


async def found(
    connection: "asyncpg.Connection[asyncpg.Record]", check: Check, customer: Customer
) -> list[tuple[str, str]]:
    """What a check finds of the customer's, or of what nobody has for themselves."""
    mine = {str(customer.user.id), customer.coupon, "series"}
    rows = await connection.fetch(check.differences)
    return [
        (str(row["kept"]), str(row["summed"])) for row in rows if mine & set(row["place"].split())
    ]


async def test_what_went_as_it_should_is_whole(
    superuser: "asyncpg.Connection[asyncpg.Record]", customer: Customer
) -> None:
    for check in CHECKS:
        assert await found(superuser, check, customer) == [], check.name


DAMAGE = {
    "usage": [
        "UPDATE usage SET credits = credits + 1 WHERE user_id = $1",
        "DELETE FROM usage WHERE user_id = $1",
        "UPDATE usage SET charged = false WHERE user_id = $1",
        "UPDATE usage SET run_id = gen_random_uuid() WHERE user_id = $1",
    ],
    "calls": [
        "UPDATE model_calls SET cost_nano_usd = cost_nano_usd + 1"
        " WHERE user_id = $1 AND borne_by = 'user'",
        "UPDATE model_calls SET borne_by = 'house' WHERE user_id = $1 AND borne_by = 'user'",
        "UPDATE journal SET key = key || '!' WHERE user_id = $1 AND key LIKE 'late:%'",
        "UPDATE usage SET house_nano_usd = 0 WHERE user_id = $1",
    ],
    "house": [
        "DELETE FROM postings WHERE user_id = $1 AND account = 'house_crash'",
        "DELETE FROM journal WHERE user_id = $1 AND key LIKE 'late:%'",
        "UPDATE postings SET account = 'house_cost' WHERE user_id = $1 AND account = 'house_crash'",
        "UPDATE model_calls SET purpose = 'review' WHERE user_id = $1 AND borne_by = 'house'",
        "UPDATE model_calls SET cost_nano_usd = 2 * cost_nano_usd"
        " WHERE user_id = $1 AND borne_by = 'house'",
    ],
    "keys": [
        "UPDATE api_keys SET credits_used = credits_used + 1 WHERE user_id = $1",
        "UPDATE api_keys SET credits_held = credits_held - 1 WHERE user_id = $1",
    ],
    "orders": [
        "UPDATE orders SET amount_paise = amount_paise - 1 WHERE user_id = $1",
        "UPDATE orders SET paid_with = NULL WHERE user_id = $1",
        "UPDATE orders SET status = 'open' WHERE user_id = $1",
        "UPDATE transactions SET status = 'authorized' WHERE user_id = $1 AND kind = 'payment'",
        "UPDATE transactions SET currency = 'USD' WHERE user_id = $1 AND kind = 'payment'",
    ],
    "refunds": [
        "UPDATE transactions SET refunded = refunded + 1 WHERE user_id = $1 AND kind = 'payment'",
        "DELETE FROM transactions WHERE user_id = $1 AND kind = 'refund'",
    ],
    "top-ups": [
        "UPDATE journal SET key = key || '!' WHERE user_id = $1 AND key LIKE 'payment:%'",
        "UPDATE orders SET credits = credits + 100 WHERE user_id = $1 AND purpose = 'top_up'",
        "UPDATE journal SET key = key || '!' WHERE user_id = $1 AND kind = 'claw_back'",
        "UPDATE transactions SET amount = amount + 50 WHERE user_id = $1 AND kind = 'refund'",
    ],
    "allotments": [
        "UPDATE allotments SET credits = credits - 1 WHERE user_id = $1",
        "UPDATE allotments SET granted_to = gen_random_uuid() WHERE user_id = $1",
        "DELETE FROM allotments WHERE user_id = $1",
        "UPDATE journal SET key = key || '!' WHERE user_id = $1 AND key LIKE 'plan:%'",
    ],
    "coupons": [
        "UPDATE coupons SET redeemed = redeemed + 1"
        " WHERE id IN (SELECT coupon_id FROM orders WHERE user_id = $1)",
        "DELETE FROM coupon_redemptions WHERE user_id = $1",
    ],
    "invoices": [
        "DELETE FROM invoices WHERE user_id = $1",
        "UPDATE invoices SET taxable_paise = taxable_paise - 1, total_paise = total_paise - 1"
        " WHERE user_id = $1",
        "UPDATE orders SET status = 'open' WHERE user_id = $1",
    ],
    "credit notes": [
        "DELETE FROM credit_notes WHERE user_id = $1",
        "UPDATE transactions SET amount = amount + 1 WHERE user_id = $1 AND kind = 'refund'",
    ],
    "series": [
        "DELETE FROM invoices WHERE user_id = $1",
        "DELETE FROM credit_notes WHERE user_id = $1",
    ],
}


def test_every_check_has_its_damage() -> None:
    assert DAMAGE.keys() == {check.name for check in BILLS}


@pytest.mark.parametrize(
    ("check", "statement"),
    [(check, statement) for check in BILLS for statement in DAMAGE[check.name]],
    ids=lambda each: each.name if isinstance(each, Check) else each[:40],
)
async def test_damage_is_found(
    superuser: "asyncpg.Connection[asyncpg.Record]",
    customer: Customer,
    check: Check,
    statement: str,
) -> None:
    before = await found(superuser, check, customer)
    assert (await superuser.execute(statement, customer.user.id))[-1] != "0"
    assert len(await found(superuser, check, customer)) > len(before)


async def test_the_owner_sees_all_that_it_audits_and_in_an_audit_alone(
    stack: StackAddresses, customer: Customer
) -> None:
    assert customer
    async with open_audit(stack.database_owner_url or "") as audit:
        looked_at = {check.name: await audit.rows(check) for check in CHECKS}
    assert not [name for name, rows in looked_at.items() if not rows and name != "receivables"]
    connection = await asyncpg.connect(stack.database_owner_url)
    try:
        for table in ("usage", "orders", "transactions", "allotments", "invoices", "api_keys"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    finally:
        await connection.close()
