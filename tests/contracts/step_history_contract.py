"""What every ``StepHistory`` tells: aggregates of many people's finished steps, and no less."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from application.ports.history import StepHistory
from application.ports.persistence import UnitOfWork
from domain.agents.pipelines import DEVELOPER
from domain.billing.estimates import Span
from domain.billing.pricing import ModelPrice
from domain.billing.quote import HISTORY_PEOPLE, HISTORY_STEPS, ObservedStep
from domain.billing.usage import TokenUsage
from domain.projects.run import RunStatus
from tests.contracts.prices_contract import make_price
from tests.contracts.samples import keep_project, keep_run, keep_user
from tests.contracts.usage_contract import make_step


async def finished_steps(
    uow: UnitOfWork,
    model: str,
    sizes: Sequence[int],
    *,
    people: int = HISTORY_PEOPLE,
    status: RunStatus = RunStatus.SUCCEEDED,
    version: int = DEVELOPER.version,
    **changes: object,
) -> None:
    """One step of a run of its own for each size, of so many people in turn."""
    owners = [await keep_user(uow) for _ in range(people)]
    projects = [await keep_project(uow, owner) for owner in owners]
    for number, size in enumerate(sizes):
        run = await keep_run(uow, projects[number % people], pipeline_version=version)
        step = make_step(
            projects[number % people],
            run_id=run.id,
            model=model,
            step="srs",
            usage=TokenUsage(input=size, output=1, cache_write=1, cache_read=1, cache_write_1h=1),
            api_key_id=None,
        )
        async with uow.begin(run.user_id) as tx:
            await tx.usage.record(replace(step, **changes))  # type: ignore[arg-type]  # by use
            await tx.runs.finish(run.id, status)


class StepHistoryContract:
    @pytest.fixture
    def price(self) -> ModelPrice:
        """Of a model that nobody else uses."""
        return make_price().price

    async def test_percentiles_are_of_the_cost_at_the_prices_given(
        self, uow: UnitOfWork, history: StepHistory, price: ModelPrice
    ) -> None:
        sizes = [7 * n % 41 * 1_000 for n in range(40)]
        await finished_steps(uow, price.model, sizes)
        for row in (price, replace(price, input=price.input * 3, cache_write_1h=1)):
            found = await history.observed(DEVELOPER, {"srs": row})
            rest = row.output + row.cache_write + row.cache_read + row.cache_write_1h
            ordered = sorted(sizes)
            assert found == {
                "srs": ObservedStep(
                    samples=40,
                    cost=Span(
                        low=ordered[3] * row.input + rest,
                        expected=ordered[19] * row.input + rest,
                        high=ordered[37] * row.input + rest,
                    ),
                    tokens=ordered[19] + 4,
                )
            }

    async def test_few_steps_or_few_people_are_not_told_of(
        self, uow: UnitOfWork, history: StepHistory, price: ModelPrice
    ) -> None:
        await finished_steps(uow, price.model, [5] * (HISTORY_STEPS - 1))
        assert await history.observed(DEVELOPER, {"srs": price}) == {}
        other = make_price().price
        await finished_steps(uow, other.model, [5] * HISTORY_STEPS, people=HISTORY_PEOPLE - 1)
        assert await history.observed(DEVELOPER, {"srs": other}) == {}

    @pytest.mark.parametrize(
        "changes",
        [
            {"status": RunStatus.CANCELLED},
            {"status": RunStatus.FAILED},
            {"version": DEVELOPER.version + 1},
            {"charged": False},
            {"credits": 0},
            {"step": "prd"},
        ],
    )
    async def test_only_charged_steps_of_finished_runs_of_that_pipeline_and_model_count(
        self,
        uow: UnitOfWork,
        history: StepHistory,
        price: ModelPrice,
        changes: dict[str, object],
    ) -> None:
        await finished_steps(uow, price.model, [5] * HISTORY_STEPS, **changes)  # type: ignore[arg-type]  # by use
        await finished_steps(uow, "another model", [5] * HISTORY_STEPS)
        assert "srs" not in await history.observed(DEVELOPER, {"srs": price})

    async def test_nothing_is_known_where_nothing_is_asked_for(self, history: StepHistory) -> None:
        assert await history.observed(DEVELOPER, {}) == {}
