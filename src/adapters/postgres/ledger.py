"""The credit ledger: three statements a booking, decided in between by the domain.

The row of ``balances`` is the account's lock: whoever changes anything of a person's
credits takes it first. What is read after it is read by a statement of its own, whose
snapshot is younger than the lock; a single statement would see lots as they were before it
waited. The last statement writes everything: entries, postings, and what they add up to.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    Text,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.postgres.engine import rows_of
from adapters.postgres.spans import within
from adapters.postgres.tables import balances, holds, journal, lots, postings
from application.ports.ledger import BookedEntry, EntryQuery
from domain.billing.account import Account, spend_order
from domain.billing.ledger import (
    AccountKind,
    Balance,
    ClawBack,
    ClawedBack,
    EntryKind,
    Grant,
    HouseCost,
    JournalEntry,
    Lot,
    LotKind,
    Reservation,
    Settlement,
)
from domain.shared.ids import RunId, UserId


class PostgresLapsedCredits:
    """The ``LapsedCredits`` over the ``dispatch`` role's engine, which sees lapsed lots alone."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def owners(self, limit: int) -> Sequence[UserId]:
        lapsed = (
            select(lots.c.user_id)
            .where(lots.c.remaining > 0, lots.c.expires_at <= func.now())
            .distinct()
            .limit(limit)
        )
        return [UserId(row.user_id) for row in await rows_of(self._engine, lapsed)]


