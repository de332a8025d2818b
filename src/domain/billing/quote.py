"""What a run will probably cost, said before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from domain.agents.pipelines import Agent, Depth, ModelTier, Pipeline, Step
from domain.billing.estimates import DEPTHS, NOTHING, SIZES, WRITING, CallSizes, Span
from domain.billing.pricing import PriceList
from domain.shared.errors import InvalidValue
from domain.shared.money import ExchangeRate

METHOD_VERSION: Final = 1
"""Raised when the same question would be answered by another rule."""

METHOD: Final = (
    "For each step: the calls it makes, the length of what is asked and answered, at the prices "
    "in force today, each step rounded up to a whole credit. Where at least 20 finished steps of "
    "at least 5 people used the same model lately, low, expected and high are the 10th, 50th and "
    "95th percentile of what they cost at today's prices, high with a quarter on top. Elsewhere "
    "they are made from sizes measured on sample ideas that were composed offline: the least "
    "with everything cached; the median with twice the answer; the most with four times the "
    "answer and nothing cached. Review retries, repairs, failed steps and lost answers are not "
    "charged, and a step whose inputs have not changed since an earlier run costs nothing: none "
    "of that is in the figures. A longer idea adds its length to every call. No call is made "
    "that the balance does not cover."
)

HISTORY_STEPS: Final = 20
HISTORY_PEOPLE: Final = 5
"""Fewer finished steps, or of fewer people, say more about those people than about a step."""

USUAL_IDEA_TOKENS: Final = 100
"""An idea as long as those that history is made of: some sentences."""


class Basis(StrEnum):
    """What a step's figures are made from."""

    MEASURED = "measured"
    HISTORY = "history"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedStep:
    """What a step of finished runs cost, in nano-dollars at today's prices.

    Aggregates over ``samples`` steps; ``cost`` is their 10th, 50th and 95th percentile.
    """

    samples: int
    cost: Span
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepQuote:
    """What one step will probably cost, in nano-dollars and in credits; ``tokens`` expected."""

    step: str
    title: str
    model: str
    nano_usd: Span
    credits: Span
    tokens: int
    basis: Basis
    samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a run will probably cost; ``credits`` is the sum of its steps'."""

    pipeline: Pipeline
    depth: Depth
    idea_tokens: int
    steps: tuple[StepQuote, ...]
    rate: ExchangeRate
    on: date

    @property
    def credits(self) -> Span:
        """All steps together."""
        return sum((step.credits for step in self.steps), NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What the steps of a run are priced by: today's rows, models and rate."""

    prices: PriceList
    models: Mapping[ModelTier, str]
    rate: ExchangeRate
    on: date


def depth_of(pipeline: Pipeline, asked: Depth | None = None) -> Depth:
    """How far the pipeline's agents go: the farthest of them.

    Raises:
        InvalidValue: another depth was asked for than the pipeline has.
    """
    order = list(Depth)
    own = max((step.agent.depth for step in pipeline.steps), key=order.index)
    if asked not in (None, own):
        raise InvalidValue(
            "depth",
            f"The mode {pipeline.mode} is executed at the depth {own}; leave depth out or say so.",
        )
    return own


def quote(
    pipeline: Pipeline,
    idea_tokens: int,
    tariff: Tariff,
    history: Mapping[str, ObservedStep],
) -> Quote:
    """The quote of a run whose answers are a language model's.

    ``history`` has the steps that are known well enough, by their name.

    Raises:
        UnknownPrice: a model that would be asked has no price today.
    """
    return Quote(
        pipeline=pipeline,
        depth=depth_of(pipeline),
        idea_tokens=idea_tokens,
        steps=tuple(
            _step(step, idea_tokens, tariff, history.get(step.name)) for step in pipeline.steps
        ),
        rate=tariff.rate,
        on=tariff.on,
    )


def offline_quote(pipeline: Pipeline, idea_tokens: int, rate: ExchangeRate, on: date) -> Quote:
    """The quote of a run that asks no model: nothing is bought."""
    return Quote(
        pipeline=pipeline,
        depth=depth_of(pipeline),
        idea_tokens=idea_tokens,
        steps=tuple(
            StepQuote(
                step=step.name,
                title=step.agent.title,
                model="offline",
                nano_usd=NOTHING,
                credits=NOTHING,
                tokens=0,
                basis=Basis.OFFLINE,
            )
            for step in pipeline.steps
        ),
        rate=rate,
        on=on,
    )


def usual_prompt(agent: Agent) -> int:
    """The length of the longest usual prompt of an agent, in tokens: it picks a price's band."""
    return max((sizes.prompt.expected for sizes in SIZES[agent.type]), default=0)


def _step(step: Step, idea_tokens: int, tariff: Tariff, observed: ObservedStep | None) -> StepQuote:
    agent = step.agent
    model = tariff.models[agent.tier]
    kinds = SIZES[agent.type]
    if observed is not None:
        more = max(0, idea_tokens - USUAL_IDEA_TOKENS) * sum(k.calls.expected for k in kinds)
        row = tariff.prices.row(model, tariff.on, usual_prompt(agent))
        cost = _plus(_rounded(observed.cost), more * row.dearest_input)
        tokens = observed.tokens + more
    else:
        cost = sum((_measured(sizes, agent, idea_tokens, tariff) for sizes in kinds), NOTHING)
        tokens = sum(
            sizes.calls.expected * (sizes.prompt.expected + idea_tokens)
            + _answers(sizes, agent).expected
            for sizes in kinds
        )
    return StepQuote(
        step=step.name,
        title=agent.title,
        model=model if kinds else "",
        nano_usd=cost,
        credits=Span(
            low=tariff.rate.credits_for(cost.low),
            expected=tariff.rate.credits_for(cost.expected),
            high=tariff.rate.credits_for(cost.high),
        ),
        tokens=tokens,
        basis=Basis.MEASURED if observed is None else Basis.HISTORY,
        samples=0 if observed is None else observed.samples,
    )


def _measured(sizes: CallSizes, agent: Agent, idea_tokens: int, tariff: Tariff) -> Span:
    """One kind of call, from what was measured of it."""
    model, answers = tariff.models[agent.tier], _answers(sizes, agent)
    low, usual, most = (
        length + idea_tokens
        for length in (sizes.prompt.low, sizes.prompt.expected, sizes.prompt.high)
    )
    cheap, middle = (tariff.prices.row(model, tariff.on, length) for length in (low, usual))
    # The first call writes the cache that the others of its kind read.
    expected = (
        usual * middle.cache_write
        + (sizes.calls.expected - 1) * usual * middle.cache_read
        + answers.expected * middle.output
    )
    cached = min(cheap.input, cheap.cache_read, cheap.cache_write)
    least = sizes.calls.low * low * cached + answers.low * cheap.output
    return Span(
        # A price may be dearer for short prompts than for long ones.
        low=min(least, expected),
        expected=expected,
        high=tariff.prices.most(model, tariff.on, most, answers.high)
        + (sizes.calls.high - 1) * tariff.prices.most(model, tariff.on, most, 0),
    )


def _answers(sizes: CallSizes, agent: Agent) -> Span:
    times, parts = DEPTHS[agent.depth]
    measured = sizes.answers
    return Span(
        low=measured.low * WRITING.low * min(times, parts) // parts,
        expected=-(-measured.expected * WRITING.expected * times // parts),
        high=-(-measured.high * WRITING.high * times // parts),
    )


def _rounded(cost: Span) -> Span:
    """Two figures, upwards, and the margin on the high one: nobody's own cost is read off it."""
    return Span(
        low=_two_figures(cost.low),
        expected=_two_figures(cost.expected),
        high=_two_figures(cost.high + cost.high // 4),
    )


def _two_figures(amount: int) -> int:
    unit = int(10 ** max(0, len(str(amount)) - 2))
    return -(-amount // unit) * unit


def _plus(span: Span, more: int) -> Span:
    return Span(low=span.low + more, expected=span.expected + more, high=span.high + more)
