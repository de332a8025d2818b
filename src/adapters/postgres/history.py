"""What steps of finished runs cost: percentiles over everybody's, made in the database."""

from collections.abc import Mapping

from sqlalchemy import (
    BigInteger,
    Text,
    column,
    func,
    select,
    type_coerce,
    values,
)
from sqlalchemy import (
    Double as _Double,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.engine import with_retries
from adapters.postgres.tables import runs, usage
from domain.agents.pipelines import Pipeline
from domain.billing.estimates import Span
from domain.billing.pricing import ModelPrice
from domain.billing.quote import HISTORY_PEOPLE, HISTORY_STEPS, ObservedStep
from domain.projects.run import RunStatus

LATEST = 5_000
"""Steps looked at, the latest of a mode: a bound on the work, and the past fades out."""

_PERCENTILES = (0.1, 0.5, 0.95)
_BUCKETS = ("input", "output", "cache_write", "cache_write_1h", "cache_read")


class PostgresStepHistory:
    """The ``StepHistory`` over the ``dispatch`` role's engine.

    The role sees everybody's usage, but not of which project it is; only aggregates of at
    least so many steps and people leave the statement.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def observed(
        self, pipeline: Pipeline, prices: Mapping[str, ModelPrice]
    ) -> Mapping[str, ObservedStep]:
        if not prices:
            return {}
        latest = (
            select(
                usage.c.step,
                usage.c.model,
                usage.c.user_id,
                *(usage.c[f"{bucket}_tokens"] for bucket in _BUCKETS),
            )
            .join(runs, runs.c.id == usage.c.run_id)
            .where(
                usage.c.mode == pipeline.mode.value,
                usage.c.charged,
                usage.c.credits > 0,
                runs.c.status == RunStatus.SUCCEEDED.value,
                runs.c.pipeline_version == pipeline.version,
            )
            .order_by(usage.c.at.desc())
            .limit(LATEST)
            .subquery()
        )
        rows = values(
            column("step", Text),
            column("model", Text),
            *(column(bucket, BigInteger) for bucket in _BUCKETS),
            name="prices",
        ).data(
            [
                (step, price.model, *(getattr(price, bucket) for bucket in _BUCKETS))
                for step, price in prices.items()
            ]
        )
        cost, tokens = (
            type_coerce(
                sum(terms[1:], start=terms[0]),
                BigInteger,
            )
            for terms in (
                [latest.c[f"{bucket}_tokens"] * rows.c[bucket] for bucket in _BUCKETS],
                [latest.c[f"{bucket}_tokens"] for bucket in _BUCKETS],
            )
        )
        query = (
            select(
                latest.c.step,
                func.count().label("samples"),
                func.percentile_disc(type_coerce(list(_PERCENTILES), ARRAY(item_type=_Double)))
                .within_group(cost)
                .label("costs"),
                func.percentile_disc(0.5).within_group(tokens).label("tokens"),
            )
            .join(rows, (rows.c.step == latest.c.step) & (rows.c.model == latest.c.model))
            .group_by(latest.c.step)
            .having(
                func.count() >= HISTORY_STEPS,
                func.count(latest.c.user_id.distinct()) >= HISTORY_PEOPLE,
            )
        )

        async def execute() -> Mapping[str, ObservedStep]:
            async with self._engine.connect() as connection:
                found = await connection.execute(query)
                return {
                    row.step: ObservedStep(
                        samples=row.samples,
                        cost=Span(low=row.costs[0], expected=row.costs[1], high=row.costs[2]),
                        tokens=row.tokens,
                    )
                    for row in found
                }

        return await with_retries(execute)
