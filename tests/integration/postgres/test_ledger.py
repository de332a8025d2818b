"""The ledger on PostgreSQL: under concurrency, in any order, and audited from its postings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit import Difference, open_audit
from adapters.postgres.audit_ledger import LEDGER
from adapters.postgres.migrate import downgrade, upgrade
from application.ports.persistence import UnitOfWork
from domain.billing.ledger import (
    AccountKind,
    Balance,
    CapReached,
    ClawBack,
    Grant,
    InsufficientCredits,
    LotKind,
    Reservation,
    Settlement,
)
from domain.identity.user import User
from domain.projects.run import Run
from domain.shared.ids import RunId, UserId
from entrypoints.cli.main import main
from entrypoints.local_stack import LocalStack, StackAddresses
from tests.contracts.samples import (
    all_at_once,
    keep_project,
    keep_run,
    keep_user,
    make_grant,
    make_reservation,
    new_id,
)
from tests.fakes.clock import MovableClock
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork
from tests.integration.superuser import superuser_url as superuser_of


@pytest.fixture
def uow(postgres_uow: UnitOfWork) -> UnitOfWork:
    return postgres_uow


@pytest.fixture
async def superuser(superuser_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Who could do damage: triggers of foreign keys and books are off for this session."""
    connection = await asyncpg.connect(superuser_url)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def differences(stack: StackAddresses) -> list[Difference]:
    async with open_audit(stack.database_owner_url or "") as audit:
        return [each for check in LEDGER async for each in audit.differences(check)]


async def of(user_id: UserId, stack: StackAddresses) -> list[Difference]:
    """The differences of one person's rows."""
    return [each for each in await differences(stack) if str(user_id) in each.place]


async def funded(uow: UnitOfWork, *lots: int) -> Run:
    owner = await keep_user(uow)
    async with uow.begin(owner.id) as tx:
        for credits in lots:
            await tx.ledger.grant(make_grant(owner.id, credits))
    return await keep_run(uow, await keep_project(uow, owner), cap_credits=10_000)


async def balance(uow: UnitOfWork, user_id: UserId) -> Balance:
    async with uow.begin(user_id) as tx:
        return await tx.ledger.balance(user_id)


# Concurrency


@pytest.mark.parametrize("lots", [(500,), (30,) * 10 + (200,), (7,) * 71 + (3,)])
async def test_of_200_reservations_at_once_exactly_the_50_that_fit_succeed(
    uow: UnitOfWork, stack: StackAddresses, lots: tuple[int, ...]
) -> None:
    run = await funded(uow, *lots)

    async def reserve() -> bool:
        with suppress(InsufficientCredits):
            async with uow.begin(run.user_id) as tx:
                return await tx.ledger.reserve(make_reservation(run, 10))
        return False

    assert sum(await all_at_once(200, reserve)) == 50
    assert await balance(uow, run.user_id) == Balance(available=0, reserved=500)
    assert not await of(run.user_id, stack)


async def test_a_runs_cap_holds_under_reservations_at_once(uow: UnitOfWork) -> None:
    run = await funded(uow, 10_000)

    async def reserve() -> bool:
        with suppress(CapReached):
            async with uow.begin(run.user_id) as tx:
                return await tx.ledger.reserve(make_reservation(run, 10, room=255))
        return False

    assert sum(await all_at_once(100, reserve)) == 25


async def test_everything_at_once_leaves_the_books_in_order(
    uow: UnitOfWork, stack: StackAddresses
) -> None:
    run = await funded(uow, 300)
    soon = datetime.now(UTC) + timedelta(milliseconds=200)

    async def step(number: int) -> int:
        name = f"step {number}"
        with suppress(InsufficientCredits):
            async with uow.begin(run.user_id) as tx:
                await tx.ledger.reserve(make_reservation(run, 40, name))
        async with uow.begin(run.user_id) as tx:
            return await tx.ledger.settle(settlement(run, name, number % 50))

    async def others(number: int) -> int:
        async with uow.begin(run.user_id) as tx:
            if number % 3 == 0:
                await tx.ledger.grant(make_grant(run.user_id, 30, expires_at=soon))
            elif number % 3 == 1:
                await tx.ledger.claw_back(
                    ClawBack(user_id=run.user_id, key=f"claw:{new_id()}", credits=25)
                )
            else:
                await tx.ledger.expire()
        return 0

    charged = await asyncio.gather(
        *(step(number) for number in range(60)), *(others(number) for number in range(60))
    )
    await asyncio.sleep(0.2)
    async with uow.begin(run.user_id) as tx:
        await tx.ledger.expire()
        stored = await tx.runs.get(run.id)
    assert stored is not None
    assert stored.charged_credits == sum(charged) > 0
    assert (await balance(uow, run.user_id)).reserved == 0
    assert not await of(run.user_id, stack)
    assert not await of(UserId(run.id), stack)


