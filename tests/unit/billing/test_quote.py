"""Quotes: low, expected, high, from sizes measured or the platform's own history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.offline import OfflineLanguageModel
from application.billing.price_book import PriceBook
from application.ports.history import StepHistory
from application.ports.language_model import LanguageModel
from application.projects.make_quote import KEEP_HISTORY, MakeQuote, QuoteRequest
from domain.agents.artifacts import Mode
from domain.agents.pipelines import DEVELOPER, PIPELINES, Depth, ModelTier, Pipeline
from domain.billing.estimates import DEPTHS, SIZES, Span, tokens_of
from domain.billing.pricing import ModelPrice, PriceList, UnknownPrice
from domain.billing.quote import (
    HISTORY_PEOPLE,
    HISTORY_STEPS,
    METHOD,
    Basis,
    ObservedStep,
    Tariff,
    depth_of,
    quote,
)
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import ProjectId
from tests.contracts.samples import new_id
from tests.contracts.step_history_contract import finished_steps
from tests.fakes.language_model import PRICE
from tests.fakes.persistence import InMemoryStepHistory
from tests.fakes.prices import FIRST_RATE, PUBLISHED
from tests.unit.runs.world import GRANT, World, open_world

TODAY = date(2026, 11, 24)
SONNET = {
    ModelTier.CHEAP: "claude-haiku-5-5",
    ModelTier.DEFAULT: "claude-sonnet-5-5",
    ModelTier.STRONG: "claude-opus-5-5",
}
TARIFF = Tariff(prices=PUBLISHED, models=SONNET, rate=FIRST_RATE, on=TODAY)
UNKNOWN: Mapping[str, ObservedStep] = {}


def with_tier(tier: ModelTier, depth: Depth = Depth.STANDARD) -> Pipeline:
    """The developer pipeline with other agents."""
    return replace(
        DEVELOPER,
        steps=tuple(
            replace(step, agent=replace(step.agent, tier=tier, depth=depth))
            for step in DEVELOPER.steps
        ),
    )


def test_every_agent_of_every_pipeline_can_be_quoted() -> None:
    agents = {step.agent.type for pipeline in PIPELINES.values() for step in pipeline.steps}
    assert agents <= SIZES.keys()
    assert set(DEPTHS) == set(Depth)


def test_a_step_is_what_its_method_says_by_hand() -> None:
    srs = quote(DEVELOPER, 50, TARIFF, UNKNOWN).steps[1]
    assert (srs.step, srs.model, srs.basis) == ("srs", "claude-sonnet-5-5", Basis.MEASURED)
    assert srs.nano_usd == Span(
        low=(2_839 + 50) * 100 + 2_865 * 10_000,
        expected=(3_470 + 50) * 2_500 + 2 * 6_129 * 10_000,
        high=(4_417 + 50) * 2_500 + 4 * 11_449 * 10_000,
    )
    assert srs.credits.expected == -(-srs.nano_usd.expected * 9_000 // 10**9)
    assert srs.tokens == 3_470 + 50 + 2 * 6_129


def test_the_sum_of_the_steps_is_the_quote_and_repairs_are_not_in_it() -> None:
    whole = quote(DEVELOPER, 50, TARIFF, UNKNOWN)
    assert whole.credits.expected == sum(step.credits.expected for step in whole.steps)
    assert whole.steps[-1].step == "verify"
    assert whole.steps[-1].credits == Span(low=0, expected=0, high=0)


ROWS = st.builds(
    ModelPrice,
    model=st.just("m"),
    valid_from=st.sampled_from([TODAY - timedelta(days=9), TODAY, TODAY + timedelta(days=1)]),
    prompt_up_to=st.integers(1, 40_000),
    input=st.integers(1, 10**6),
    output=st.integers(1, 10**6),
    cache_write=st.integers(1, 10**6),
    cache_write_1h=st.integers(1, 10**6),
    cache_read=st.integers(1, 10**6),
    source=st.just("made up"),
)


@given(
    rows=st.lists(ROWS, min_size=1, max_size=6),
    idea=st.integers(0, 15_000),
    more=st.integers(0, 15_000),
    depth=st.sampled_from(Depth),
)
def test_whatever_the_prices_the_figures_are_in_order_and_a_longer_idea_is_not_cheaper_at_most(
    rows: Sequence[ModelPrice], idea: int, more: int, depth: Depth
) -> None:
    # Each day's price has a row for the longest prompts, as every price has.
    prices = PriceList(prices=(*rows, *(replace(row, prompt_up_to=None) for row in rows)))
    tariff = replace(TARIFF, prices=prices, models=dict.fromkeys(ModelTier, "m"))
    pipeline = with_tier(ModelTier.DEFAULT, depth)
    if min(row.valid_from for row in rows) > TODAY:
        with pytest.raises(UnknownPrice):
            quote(pipeline, idea, tariff, UNKNOWN)
        return
    short, long = (quote(pipeline, length, tariff, UNKNOWN) for length in (idea, idea + more))
    for step in short.steps:
        assert step.credits.low <= step.credits.expected <= step.credits.high
    assert short.credits.high <= long.credits.high


def test_a_dearer_tier_and_a_greater_depth_cost_more() -> None:
    def high(tier: ModelTier, depth: Depth = Depth.STANDARD) -> int:
        return quote(with_tier(tier, depth), 50, TARIFF, UNKNOWN).credits.high

    assert high(ModelTier.CHEAP) < high(ModelTier.DEFAULT) < high(ModelTier.STRONG)
    by_depth = [high(ModelTier.DEFAULT, depth) for depth in Depth]
    assert by_depth == sorted(by_depth)
    assert len(set(by_depth)) == 3


def test_history_takes_the_place_of_what_was_measured_rounded_and_with_a_margin() -> None:
    seen = ObservedStep(
        samples=20, cost=Span(low=1_234_567, expected=2_345_678, high=8_000_001), tokens=700
    )
    usual, long = (
        quote(DEVELOPER, length, TARIFF, {"srs": seen}).steps[1] for length in (100, 1_100)
    )
    assert usual.nano_usd == Span(low=1_300_000, expected=2_400_000, high=11_000_000)
    assert (usual.basis, usual.samples, usual.tokens) == (Basis.HISTORY, 20, 700)
    assert long.nano_usd.low == 1_300_000 + 1_000 * 2_500
    others = quote(DEVELOPER, 100, TARIFF, {"srs": seen}).steps
    assert {step.basis for step in others if step.step != "srs"} == {Basis.MEASURED}


def test_only_the_depth_of_the_mode_can_be_asked_for() -> None:
    assert depth_of(DEVELOPER) is depth_of(DEVELOPER, Depth.STANDARD) is Depth.STANDARD
    with pytest.raises(InvalidValue) as refused:
        depth_of(DEVELOPER, Depth.THOROUGH)
    assert refused.value.field == "depth"


def test_the_method_says_its_own_figures() -> None:
    assert f"at least {HISTORY_STEPS} finished steps of at least {HISTORY_PEOPLE} people" in METHOD


class Counting(StepHistory):
    """History that counts who asks."""

    def __init__(self, behind: StepHistory) -> None:
        self.behind, self.asked = behind, 0

    async def observed(
        self, pipeline: Pipeline, prices: Mapping[str, ModelPrice]
    ) -> Mapping[str, ObservedStep]:
        self.asked += 1
        return await self.behind.observed(pipeline, prices)


async def priced_world() -> World:
    """A world whose one model has a price row."""
    world = await open_world()
    row = replace(next(iter(world.database.tables.prices.values())), id=new_id(), price=PRICE)
    async with world.uow.begin(None) as tx:
        await tx.prices.add_prices([row])
    return world


def quoting(world: World, model: LanguageModel | None = None) -> tuple[MakeQuote, Counting]:
    history = Counting(InMemoryStepHistory(world.database))
    book = PriceBook(world.uow, world.clock)
    return MakeQuote(world.uow, book, history, model or world.model, world.clock), history


def of(world: World, **changes: object) -> QuoteRequest:
    request = QuoteRequest(user_id=world.user_id, mode=Mode.DEVELOPER, idea_length=400)
    return replace(request, **changes)  # type: ignore[arg-type]  # checked by use


async def test_a_quote_has_no_effect() -> None:
    world = await priced_world()
    project = await world.project()
    make_quote, _ = quoting(world)
    before = world.database.tables.copy()

    first, balance = await make_quote(of(world))
    second, _ = await make_quote.of_project(world.user_id, project.id)

    assert world.database.tables == before
    assert balance.available == GRANT
    assert first.credits.expected > 0
    assert second.idea_tokens == tokens_of(len(project.idea.encode()))


async def test_an_idea_counts_by_its_bytes_and_its_length_by_characters() -> None:
    world = await priced_world()
    make_quote, _ = quoting(world)
    hindi = "पतंग बनाने वालों के लिए एक ऐप"

    by_idea, _ = await make_quote(of(world, idea=hindi, idea_length=None))
    by_length, _ = await make_quote(of(world, idea_length=len(hindi)))

    assert by_idea.idea_tokens > by_length.idea_tokens == tokens_of(len(hindi))


async def test_the_platforms_own_history_is_used_once_there_is_enough_and_kept_a_while() -> None:
    world = await priced_world()
    make_quote, history = quoting(world)
    before, _ = await make_quote(of(world))
    await finished_steps(world.uow, PRICE.model, [90_000] * HISTORY_STEPS)

    still, _ = await make_quote(of(world))
    world.clock.move(KEEP_HISTORY)
    after, _ = await make_quote(of(world))

    assert before == still
    assert history.asked == 2
    srs = next(step for step in after.steps if step.step == "srs")
    assert (srs.basis, srs.samples) == (Basis.HISTORY, HISTORY_STEPS)
    # 90,000 of input and a few of the rest, rounded up to two figures.
    assert srs.nano_usd.expected == 190_000_000


async def test_a_run_composed_offline_costs_nothing_and_needs_no_price() -> None:
    world = await open_world()
    make_quote, history = quoting(world, OfflineLanguageModel())

    offline, _ = await make_quote(of(world))

    assert offline.credits == Span(low=0, expected=0, high=0)
    assert {step.basis for step in offline.steps} == {Basis.OFFLINE}
    assert history.asked == 0


async def test_what_cannot_be_quoted_says_why() -> None:
    world = await open_world()
    make_quote, _ = quoting(world)
    with pytest.raises(UnknownPrice, match="scripted-1"):
        await make_quote(of(world))
    with pytest.raises(NotFound):
        await make_quote.of_project(world.user_id, ProjectId(new_id()))
    for field, changes in (
        ("idea", {"idea": "A library for a college.", "idea_length": 24}),
        ("idea", {"idea_length": None}),
        ("idea", {"idea": "short", "idea_length": None}),
        ("idea_length", {"idea_length": 9}),
        ("idea_length", {"idea_length": 20_001}),
        ("mode", {"mode": Mode.STUDENT}),
        ("depth", {"depth": Depth.BRIEF}),
    ):
        with pytest.raises(InvalidValue) as refused:
            await make_quote(of(world, **changes))
        assert refused.value.field == field


async def test_a_run_with_small_answers_is_charged_less_than_the_high_figure() -> None:
    world = await priced_world()
    make_quote, _ = quoting(world)
    project = await world.project()
    quoted, _ = await make_quote.of_project(world.user_id, project.id)
    run = await world.execute(project)
    await world.worker()(run.id)

    charged = {name: task.credits for name, task in (await world.tasks(run.id)).items()}

    assert all(charged[step.step] <= step.credits.high for step in quoted.steps)
    assert quoted.on == datetime(2026, 11, 2, tzinfo=UTC).date()
