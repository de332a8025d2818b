"""The journal of model calls and the credit ledger, in memory."""

from collections.abc import Sequence
from dataclasses import replace

from application.ports.ledger import BookedEntry, EntryQuery, LapsedCredits, Ledger
from application.ports.model_calls import (
    MENDING,
    BorneBy,
    CallState,
    MendingCost,
    ModelCall,
    ModelCallRepository,
)
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
    Posting,
    Reservation,
    Settlement,
)
from domain.shared.ids import RunId, UserId
from tests.fakes.persistence.database import InMemoryDatabase, Session, TransactionRefused


class InMemoryModelCalls(ModelCallRepository):
    """The calls of the session's person. They outlive their run, so none is asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, call: ModelCall) -> None:
        self._session.require_own(call.user_id)
        if call.id in self._session.tables.calls:
            raise self._session.refused(TransactionRefused("a call has this id already"))
        self._session.tables.calls[call.id] = call

    async def conclude(self, call: ModelCall) -> bool:
        intent = self._session.tables.calls.get(call.id)
        if intent is None or intent.user_id != self._session.tenant:
            return False
        # A reply that comes after its call was given up as lost is kept all the same.
        if intent.state in (CallState.INTENT, CallState.LOST):
            self._session.tables.calls[call.id] = replace(
                call,
                user_id=intent.user_id,
                run_id=intent.run_id,
                step=intent.step,
                request_hash=intent.request_hash,
                part=intent.part,
                purpose=intent.purpose,
                held=intent.held,
                bound_nano_usd=intent.bound_nano_usd,
                borne_by=BorneBy.HOUSE if intent.state is CallState.LOST else call.borne_by,
            )
        return intent.state is CallState.LOST and call.state is not CallState.LOST

    async def give_up(self, run_id: RunId, step: str, request_hash: str | None = None) -> None:
        for call in self._of(run_id, step):
            if call.state is CallState.INTENT and request_hash in (None, call.request_hash):
                self._session.tables.calls[call.id] = replace(
                    call, state=CallState.LOST, borne_by=BorneBy.HOUSE
                )

    async def of_request(self, run_id: RunId, step: str, request_hash: str) -> Sequence[ModelCall]:
        return [call for call in self._of(run_id, step) if call.request_hash == request_hash]

    async def of_step(self, run_id: RunId, step: str) -> Sequence[ModelCall]:
        return [replace(call, text="") for call in self._of(run_id, step)]

    async def committed(self, run_id: RunId, step: str) -> int:
        calls = self._of(run_id, step)
        return sum(_open_or_spent(call) for call in calls if call.borne_by is BorneBy.USER)

    async def mending(self, run_id: RunId, day_seconds: float) -> MendingCost:
        # A call's id carries no moment here, so all of a person's count as of today.
        mine = [
            call
            for call in self._session.tables.calls.values()
            if call.user_id == self._session.tenant and call.purpose in MENDING
        ]
        return MendingCost(
            run_nano_usd=sum(_open_or_spent(call) for call in mine if call.run_id == run_id),
            day_nano_usd=sum(_open_or_spent(call) for call in mine),
        )

    async def failed(self, run_id: RunId, limit: int) -> Sequence[ModelCall]:
        calls = [
            replace(call, text="")
            for call in self._session.tables.calls.values()
            if call.run_id == run_id
            and call.user_id == self._session.tenant
            and call.state is CallState.FAILED
        ]
        return sorted(calls, key=lambda call: call.id, reverse=True)[:limit]

    def _of(self, run_id: RunId, step: str) -> list[ModelCall]:
        tenant = self._session.tenant
        calls = self._session.tables.calls.values()
        return sorted(
            (
                call
                for call in calls
                if call.run_id == run_id and call.step == step and call.user_id == tenant
            ),
            key=lambda call: call.id,
        )


def _open_or_spent(call: ModelCall) -> int:
    unanswered = call.state in (CallState.INTENT, CallState.LOST)
    return call.bound_nano_usd if unanswered else call.cost_nano_usd


class InMemoryLapsedCredits(LapsedCredits):
    """Everybody's lots, looked at from outside of any transaction."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def owners(self, limit: int) -> Sequence[UserId]:
        async with self._database.session(None) as session:
            lapsed = {
                owner
                for (owner, _), lot in session.tables.lots.items()
                if lot.remaining and lot.lapsed(session.now)
            }
        return sorted(lapsed)[:limit]