def settlement(run: Run, step: str, used: int, house: int = 0) -> Settlement:
    return Settlement(
        user_id=run.user_id,
        key=f"step:{new_id()}",
        run_id=run.id,
        step=step,
        used=used,
        house={AccountKind.HOUSE_REVIEW: house},
    )


# Any order: what PostgreSQL keeps is what the fake keeps


@dataclass(frozen=True)
class Ask:
    """One request, told without whose account it is for."""

    what: str
    credits: int
    step: str = "idea"
    kind: LotKind = LotKind.TOP_UP
    days: int | None = None
    room: int | None = None
    reference: str = ""


CREDITS = st.integers(1, 60)
STEPS = st.sampled_from(["idea", "srs"])
ASKS = st.lists(
    st.one_of(
        st.builds(
            Ask,
            st.just("grant"),
            CREDITS,
            kind=st.sampled_from(LotKind),
            days=st.none() | st.integers(1, 3),
            reference=st.sampled_from(["a", "b"]),
        ),
        st.builds(Ask, st.just("reserve"), CREDITS, STEPS, room=st.none() | st.integers(0, 60)),
        st.builds(Ask, st.just("settle"), st.integers(0, 60), STEPS),
        st.builds(Ask, st.just("claw_back"), CREDITS, reference=st.sampled_from(["a", "b"])),
        st.builds(Ask, st.just("expire"), st.just(0)),
        st.builds(Ask, st.just("a_day_goes_by"), st.just(0)),
    ),
    min_size=5,
    max_size=25,
)


@dataclass
class Side:
    """A person at one of the two ledgers."""

    uow: UnitOfWork
    owner: User
    run_id: RunId
    now: datetime

    async def do(self, number: int, ask: Ask) -> object:
        """What came of it, an error included."""
        user_id, key = self.owner.id, f"{self.owner.id}:{number}"
        try:
            async with self.uow.begin(user_id) as tx:
                match ask.what:
                    case "grant":
                        until = None if ask.days is None else self.now + timedelta(days=ask.days)
                        return await tx.ledger.grant(
                            Grant(
                                user_id=user_id,
                                key=key,
                                credits=ask.credits,
                                kind=ask.kind,
                                expires_at=until,
                                reference=ask.reference,
                            )
                        )
                    case "reserve":
                        return await tx.ledger.reserve(
                            Reservation(
                                user_id=user_id,
                                key=key,
                                run_id=self.run_id,
                                step=ask.step,
                                credits=ask.credits,
                                room=ask.room,
                            )
                        )
                    case "settle":
                        return await tx.ledger.settle(
                            Settlement(
                                user_id=user_id,
                                key=key,
                                run_id=self.run_id,
                                step=ask.step,
                                used=ask.credits,
                                house={AccountKind.HOUSE_CRASH: ask.credits % 3},
                            )
                        )
                    case "claw_back":
                        return await tx.ledger.claw_back(
                            ClawBack(
                                user_id=user_id,
                                key=key,
                                credits=ask.credits,
                                reference=ask.reference,
                            )
                        )
                    case _:
                        return await tx.ledger.expire()
        except (InsufficientCredits, CapReached) as refusal:
            return type(refusal), dict(refusal.params)

    async def state(self) -> object:
        async with self.uow.begin(self.owner.id) as tx:
            lots = await tx.ledger.lots()
            held = {step: await tx.ledger.held(self.run_id, step) for step in ("idea", "srs")}
            return (
                await tx.ledger.balance(self.owner.id),
                [(lot.number, lot.kind, lot.granted, lot.remaining) for lot in lots],
                held,
            )


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(asks=ASKS)
async def test_any_order_of_requests_comes_to_the_same_as_in_memory_and_adds_up(
    uow: UnitOfWork,
    stack: StackAddresses,
    superuser: "asyncpg.Connection[asyncpg.Record]",
    asks: list[Ask],
) -> None:
    clock = MovableClock()
    fake = InMemoryUnitOfWork(InMemoryDatabase(clock))
    run = await keep_run(uow, await keep_project(uow))
    owner = await keep_user(fake)
    async with uow.begin(run.user_id) as tx:
        await tx.ledger.open(run.user_id)
        real_owner = await tx.users.get(run.user_id)
    assert real_owner is not None
    # A margin, so that nothing lapses in the middle of a day.
    margin = timedelta(hours=1)
    real = Side(uow, real_owner, run.id, datetime.now(UTC) + margin)
    double = Side(fake, owner, RunId(new_id()), clock.now() + margin)
    for number, ask in enumerate(asks):
        if ask.what == "a_day_goes_by":
            clock.move(timedelta(days=1))
            double.now += timedelta(days=1)
            # The database's clock cannot be moved; what it has given can.
            await superuser.execute(
                "UPDATE lots SET expires_at = expires_at - interval '1 day' WHERE user_id = $1",
                run.user_id,
            )
        else:
            assert await real.do(number, ask) == await double.do(number, ask), ask
        assert await real.state() == await double.state(), ask
    assert not await of(run.user_id, stack)