class PostgresLedger:
    """The ``Ledger`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._my_holds = holds.c.user_id == user_id

    async def open(self, user_id: UserId) -> None:
        await self._connection.execute(
            upsert(balances).values(user_id=user_id).on_conflict_do_nothing()
        )

    async def balance(self, user_id: UserId) -> Balance:
        rows = await self._connection.execute(
            select(balances.c.available, balances.c.reserved, balances.c.owed).where(
                balances.c.user_id == user_id
            )
        )
        row = rows.one_or_none()
        return balance_of(row) if row else Balance(available=0, reserved=0)

    async def owed(self) -> int:
        return (await self.balance(self._user_id)).owed

    async def grant(self, grant: Grant) -> bool:
        account = await self._free_of(grant.user_id, grant.key)
        if account is None:
            return False
        entry, lot = account.grant(grant)
        await self._write(grant.user_id, [entry], lot=lot)
        return True

    async def claw_back(self, claw: ClawBack) -> ClawedBack | None:
        account = await self._free_of(claw.user_id, claw.key)
        if account is None:
            return None
        entries, clawed = account.claw_back(claw)
        await self._write(claw.user_id, entries)
        return clawed

    async def reserve(self, wanted: Reservation) -> bool:
        account = await self._free_of(wanted.user_id, wanted.key, wanted.run_id)
        if account is None:
            return False
        await self._write(wanted.user_id, account.reserve(wanted), hold=wanted)
        return True

    async def lock(self) -> None:
        await self._locked(self._user_id)

    async def bear(self, cost: HouseCost) -> bool:
        account = await self._free_of(cost.user_id, cost.key)
        if account is None:
            return False
        await self._write(cost.user_id, [account.bear(cost)])
        return True

    async def settle(self, settled: Settlement) -> int:
        balance, made = await self._locked(settled.user_id)
        rows = await self._read(
            _HELD,
            user_id=settled.user_id,
            run_id=settled.run_id,
            step=settled.step,
            keys=list(settled.keys),
        )
        if rows[0].booked:
            return await self._charged(settled)
        account = Account(
            user_id=settled.user_id,
            now=rows[0].now,
            balance=balance,
            lots_made=made,
            lots=_lots(rows),
            held={row.number: row.credits for row in rows if row.number is not None},
        )
        entries, charged = account.settle(settled)
        if entries:
            await self._write(settled.user_id, entries, hold=settled, charged=charged)
        return charged

    async def expire(self) -> int:
        account = await self._free_of(self._user_id, "")
        entries = account.expire() if account else ()
        if entries:
            await self._write(self._user_id, entries)
        return sum(
            posting.amount
            for entry in entries
            for posting in entry.postings
            if posting.account is AccountKind.EXPIRED
        )

    async def lots(self) -> Sequence[Lot]:
        rows = await self._read(
            select(lots).where(
                lots.c.user_id == _USER,
                lots.c.remaining > 0,
                lots.c.expires_at.is_(None) | (lots.c.expires_at > func.now()),
            ),
            user_id=self._user_id,
        )
        return sorted(_lots(rows), key=spend_order)

    async def account(self) -> tuple[Balance, Sequence[Lot]]:
        # One statement, and so one snapshot of both.
        rows = await self._read(_ACCOUNT, user_id=self._user_id)
        lots = sorted(_lots(rows), key=spend_order)
        free = sum(lot.remaining for lot in lots)
        if not rows:
            return Balance(available=0, reserved=0), lots
        return Balance(available=free, reserved=rows[0].reserved, owed=rows[0].owed), lots

    async def entries(self, query: EntryQuery) -> Sequence[BookedEntry]:
        page = select(journal).where(
            journal.c.user_id == self._user_id, *within(journal.c.at, query.days)
        )
        if query.before is not None:
            page = page.where(journal.c.id < query.before)
        if query.kind is not None:
            page = page.where(journal.c.kind == query.kind)
        if query.run_id is not None:
            page = page.where(journal.c.run_id == query.run_id)
        found = page.order_by(journal.c.id.desc()).limit(query.limit).subquery()
        rows = await self._read(
            select(*found.c, postings.c.account, func.sum(postings.c.amount).label("amount"))
            .join_from(found, postings, postings.c.entry_id == found.c.id)
            .group_by(*found.c, postings.c.account)
            .order_by(found.c.id.desc())
        )
        return [
            BookedEntry(
                number=number,
                at=same[0].at,
                kind=EntryKind(same[0].kind),
                run_id=None if same[0].run_id is None else RunId(same[0].run_id),
                step=same[0].step,
                sums={AccountKind(row.account): int(row.amount) for row in same},
            )
            for number, same in (
                (number, list(group)) for number, group in groupby(rows, lambda row: int(row.id))
            )
        ]

    async def held(self, run_id: RunId, step: str) -> int:
        credits = await self._connection.scalar(
            select(func.sum(holds.c.credits)).where(
                holds.c.run_id == run_id, holds.c.step == step, self._my_holds
            )
        )
        return int(credits or 0)

    async def held_steps(self, run_id: RunId) -> Sequence[str]:
        rows = await self._connection.scalars(
            select(holds.c.step)
            .where(holds.c.run_id == run_id, self._my_holds)
            .distinct()
            .order_by(holds.c.step)
        )
        return list(rows)

    async def _free_of(
        self, user_id: UserId, key: str, run_id: RunId | None = None
    ) -> Account | None:
        """The locked account with its lots that have anything free; None: the key is booked."""
        balance, made = await self._locked(user_id)
        rows = await self._read(_FREE, user_id=user_id, run_id=run_id, keys=[key])
        if rows[0].booked:
            return None
        return Account(
            user_id=user_id,
            now=rows[0].now,
            balance=balance,
            lots_made=made,
            lots=_lots(rows),
            held_by_run=int(rows[0].held_by_run),
        )

    async def _locked(self, user_id: UserId) -> tuple[Balance, int]:
        rows = await self._read(_LOCK, user_id=user_id)
        if not rows:
            raise LookupError(f"user {user_id} has no account")
        return balance_of(rows[0]), rows[0].lots

    async def _charged(self, settled: Settlement) -> int:
        """What a settlement booked before came to."""
        credits = await self._connection.scalar(
            select(func.sum(postings.c.amount))
            .join(journal, journal.c.id == postings.c.entry_id)
            .where(
                journal.c.key == f"{settled.key}:{EntryKind.SETTLE}",
                postings.c.account == AccountKind.REVENUE,
            )
        )
        return int(credits or 0)

    async def _read(self, statement: Any, **values: object) -> Sequence[Row[Any]]:
        return (await self._connection.execute(statement, values)).all()

    async def _write(
        self,
        user_id: UserId,
        entries: Sequence[JournalEntry],
        *,
        lot: Lot | None = None,
        hold: Reservation | Settlement | None = None,
        charged: int = 0,
    ) -> None:
        """Book the entries, and add their postings up in balances, lots and holds."""
        posted = [(entry.key, posting) for entry in entries for posting in entry.postings]
        sums = Counter[AccountKind]()
        free, held = Counter[int](), Counter[int]()
        for _, posting in posted:
            sums[posting.account] += posting.amount
            if posting.lot is not None and (lot is None or posting.lot != lot.number):
                free[posting.lot] += posting.amount * (posting.account is AccountKind.AVAILABLE)
                held[posting.lot] += posting.amount * (posting.account is AccountKind.RESERVED)
        values: dict[str, object] = {
            "user_id": user_id,
            "keys": [entry.key for entry in entries],
            "kinds": [entry.kind.value for entry in entries],
            "runs": [entry.run_id for entry in entries],
            "steps": [entry.step for entry in entries],
            "of": [key for key, _ in posted],
            "accounts": [posting.account.value for _, posting in posted],
            "amounts": [posting.amount for _, posting in posted],
            "numbers": [posting.lot for _, posting in posted],
            "available": sums[AccountKind.AVAILABLE],
            "reserved": sums[AccountKind.RESERVED],
            "owed": -sums[AccountKind.OWED],
            "made": 0 if lot is None else 1,
            "free_lots": [number for number, amount in free.items() if amount],
            "free_amounts": [amount for amount in free.values() if amount],
        }
        statement = _BOOK
        if lot is not None:
            statement = _BOOK_GRANT
            values |= {
                "number": lot.number,
                "kind": lot.kind.value,
                "granted": lot.granted,
                "remaining": lot.remaining,
                "expires_at": lot.expires_at,
                "reference": lot.reference,
                "granted_at": lot.granted_at,
            }
        elif isinstance(hold, Reservation):
            statement = _BOOK_RESERVE
            values |= {
                "run_id": hold.run_id,
                "step": hold.step,
                "held_lots": [number for number, amount in held.items() if amount],
                "held_amounts": [amount for amount in held.values() if amount],
            }
        elif isinstance(hold, Settlement):
            statement = _BOOK_SETTLE
            values |= {"run_id": hold.run_id, "step": hold.step, "charged": charged}
        await self._connection.execute(statement, values)


_USER = bindparam("user_id", type_=Uuid)
_RUN = bindparam("run_id", type_=Uuid)
_STEP = bindparam("step", type_=Text)

_LOCK = (
    select(balances.c.available, balances.c.reserved, balances.c.owed, balances.c.lots)
    .where(balances.c.user_id == _USER)
    .with_for_update()
)

_ACCOUNT = (
    select(balances.c.reserved, balances.c.owed, *lots.c)
    .select_from(
        balances.outerjoin(
            lots,
            and_(
                lots.c.user_id == balances.c.user_id,
                lots.c.remaining > 0,
                lots.c.expires_at.is_(None) | (lots.c.expires_at > func.now()),
            ),
        )
    )
    .where(balances.c.user_id == _USER)
)

# There is one row at least, so that the moment and whether the key is booked are always told.
_ONE = select(
    func.statement_timestamp().label("now"),
    exists().where(journal.c.key == func.any(bindparam("keys", type_=ARRAY(Text)))).label("booked"),
).subquery("one")

_FREE = select(
    _ONE,
    select(func.coalesce(func.sum(holds.c.credits), 0))
    .where(holds.c.user_id == _USER, holds.c.run_id == _RUN)
    .scalar_subquery()
    .label("held_by_run"),
    *lots.c,
).select_from(_ONE.outerjoin(lots, and_(lots.c.user_id == _USER, lots.c.remaining > 0)))

_MINE = (
    select(*lots.c, holds.c.credits)
    .join_from(holds, lots, and_(lots.c.user_id == holds.c.user_id, lots.c.number == holds.c.lot))
    .where(holds.c.user_id == _USER, holds.c.run_id == _RUN, holds.c.step == _STEP)
    .subquery("mine")
)
_HELD = select(_ONE, *_MINE.c).select_from(_ONE.outerjoin(_MINE, literal(True)))


def _booking(last: str, *types: Any) -> Any:
    """One statement: entries, postings, balance, lots, and what ``last`` adds."""
    return text(f"{_ENTRIES}, {last} SELECT 1").bindparams(
        _USER,
        *(
            bindparam(name, type_=ARRAY(Text))
            for name in ("keys", "kinds", "steps", "of", "accounts")
        ),
        *(
            bindparam(name, type_=ARRAY(BigInteger))
            for name in ("amounts", "numbers", "free_lots", "free_amounts")
        ),
        bindparam("runs", type_=ARRAY(Uuid)),
        *types,
    )


_ENTRIES = """
WITH entry AS (
    INSERT INTO journal (key, user_id, kind, run_id, step)
    SELECT e.key, :user_id, e.kind, e.run_id, e.step
    FROM unnest(:keys, :kinds, :runs, :steps) AS e (key, kind, run_id, step)
    RETURNING id, key
), posted AS (
    INSERT INTO postings (entry_id, user_id, account, amount, lot)
    SELECT entry.id, :user_id, p.account, p.amount, p.lot
    FROM unnest(:of, :accounts, :amounts, :numbers) AS p (key, account, amount, lot)
    JOIN entry USING (key)
), moved AS (
    UPDATE balances
    SET available = available + :available, reserved = reserved + :reserved,
        owed = owed + :owed, lots = lots + :made
    WHERE user_id = :user_id
), drawn AS (
    UPDATE lots SET remaining = remaining + d.amount
    FROM unnest(:free_lots, :free_amounts) AS d (number, amount)
    WHERE lots.user_id = :user_id AND lots.number = d.number
)
"""
_BOOK = _booking("nothing AS (SELECT 1)")
_BOOK_GRANT = _booking(
    """given AS (
    INSERT INTO lots (user_id, number, kind, granted, remaining, expires_at, reference, granted_at)
    VALUES (:user_id, :number, :kind, :granted, :remaining, :expires_at, :reference, :granted_at)
)"""
)
_BOOK_RESERVE = _booking(
    """held AS (
    INSERT INTO holds (user_id, run_id, step, lot, credits)
    SELECT :user_id, :run_id, :step, h.number, h.amount
    FROM unnest(:held_lots, :held_amounts) AS h (number, amount)
    ON CONFLICT ON CONSTRAINT holds_pkey DO UPDATE SET credits = holds.credits + excluded.credits
)""",
    _RUN,
    _STEP,
    bindparam("held_lots", type_=ARRAY(BigInteger)),
    bindparam("held_amounts", type_=ARRAY(BigInteger)),
)
_BOOK_SETTLE = _booking(
    """ended AS (
    DELETE FROM holds WHERE user_id = :user_id AND run_id = :run_id AND step = :step
), noted AS (
    UPDATE runs SET charged_credits = charged_credits + :charged
    WHERE id = :run_id AND user_id = :user_id AND :charged > 0
)""",
    _RUN,
    _STEP,
    bindparam("charged", type_=BigInteger),
)


def balance_of(row: Any) -> Balance:
    """A balance from its row."""
    return Balance(available=row.available, reserved=row.reserved, owed=row.owed)


def _lots(rows: Sequence[Row[Any]]) -> tuple[Lot, ...]:
    """The lots of the rows; the one row of an account without any names none."""
    return tuple(
        Lot(
            number=row.number,
            kind=LotKind(row.kind),
            granted=row.granted,
            remaining=row.remaining,
            expires_at=row.expires_at,
            reference=row.reference,
            granted_at=row.granted_at,
        )
        for row in rows
        if row.number is not None
    )