class InMemoryLedger(Ledger):
    """The account of the session's person, and the house's sums in ``Tables.house``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def open(self, user_id: UserId) -> None:
        self._session.require_own(user_id)
        tables = self._session.tables
        if user_id not in tables.users:
            raise self._session.refused(TransactionRefused("no such user"))
        tables.balances.setdefault(user_id, Balance(available=0, reserved=0))

    async def balance(self, user_id: UserId) -> Balance:
        nothing = Balance(available=0, reserved=0)
        if user_id != self._session.tenant:
            return nothing
        return self._session.tables.balances.get(user_id, nothing)

    async def owed(self) -> int:
        return (await self.balance(self._session.tenant)).owed

    async def grant(self, grant: Grant) -> bool:
        account = self._account(grant.user_id)
        if grant.key in self._session.tables.entries:
            return False
        entry, lot = account.grant(grant)
        # Its credits come with the entry's postings.
        self._session.tables.lots[grant.user_id, lot.number] = replace(lot, remaining=0)
        self._book(entry)
        return True

    async def claw_back(self, claw: ClawBack) -> ClawedBack | None:
        account = self._account(claw.user_id)
        if claw.key in self._session.tables.entries:
            return None
        entries, clawed = account.claw_back(claw)
        self._book(*entries)
        return clawed

    async def reserve(self, wanted: Reservation) -> bool:
        account = self._account(wanted.user_id, wanted.run_id)
        if wanted.key in self._session.tables.entries:
            return False
        self._book(*account.reserve(wanted))
        return True

    async def lock(self) -> None:
        # Transactions run one after another.
        self._account(self._session.tenant)

    async def bear(self, cost: HouseCost) -> bool:
        account = self._account(cost.user_id)
        if cost.key in self._session.tables.entries:
            return False
        self._book(account.bear(cost))
        return True

    async def settle(self, settled: Settlement) -> int:
        account = self._account(settled.user_id, settled.run_id, settled.step)
        entries = self._session.tables.entries
        if any(key in entries for key in settled.keys):
            before = entries.get(f"{settled.key}:{EntryKind.SETTLE.value}")
            return _sum(before, AccountKind.REVENUE) if before else 0
        moves, charged = account.settle(settled)
        self._book(*moves)
        row = self._session.tables.runs.get(settled.run_id)
        if row is not None and charged:
            run = replace(row.run, charged_credits=row.run.charged_credits + charged)
            self._session.tables.runs[settled.run_id] = replace(row, run=run)
        return charged

    async def expire(self) -> int:
        entries = self._account(self._session.tenant).expire()
        self._book(*entries)
        return sum(_sum(entry, AccountKind.EXPIRED) for entry in entries)

    async def lots(self) -> Sequence[Lot]:
        mine = [
            lot
            for (owner, _), lot in self._session.tables.lots.items()
            if owner == self._session.tenant and lot.remaining and not lot.lapsed(self._session.now)
        ]
        return sorted(mine, key=spend_order)

    async def account(self) -> tuple[Balance, Sequence[Lot]]:
        lots = await self.lots()
        balance = await self.balance(self._session.tenant)
        return replace(balance, available=sum(lot.remaining for lot in lots)), lots

    async def entries(self, query: EntryQuery) -> Sequence[BookedEntry]:
        found = [
            BookedEntry(
                number=number,
                at=self._session.tables.booked_at[entry.key],
                kind=entry.kind,
                run_id=entry.run_id,
                step=entry.step,
                sums={posting.account: _sum(entry, posting.account) for posting in entry.postings},
            )
            for number, entry in enumerate(self._session.tables.entries.values(), 1)
            if entry.user_id == self._session.tenant
            and (query.before is None or number < query.before)
            and query.kind in (None, entry.kind)
            and query.run_id in (None, entry.run_id)
            and self._session.tables.booked_at[entry.key] in query.days
        ]
        return found[::-1][: query.limit]

    async def held(self, run_id: RunId, step: str) -> int:
        return sum(self._holds(run_id, step).values())

    async def held_steps(self, run_id: RunId) -> Sequence[str]:
        tenant = self._session.tenant
        holds = self._session.tables.holds
        return sorted({step for user, run, step, _ in holds if user == tenant and run == run_id})

    def _account(self, user_id: UserId, run_id: RunId | None = None, step: str = "") -> Account:
        self._session.require_own(user_id)
        tables = self._session.tables
        if user_id not in tables.balances:
            raise self._session.refused(TransactionRefused("no account is open"))
        lots = [lot for (owner, _), lot in tables.lots.items() if owner == user_id]
        return Account(
            user_id=user_id,
            now=self._session.now,
            balance=tables.balances[user_id],
            lots_made=len(lots),
            lots=tuple(lots),
            held=self._holds(run_id, step) if run_id else {},
            held_by_run=sum(
                credits
                for (owner, run, _, _), credits in tables.holds.items()
                if owner == user_id and run == run_id
            ),
        )

    def _holds(self, run_id: RunId, step: str) -> dict[int, int]:
        mine = (self._session.tenant, run_id, step)
        return {
            lot: credits
            for (*place, lot), credits in self._session.tables.holds.items()
            if tuple(place) == mine
        }

    def _book(self, *entries: JournalEntry) -> None:
        tables = self._session.tables
        for entry in entries:
            if entry.key in tables.entries:
                raise self._session.refused(TransactionRefused("an entry has this key already"))
            tables.entries[entry.key] = entry
            tables.booked_at[entry.key] = self._session.now
            for posting in entry.postings:
                self._post(entry, posting)
        balances = [tables.balances[entry.user_id] for entry in entries]
        lots = [lot.remaining for lot in tables.lots.values()]
        held = tables.holds.values()
        if (
            any(
                min(balance.available, balance.reserved, balance.owed) < 0
                or (balance.owed and balance.available)
                for balance in balances
            )
            or min((*lots, *held, 0)) < 0
        ):
            raise self._session.refused(TransactionRefused("a sum may not be below zero"))

    def _post(self, entry: JournalEntry, posting: Posting) -> None:
        """Add a posting up wherever it counts, as the columns of PostgreSQL do."""
        tables, owner, kind = self._session.tables, entry.user_id, posting.account
        balance = tables.balances[owner]
        if kind is AccountKind.OWED:
            tables.balances[owner] = replace(balance, owed=balance.owed - posting.amount)
        elif kind is AccountKind.AVAILABLE:
            available = balance.available + posting.amount
            tables.balances[owner] = replace(balance, available=available)
            place = (owner, posting.lot or 0)
            lot = tables.lots[place]
            tables.lots[place] = replace(lot, remaining=lot.remaining + posting.amount)
        elif kind is AccountKind.RESERVED:
            reserved = balance.reserved + posting.amount
            tables.balances[owner] = replace(balance, reserved=reserved)
            if entry.run_id is None:
                raise TransactionRefused("what is held is held by a run")
            hold = (owner, entry.run_id, entry.step, posting.lot or 0)
            credits = tables.holds.pop(hold, 0) + posting.amount
            if credits:
                tables.holds[hold] = credits
        else:
            tables.house[kind] = tables.house.get(kind, 0) + posting.amount


def _sum(entry: JournalEntry, kind: AccountKind) -> int:
    return sum(posting.amount for posting in entry.postings if posting.account is kind)