# The audit


DAMAGE = {
    "entries": "UPDATE postings SET amount = amount + 1 WHERE id = (SELECT max(p.id) FROM"
    " postings p WHERE user_id = $1 AND account = 'house_review')",
    "balances": "UPDATE balances SET available = available + 1 WHERE user_id = $1",
    "lots": "UPDATE lots SET remaining = remaining - 1 WHERE user_id = $1 AND number = 1",
    "grants": "UPDATE lots SET granted = granted + 1 WHERE user_id = $1 AND number = 1",
    "holds": "DELETE FROM holds WHERE user_id = $1",
    "receivables": "UPDATE balances SET owed = owed + 1, available = 0 WHERE user_id = $1",
    "runs": "UPDATE runs SET charged_credits = charged_credits + 1 WHERE user_id = $1",
}


@pytest.mark.parametrize("check", LEDGER, ids=lambda check: check.name)
async def test_damage_of_each_kind_is_found_and_told(
    uow: UnitOfWork,
    stack: StackAddresses,
    superuser: "asyncpg.Connection[asyncpg.Record]",
    check: object,
) -> None:
    name = getattr(check, "name", "")
    run = await funded(uow, 100, 50)
    async with uow.begin(run.user_id) as tx:
        for step, used in (("idea", 10), ("srs", None)):
            await tx.ledger.reserve(make_reservation(run, 30, step))
            if used is not None:
                await tx.ledger.settle(settlement(run, step, used, house=4))
    before = await differences(stack)
    async with superuser.transaction():
        assert (await superuser.execute(DAMAGE[name], run.user_id))[-1] != "0"
    after = await differences(stack)
    new = {each.check for each in after if each not in before}
    try:
        assert name in new
    finally:
        # Nobody else's test is to find it.
        for table in ("holds", "lots", "postings", "journal", "balances", "runs"):
            await superuser.execute(f"DELETE FROM {table} WHERE user_id = $1", run.user_id)


