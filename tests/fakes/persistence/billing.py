"""The journal of model calls and the credit ledger, in memory."""

from collections.abc import Sequence
from dataclasses import replace

from application.ports.persistence import BorneBy, CallState, Ledger, ModelCall, ModelCallRepository
from domain.billing.ledger import (
    AccountKind,
    Balance,
    InsufficientCredits,
    JournalEntry,
)
from domain.shared.ids import RunId, UserId
from tests.fakes.persistence.database import Session, TransactionRefused


class InMemoryModelCalls(ModelCallRepository):
    """The calls of the session's person. They outlive their run, so none is asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, call: ModelCall) -> None:
        self._session.require_own(call.user_id)
        if call.id in self._session.tables.calls:
            raise self._session.refused(TransactionRefused("a call has this id already"))
        self._session.tables.calls[call.id] = call

    async def conclude(self, call: ModelCall) -> None:
        intent = self._session.tables.calls.get(call.id)
        if intent is None or intent.user_id != self._session.tenant:
            return
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
                borne_by=BorneBy.HOUSE if intent.state is CallState.LOST else call.borne_by,
            )

    async def of_request(self, run_id: RunId, step: str, request_hash: str) -> Sequence[ModelCall]:
        return [call for call in self._of(run_id, step) if call.request_hash == request_hash]

    async def of_step(self, run_id: RunId, step: str) -> Sequence[ModelCall]:
        return [replace(call, text="") for call in self._of(run_id, step)]

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

    async def book(self, entry: JournalEntry) -> bool:
        self._session.require_own(entry.user_id)
        tables = self._session.tables
        if entry.key in tables.entries:
            return False
        if entry.user_id not in tables.balances:
            raise self._session.refused(TransactionRefused("no account is open"))
        balance = tables.balances[entry.user_id]
        after = Balance(
            available=balance.available + _sum(entry, AccountKind.AVAILABLE),
            reserved=balance.reserved + _sum(entry, AccountKind.RESERVED),
        )
        if after.available < 0 or after.reserved < 0:
            needed = max(balance.available - after.available, balance.reserved - after.reserved)
            raise InsufficientCredits(
                f"This needs {needed} credits free; {balance.available} are.",
                needed=needed,
                available=balance.available,
            )
        tables.entries[entry.key] = entry
        tables.balances[entry.user_id] = after
        for kind in (AccountKind.GRANTS, AccountKind.REVENUE, AccountKind.HOUSE_COST):
            tables.house[kind] = tables.house.get(kind, 0) + _sum(entry, kind)
        return True

    async def hold(self, run_id: RunId, step: str, credits: int) -> None:
        held = await self.held(run_id, step) + credits
        if held < 0:
            raise self._session.refused(TransactionRefused("a step cannot hold less than nothing"))
        self._session.tables.holds[self._session.tenant, run_id, step] = held

    async def held(self, run_id: RunId, step: str) -> int:
        return self._session.tables.holds.get((self._session.tenant, run_id, step), 0)

    async def held_steps(self, run_id: RunId) -> Sequence[str]:
        tenant = self._session.tenant
        return sorted(
            step
            for (user, run, step), credits in self._session.tables.holds.items()
            if user == tenant and run == run_id and credits > 0
        )

    async def close_hold(self, run_id: RunId, step: str) -> None:
        self._session.tables.holds.pop((self._session.tenant, run_id, step), None)


def _sum(entry: JournalEntry, kind: AccountKind) -> int:
    return sum(posting.amount for posting in entry.postings if posting.account is kind)
