"""The journal of model calls, and the ledger."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.constraints import violated
from adapters.postgres.tables import balances, holds, journal, model_calls, postings
from application.ports.language_model import StopReason
from application.ports.persistence import BorneBy, CallState, ModelCall
from domain.billing.ledger import AccountKind, Balance, InsufficientCredits, JournalEntry
from domain.billing.usage import TokenUsage
from domain.shared.ids import ModelCallId, RunId, UserId


class PostgresModelCalls:
    """The ``ModelCallRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = model_calls.c.user_id == user_id

    async def add(self, call: ModelCall) -> None:
        await self._connection.execute(
            insert(model_calls).values(
                id=call.id,
                user_id=call.user_id,
                run_id=call.run_id,
                step=call.step,
                request_hash=call.request_hash,
                part=call.part,
                purpose=call.purpose,
                borne_by=call.borne_by,
                state=call.state,
                held=call.held,
            )
        )

    async def conclude(self, call: ModelCall) -> None:
        await self._connection.execute(
            update(model_calls)
            .where(
                model_calls.c.id == call.id,
                model_calls.c.state.in_((CallState.INTENT, CallState.LOST)),
                self._mine,
            )
            .values(
                state=call.state,
                # An answer that comes after its call was given up for lost is on the house.
                borne_by=case(
                    (model_calls.c.state == CallState.LOST, BorneBy.HOUSE.value),
                    else_=call.borne_by.value,
                ),
                model=call.model,
                text=call.text,
                stop=call.stop,
                input_tokens=call.usage.input,
                output_tokens=call.usage.output,
                cache_write_tokens=call.usage.cache_write,
                cache_read_tokens=call.usage.cache_read,
                cache_write_1h_tokens=call.usage.cache_write_1h,
                cost_nano_usd=call.cost_nano_usd,
                estimated=call.estimated,
                failure=call.failure,
                provider_request_id=call.provider_request_id,
                concluded_at=func.now(),
            )
        )

    async def of_request(self, run_id: RunId, step: str, request_hash: str) -> Sequence[ModelCall]:
        rows = await self._connection.execute(
            select(model_calls)
            .where(
                model_calls.c.run_id == run_id,
                model_calls.c.step == step,
                model_calls.c.request_hash == request_hash,
                self._mine,
            )
            .order_by(model_calls.c.id)
        )
        return [_call(row, row.text) for row in rows]

    async def of_step(self, run_id: RunId, step: str) -> Sequence[ModelCall]:
        columns = [column for column in model_calls.c if column.name != "text"]
        rows = await self._connection.execute(
            select(*columns)
            .where(model_calls.c.run_id == run_id, model_calls.c.step == step, self._mine)
            .order_by(model_calls.c.id)
        )
        return [_call(row, "") for row in rows]

    async def failed(self, run_id: RunId, limit: int) -> Sequence[ModelCall]:
        columns = [column for column in model_calls.c if column.name != "text"]
        rows = await self._connection.execute(
            select(*columns)
            .where(
                model_calls.c.run_id == run_id,
                model_calls.c.state == CallState.FAILED,
                self._mine,
            )
            .order_by(model_calls.c.id.desc())
            .limit(limit)
        )
        return [_call(row, "") for row in rows]


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
            select(balances.c.available, balances.c.reserved).where(balances.c.user_id == user_id)
        )
        row = rows.one_or_none()
        return (
            Balance(available=row.available, reserved=row.reserved)
            if row
            else Balance(available=0, reserved=0)
        )

    async def book(self, entry: JournalEntry) -> bool:
        # A savepoint: a refused entry leaves nothing behind, and the block can go on.
        try:
            async with self._connection.begin_nested():
                return await self._book(entry)
        except IntegrityError as error:
            if violated(error) not in ("balances_available_check", "balances_reserved_check"):
                raise
            balance = await self.balance(entry.user_id)
            needed = -min(_change(entry).values())
            raise InsufficientCredits(
                f"This needs {needed} credits free; {balance.available} are.",
                needed=needed,
                available=balance.available,
            ) from error

    async def _book(self, entry: JournalEntry) -> bool:
        booked = await self._connection.scalar(
            upsert(journal)
            .values(
                key=entry.key,
                user_id=entry.user_id,
                kind=entry.kind,
                run_id=entry.run_id,
                step=entry.step,
            )
            .on_conflict_do_nothing(constraint="journal_key_key")
            .returning(journal.c.id)
        )
        if booked is None:
            return False
        await self._connection.execute(
            insert(postings),
            [
                {
                    "entry_id": booked,
                    "user_id": entry.user_id,
                    "account": posting.account,
                    "amount": posting.amount,
                }
                for posting in entry.postings
            ],
        )
        change = _change(entry)
        if any(change.values()):
            moved = await self._connection.scalar(
                update(balances)
                .where(balances.c.user_id == entry.user_id)
                .values(
                    available=balances.c.available + change[AccountKind.AVAILABLE],
                    reserved=balances.c.reserved + change[AccountKind.RESERVED],
                )
                .returning(balances.c.user_id)
            )
            if moved is None:
                raise LookupError(f"user {entry.user_id} has no account")
        return True

    async def hold(self, run_id: RunId, step: str, credits: int) -> None:
        await self._connection.execute(
            upsert(holds)
            .values(run_id=run_id, step=step, user_id=self._user_id, credits=credits)
            .on_conflict_do_update(
                constraint="holds_pkey", set_={"credits": holds.c.credits + credits}
            )
        )

    async def held(self, run_id: RunId, step: str) -> int:
        credits = await self._connection.scalar(
            select(holds.c.credits)
            .where(holds.c.run_id == run_id, holds.c.step == step, self._my_holds)
            .with_for_update()
        )
        return int(credits or 0)

    async def held_steps(self, run_id: RunId) -> Sequence[str]:
        rows = await self._connection.scalars(
            select(holds.c.step)
            .where(holds.c.run_id == run_id, self._my_holds)
            .order_by(holds.c.step)
        )
        return list(rows)

    async def close_hold(self, run_id: RunId, step: str) -> None:
        await self._connection.execute(
            delete(holds).where(holds.c.run_id == run_id, holds.c.step == step, self._my_holds)
        )


def _change(entry: JournalEntry) -> dict[AccountKind, int]:
    """What the entry adds to each personal account."""
    change = {AccountKind.AVAILABLE: 0, AccountKind.RESERVED: 0}
    for posting in entry.postings:
        if posting.account in change:
            change[posting.account] += posting.amount
    return change


def _call(row: Row[Any], text: str) -> ModelCall:
    return ModelCall(
        id=ModelCallId(row.id),
        user_id=UserId(row.user_id),
        run_id=RunId(row.run_id),
        step=row.step,
        request_hash=row.request_hash,
        part=row.part,
        purpose=row.purpose,
        borne_by=BorneBy(row.borne_by),
        state=CallState(row.state),
        held=row.held,
        model=row.model,
        text=text,
        stop=None if row.stop is None else StopReason(row.stop),
        usage=TokenUsage(
            input=row.input_tokens,
            output=row.output_tokens,
            cache_write=row.cache_write_tokens,
            cache_read=row.cache_read_tokens,
            cache_write_1h=row.cache_write_1h_tokens,
        ),
        cost_nano_usd=row.cost_nano_usd,
        estimated=row.estimated,
        failure=row.failure,
        provider_request_id=row.provider_request_id,
    )