async def test_a_hold_of_a_run_that_has_ended_is_found(
    uow: UnitOfWork, stack: StackAddresses, superuser: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    run = await funded(uow, 100)
    async with uow.begin(run.user_id) as tx:
        await tx.ledger.reserve(make_reservation(run, 30))
    assert not await of(run.user_id, stack)
    await superuser.execute("UPDATE runs SET status = 'dead' WHERE id = $1", run.id)
    (found,) = await of(run.user_id, stack)
    assert (found.check, found.kept) == ("holds", "30 of a run that is not live")
    await superuser.execute("UPDATE runs SET status = 'queued' WHERE id = $1", run.id)


async def test_the_command_tells_what_is_clean_and_what_is_not(
    uow: UnitOfWork,
    stack: StackAddresses,
    superuser: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    run = await funded(uow, 100)
    environment = {"DATABASE_OWNER_URL": stack.database_owner_url or ""}

    def verify() -> tuple[int, str]:
        result = CliRunner().invoke(main, ["ledger", "verify"], env=environment)
        return result.exit_code, result.output

    wrong = "UPDATE balances SET available = available + $2 WHERE user_id = $1"
    await superuser.execute(wrong, run.user_id, 5)
    code, said = await asyncio.to_thread(verify)
    assert code == 1
    assert f"balances: user {run.user_id}: kept 105/0/0, summed 100/0/0" in said
    await superuser.execute(wrong, run.user_id, -5)
    code, said = await asyncio.to_thread(verify)
    assert str(run.user_id) not in said
    assert "grants" in said


async def test_an_audit_has_the_time_that_no_service_has(stack: StackAddresses) -> None:
    async with open_audit(stack.database_owner_url or "") as audit:
        for limit in ("transaction_timeout", "idle_in_transaction_session_timeout"):
            shown = await audit.connection.scalar(text(f"SHOW {limit}"))
            assert shown == "6h", limit


def test_every_check_has_its_damage() -> None:
    assert DAMAGE.keys() == {check.name for check in LEDGER}


# What a booking costs, and what was booked before there were lots


async def test_a_booking_is_three_statements(uow: UnitOfWork, app_engine: AsyncEngine) -> None:
    run = await funded(uow, 100, 100)
    counted: list[str] = []

    def count(*arguments: object) -> None:
        counted.append(str(arguments[2]))

    event.listen(app_engine.sync_engine, "before_cursor_execute", count)
    try:
        async with uow.begin(run.user_id) as tx:
            counted.clear()
            await tx.ledger.reserve(make_reservation(run, 150))
            assert len(counted) == 3
            counted.clear()
            await tx.ledger.settle(settlement(run, "idea", 120, house=3))
            assert len(counted) == 3
    finally:
        event.remove(app_engine.sync_engine, "before_cursor_execute", count)


async def test_what_was_booked_before_lots_becomes_one_and_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    servers = LocalStack(tmp_path_factory.mktemp("older"), services={"postgres"})
    async with servers as addresses:
        owner_url = addresses.database_owner_url or ""
        await upgrade(owner_url, "0002")
        connection = await asyncpg.connect(superuser_of(servers))
        try:
            for statement in _BEFORE_LOTS.split(";\n"):
                await connection.execute(statement)
            await upgrade(owner_url)
            async with open_audit(owner_url) as audit:
                found = [each for check in LEDGER async for each in audit.differences(check)]
            assert not found
            assert tuple(await connection.fetchrow("SELECT granted, remaining FROM lots")) == (
                500,
                420,
            )
            assert await connection.fetchval("SELECT charged_credits FROM runs") == 50
            await downgrade(owner_url, "0002")
            held = await connection.fetchrow("SELECT step, credits FROM holds")
            assert tuple(held) == ("srs", 30)
            await upgrade(owner_url)
            assert await connection.fetchval("SELECT sum(credits) FROM holds") == 30
        finally:
            await connection.close()


_ID = "'00000000-0000-7000-8000-00000000000"
_BEFORE_LOTS = f"""
INSERT INTO users (id, email, name, password, role) VALUES ({_ID}1', 'a@b.c', 'A', '-', 'member');
INSERT INTO projects (id, user_id, title, idea, mode, status)
    VALUES ({_ID}2', {_ID}1', 't', 'i', 'developer', 'running');
INSERT INTO runs (id, project_id, user_id, mode, pipeline_version, status)
    VALUES ({_ID}3', {_ID}2', {_ID}1', 'developer', 1, 'running');
INSERT INTO balances (user_id, available, reserved) VALUES ({_ID}1', 420, 30);
INSERT INTO journal (key, user_id, kind, run_id, step) VALUES
    ('start', {_ID}1', 'grant', NULL, ''), ('r1', {_ID}1', 'reserve', {_ID}3', 'idea'),
    ('s1', {_ID}1', 'settle', {_ID}3', 'idea'), ('r2', {_ID}1', 'reserve', {_ID}3', 'srs');
INSERT INTO postings (entry_id, user_id, account, amount)
    SELECT e.id, e.user_id, p.account, p.amount FROM journal e JOIN (VALUES
        ('start', 'grants', -500), ('start', 'available', 500),
        ('r1', 'available', -50), ('r1', 'reserved', 50),
        ('s1', 'reserved', -50), ('s1', 'revenue', 50),
        ('r2', 'available', -30), ('r2', 'reserved', 30)
    ) AS p (key, account, amount) USING (key);
INSERT INTO holds (run_id, step, user_id, credits) VALUES
    ({_ID}3', 'srs', {_ID}1', 30), ({_ID}3', 'prd', {_ID}1', 0)
"""
