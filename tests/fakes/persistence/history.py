"""What steps of finished runs cost, over the rows in memory."""

from collections.abc import Mapping, Sequence

from application.ports.history import StepHistory
from application.ports.usage import SettledStep
from domain.agents.pipelines import Pipeline
from domain.billing.estimates import Span
from domain.billing.pricing import ModelPrice
from domain.billing.quote import HISTORY_PEOPLE, HISTORY_STEPS, ObservedStep
from domain.projects.run import RunStatus
from tests.fakes.persistence.database import InMemoryDatabase


class InMemoryStepHistory(StepHistory):
    """Aggregates over everybody's."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def observed(
        self, pipeline: Pipeline, prices: Mapping[str, ModelPrice]
    ) -> Mapping[str, ObservedStep]:
        async with self._database.session(None) as session:
            by_step: dict[str, list[SettledStep]] = {}
            for line in session.tables.usage.values():
                step, run = line.step, session.tables.runs.get(line.step.run_id)
                if (
                    run is not None
                    and run.run.status is RunStatus.SUCCEEDED
                    and (run.run.mode, run.run.pipeline_version)
                    == (pipeline.mode, pipeline.version)
                    and step.charged
                    and step.credits > 0
                    and step.step in prices
                    and step.model == prices[step.step].model
                ):
                    by_step.setdefault(step.step, []).append(step)
        return {
            name: _aggregate(steps, prices[name])
            for name, steps in by_step.items()
            if len(steps) >= HISTORY_STEPS
            and len({step.user_id for step in steps}) >= HISTORY_PEOPLE
        }


def _aggregate(steps: Sequence[SettledStep], price: ModelPrice) -> ObservedStep:
    costs = sorted(price.cost(step.usage) for step in steps)
    tokens = sorted(step.usage.total for step in steps)

    def at(values: Sequence[int], hundredths: int) -> int:
        # The first value whose share of the whole reaches the percentile, as in SQL.
        return values[max(0, -(-hundredths * len(values) // 100) - 1)]

    return ObservedStep(
        samples=len(steps),
        cost=Span(low=at(costs, 10), expected=at(costs, 50), high=at(costs, 95)),
        tokens=at(tokens, 50),
    )
