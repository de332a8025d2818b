"""What the ledger costs: on one contended account, on a thousand, and with millions of postings.

Starts a PostgreSQL of its own in a temporary folder. A pair is a reservation and its
settlement, each in a transaction of its own, as a model call and its step book them. The
floor is the least that any account must do: two transactions that change its row. Every
process shares this machine's cores with the server, so read the ratios.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.audit import open_audit
from adapters.postgres.audit_ledger import LEDGER
from adapters.postgres.engine import open_engine
from adapters.postgres.migrate import upgrade
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import UuidMaker
from application.ports.ledger import EntryQuery
from domain.billing.ledger import Grant, LotKind, Reservation, Settlement
from domain.identity.user import Role, User
from domain.shared.ids import RunId, UserId
from entrypoints.local_stack import LocalStack
from entrypoints.local_stack.postgres import PostgresServer

ACCOUNTS = 1_000
AT_ONCE = 16
SECONDS = 5.0
READS = 200
CHUNK = 250_000
CREDITS = 10**12


@dataclass(frozen=True)
class Bench:
    """A database with accounts in it."""

    engine: AsyncEngine
    uow: PostgresUnitOfWork
    ids: UuidMaker
    users: Sequence[UserId]

    async def pair(self, user_id: UserId) -> None:
        """Hold credits for a step, and settle it with half of them used."""
        run_id = RunId(self.ids.new())
        async with self.uow.begin(user_id) as tx:
            await tx.ledger.reserve(
                Reservation(
                    user_id=user_id,
                    key=f"reserve:{run_id}",
                    run_id=run_id,
                    step="idea",
                    credits=10,
                )
            )
        async with self.uow.begin(user_id) as tx:
            await tx.ledger.settle(
                Settlement(
                    user_id=user_id, key=f"step:{run_id}", run_id=run_id, step="idea", used=5
                )
            )

    async def floor(self, user_id: UserId) -> None:
        """The same number of transactions that only change the account's row."""
        for change in (-1, 1):
            async with self.engine.begin() as connection:
                await connection.execute(
                    text("SELECT set_config('app.user_id', :user, true)"), {"user": str(user_id)}
                )
                await connection.execute(
                    text("UPDATE balances SET available = available + :n WHERE user_id = :user"),
                    {"n": change, "user": user_id},
                )

    async def balance(self, user_id: UserId) -> None:
        """What a person's balance page reads."""
        async with self.uow.begin(user_id) as tx:
            await tx.ledger.account()

    async def newest(self, user_id: UserId) -> None:
        """The newest page of a person's journal."""
        async with self.uow.begin(user_id) as tx:
            await tx.ledger.entries(EntryQuery(limit=21))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Bench, str, str]]:
    """The bench, and the addresses of the superuser and the owner."""
    servers = LocalStack(folder, services={"postgres"})
    async with servers as addresses:
        await upgrade(addresses.database_owner_url or "")
        server = next(each for each in servers.servers if isinstance(each, PostgresServer))
        engine = open_engine(
            addresses.database_url or "", pool_size=AT_ONCE, application="bench-ledger"
        )
        uow, ids = PostgresUnitOfWork(engine), UuidMaker()
        users = [await _account(uow, UserId(ids.new())) for _ in range(ACCOUNTS)]
        try:
            yield (
                Bench(engine, uow, ids, users),
                server.superuser_dsn.removesuffix("postgres") + "bharatbuild",
                addresses.database_owner_url or "",
            )
        finally:
            await engine.dispose()


async def _account(uow: PostgresUnitOfWork, user_id: UserId) -> UserId:
    user = User(
        id=user_id,
        email=f"{user_id}@example.org",
        name="A Person",
        password_hash="-",
        role=Role.MEMBER,
        is_active=True,
        created_at=datetime.now(UTC),
    )
    async with uow.begin(user_id) as tx:
        await tx.users.add(user)
        await tx.ledger.open(user_id)
        await tx.ledger.grant(
            Grant(user_id=user_id, key=f"g:{user_id}", credits=CREDITS, kind=LotKind.TOP_UP)
        )
    return user_id


