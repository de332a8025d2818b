"""The journal of model calls."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.tables import balances, model_calls
from application.ports.language_model import StopReason
from application.ports.model_calls import MENDING, BorneBy, CallState, MendingCost, ModelCall
from domain.billing.usage import TokenUsage
from domain.shared.ids import ModelCallId, RunId, UserId


class PostgresModelCalls:
    """The ``ModelCallRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
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
                bound_nano_usd=call.bound_nano_usd,
            )
        )

    async def conclude(self, call: ModelCall) -> bool:
        # Locked before it is changed, so that the state it was in is told.
        before = (
            select(model_calls.c.id, model_calls.c.state)
            .where(
                model_calls.c.id == call.id,
                model_calls.c.state.in_((CallState.INTENT, CallState.LOST)),
                self._mine,
            )
            .with_for_update()
            .cte("before")
        )
        was = await self._connection.scalar(
            update(model_calls)
            .where(model_calls.c.id == before.c.id)
            .values(
                state=call.state,
                # An answer that comes after its call was given up for lost is on the house.
                borne_by=case(
                    (before.c.state == CallState.LOST, BorneBy.HOUSE.value),
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
            .returning(before.c.state)
        )
        return was == CallState.LOST and call.state is not CallState.LOST

    async def give_up(self, run_id: RunId, step: str, request_hash: str | None = None) -> None:
        given_up = (
            update(model_calls)
            .where(
                model_calls.c.run_id == run_id,
                model_calls.c.step == step,
                model_calls.c.state == CallState.INTENT,
                self._mine,
            )
            .values(state=CallState.LOST, borne_by=BorneBy.HOUSE, concluded_at=func.now())
        )
        if request_hash is not None:
            given_up = given_up.where(model_calls.c.request_hash == request_hash)
        await self._connection.execute(given_up)

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

    async def committed(self, run_id: RunId, step: str) -> int:
        nano_usd = await self._connection.scalar(
            select(func.sum(_OPEN_OR_SPENT)).where(
                model_calls.c.run_id == run_id,
                model_calls.c.step == step,
                model_calls.c.borne_by == BorneBy.USER,
                self._mine,
            )
        )
        return int(nano_usd or 0)

    async def mending(self, run_id: RunId, day_seconds: float) -> MendingCost:
        await self._connection.execute(
            select(balances.c.user_id).where(balances.c.user_id == self._user_id).with_for_update()
        )
        cost = select(func.coalesce(func.sum(_OPEN_OR_SPENT), 0)).where(
            model_calls.c.purpose.in_(sorted(MENDING)), self._mine
        )
        since = func.statement_timestamp() - timedelta(seconds=day_seconds)
        rows = await self._connection.execute(
            select(
                cost.where(model_calls.c.run_id == run_id).scalar_subquery().label("run"),
                cost.where(model_calls.c.created_at > since).scalar_subquery().label("day"),
            )
        )
        row = rows.one()
        return MendingCost(run_nano_usd=int(row.run), day_nano_usd=int(row.day))

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


_OPEN_OR_SPENT = case(
    (
        model_calls.c.state.in_((CallState.INTENT, CallState.LOST)),
        model_calls.c.bound_nano_usd,
    ),
    else_=model_calls.c.cost_nano_usd,
)


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
        bound_nano_usd=row.bound_nano_usd,
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