async def rate(work: Callable[[UserId], Awaitable[None]], users: Sequence[UserId]) -> float:
    """How often a second, done by many at once on random ones of these accounts."""
    done = 0
    until = time.perf_counter() + SECONDS
    choose = random.Random(1)

    async def go_on() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await work(choose.choice(users))
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
    return done / (time.perf_counter() - began)


async def medians_ms(
    work: Callable[[UserId], Awaitable[None]], users: Sequence[UserId]
) -> list[float]:
    """Of each account, in milliseconds: in turns, so that all meet the same load."""
    times: list[list[float]] = [[] for _ in users]
    for _ in range(READS):
        for user_id, mine in zip(users, times, strict=True):
            began = time.perf_counter()
            await work(user_id)
            mine.append(1000 * (time.perf_counter() - began))
    return [statistics.median(mine) for mine in times]


async def load(superuser_url: str, user_id: UserId, rows: int, seconds: float) -> int:
    """Book holds and their releases of one account, until there are ``rows`` postings.

    Past the time it stops with what there is. Triggers are off, and the sums are right.
    """
    connection = await asyncpg.connect(superuser_url)
    loaded, until = 0, time.perf_counter() + seconds
    try:
        await connection.execute("SET session_replication_role = replica")
        for chunk in itertools.count():
            if loaded >= rows or time.perf_counter() > until:
                break
            entries = min(CHUNK, rows - loaded) // 4 * 2
            if not entries:
                break
            await connection.execute(_LOAD, user_id, entries, f"load:{chunk}:")
            loaded += 2 * entries
            print(f"\r  loaded {loaded:,} postings", end="", flush=True)
        print()
        await connection.execute("VACUUM (ANALYZE) journal, postings")
    finally:
        await connection.close()
    return loaded


_LOAD = """
WITH entry AS (
    INSERT INTO journal (key, user_id, kind, run_id, step)
    SELECT $3 || n, $1, CASE n % 2 WHEN 0 THEN 'reserve' ELSE 'release' END, r.run, 'idea'
    FROM generate_series(1, $2::int) AS n, (SELECT gen_random_uuid() AS run) AS r
    RETURNING id, kind
)
INSERT INTO postings (entry_id, user_id, account, amount, lot)
SELECT entry.id, $1, p.account, CASE entry.kind WHEN 'reserve' THEN p.amount ELSE -p.amount END, 1
FROM entry, (VALUES ('available', -1), ('reserved', 1)) AS p (account, amount)
"""


async def measure(rows: int, load_seconds: float) -> None:
    """Print every section."""
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as folder:
        async with opened(Path(folder)) as (bench, superuser_url, owner_url):
            heavy, *light = bench.users
            print(f"{AT_ONCE} at once, {SECONDS:g} s each; pairs a second, and of the floor's")
            for name, users in (("one account", [heavy]), (f"{ACCOUNTS} accounts", light)):
                floor = await rate(bench.floor, users)
                pairs = await rate(bench.pair, users)
                print(f"  {name:<14} {pairs:8.0f}  {pairs / floor:.2f} of {floor:.0f}")
            works = {
                "balance and lots": bench.balance,
                "newest 20 entries": bench.newest,
                "a pair": bench.pair,
            }
            loaded = await load(superuser_url, heavy, rows, load_seconds)
            if loaded < rows:
                print(f"  {rows:,} were asked for; the time of {load_seconds:g} s was up")
            print(f"median ms of an account with few postings, and of one with {loaded:,}")
            for name, work in works.items():
                few, many = await medians_ms(work, [light[0], heavy])
                print(f"  {name:<18} {few:6.2f} and {many:6.2f}: × {many / few:.2f}")
            began = time.perf_counter()
            async with open_audit(owner_url) as audit:
                found = [each for check in LEDGER async for each in audit.differences(check)]
            # The pairs' runs are none that exist, so nothing may be held by one.
            seconds = time.perf_counter() - began
            print(f"the whole audited in {seconds:.1f} s: {len(found)} differences")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="postings to load")
    parser.add_argument("--load-seconds", type=float, default=900.0, help="time for the load")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.rows, arguments.load_seconds))


if __name__ == "__main__":
    main()
