"""Prices, bands, dates, and that nothing costs more than was held for it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.claude import (
    ClaudeLanguageModel,
    ClaudeSettings,
    ClaudeSettingsInvalid,
    published_limits,
)
from adapters.claude.instructions import Instructions
from adapters.claude.prompt import prompt_for
from application.ports.language_model import FailureKind, ModelCallFailed, RawReply, StopReason
from application.ports.persistence import DatabaseUnavailable
from domain.agents.artifacts import Idea, IdeaBrief, Mode
from domain.agents.pipelines import Depth, ModelTier
from domain.billing.pricing import PriceList, UnknownPrice
from domain.billing.usage import NO_USAGE, TokenUsage
from tests.contracts.language_model_contract import request_for
from tests.fakes.prices import PUBLISHED, FixedPrices

PRICES = PUBLISHED
MODELS = sorted(published_limits())
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SETTINGS = ClaudeSettings(api_key="sk-test-key")
INSTRUCTIONS = Instructions()


def model_on(day: datetime = NOW, prices: PriceList = PRICES) -> ClaudeLanguageModel:
    return ClaudeLanguageModel(
        SETTINGS, FixedPrices(prices), now=lambda: day, instructions=INSTRUCTIONS
    )


def test_every_row_has_a_source_and_cache_writes_at_the_providers_multiples() -> None:
    for price in PRICES.prices:
        assert price.source.startswith("https://")
        assert 4 * price.cache_write == 5 * price.input
        assert price.cache_write_1h == 2 * price.input


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("claude-opus-5-5", TokenUsage(input=1_000_000), 4),
        ("claude-opus-5-5", TokenUsage(output=1_000_000), 20),
        ("claude-sonnet-5-5", TokenUsage(cache_write=1_000_000), 2.5),
        ("claude-sonnet-5-5", TokenUsage(cache_read=1_000_000), 0.1),
        ("claude-opus-5-5", TokenUsage(cache_write_1h=1_000_000), 8),
        ("claude-sonnet-5-5", TokenUsage(cache_write_1h=1_000_000), 4),
        ("claude-haiku-5-5", TokenUsage(cache_write_1h=50_000), 0.01),
        ("claude-haiku-5-5", TokenUsage(output=1_000_000), 0.5),
        ("claude-haiku-5-5", TokenUsage(input=1_000_000), 0.5),
    ],
)
def test_the_published_price_is_charged(model: str, usage: TokenUsage, dollars: float) -> None:
    row = PRICES.row(model, NOW.date(), usage.prompt)

    assert row.cost(usage) == dollars * 1_000_000_000


def test_sonnets_cache_reads_keep_the_old_price_before_the_cut() -> None:
    read = TokenUsage(cache_read=1_000)

    def cost(day: date) -> int:
        return PRICES.row("claude-sonnet-5-5", day, read.prompt).cost(read)

    assert (cost(date(2026, 10, 6)), cost(date(2026, 10, 7))) == (200_000, 100_000)


def test_haikus_band_ends_after_a_hundred_thousand_tokens_of_prompt() -> None:
    rows = [PRICES.row("claude-haiku-5-5", NOW.date(), n) for n in (100_000, 100_001)]

    assert [row.input for row in rows] == [100, 500]


def test_a_day_before_the_first_row_has_no_price() -> None:
    with pytest.raises(UnknownPrice):
        PRICES.row("claude-haiku-5-5", date(2026, 10, 6), 10)


BUCKETS = st.integers(0, 400_000)


@given(
    model=st.sampled_from(MODELS),
    day=st.dates(date(2026, 10, 6), date(2027, 3, 1)),
    usage=st.builds(
        TokenUsage, input=BUCKETS, output=BUCKETS, cache_write=BUCKETS, cache_read=BUCKETS
    ),
    more_prompt=st.integers(0, 300_000),
    more_output=st.integers(0, 1_000),
    past_midnight=st.booleans(),
)
def test_no_usage_within_the_tokens_held_for_costs_more(
    model: str,
    day: date,
    usage: TokenUsage,
    more_prompt: int,
    more_output: int,
    past_midnight: bool,
) -> None:
    day = max(day, date(2026, 10, 7)) if model == "claude-haiku-5-5" else day
    held = PRICES.most(model, day, usage.prompt + more_prompt, usage.output + more_output)

    called_on = day + timedelta(days=past_midnight)
    cost = PRICES.row(model, called_on, usage.prompt).cost(usage)

    assert cost <= held


async def test_a_price_that_rises_at_midnight_is_held_the_day_before() -> None:
    rise = replace(
        PRICES.row("claude-sonnet-5-5", NOW.date(), 1),
        valid_from=NOW.date() + timedelta(days=1),
        output=50_000,
    )
    risen = PriceList(prices=(*PRICES.prices, rise))
    request = request_for(IdeaBrief, "idea")

    before = await model_on(prices=PRICES).upper_bound(request, ())

    assert await model_on(prices=risen).upper_bound(request, ()) > before


@given(text=st.text(max_size=300), tier=st.sampled_from(ModelTier))
def test_the_bound_of_a_prompt_is_at_least_its_bytes(text: str, tier: ModelTier) -> None:
    idea = Idea(title="t", idea=text, mode=Mode.DEVELOPER)
    request = replace(request_for(IdeaBrief, "idea"), inputs={"idea": idea}, tier=tier)

    prompt = prompt_for(request, (), INSTRUCTIONS, SETTINGS)

    instructions = INSTRUCTIONS.house + INSTRUCTIONS.agent("idea", Depth.STANDARD)
    assert prompt.tokens_at_most >= len((instructions + text).encode())


def test_text_that_a_normalisation_makes_longer_is_bounded_by_the_longer() -> None:
    ligature = "\ufdfa"  # 3 bytes; its compatibility decomposition has 33

    def bound(text: str) -> int:
        idea = Idea(title="t", idea=text, mode=Mode.DEVELOPER)
        request = replace(request_for(IdeaBrief, "idea"), inputs={"idea": idea})
        return prompt_for(request, (), INSTRUCTIONS, SETTINGS).tokens_at_most

    assert bound(ligature * 100) - bound("") >= 3_300


async def test_a_continuation_is_held_with_what_it_continues() -> None:
    part = RawReply(
        text="x" * 100_000,
        stop=StopReason.TRUNCATED,
        model="m",
        usage=NO_USAGE,
        cost_nano_usd=0,
    )
    model, request = model_on(), request_for(IdeaBrief, "idea")

    more = await model.upper_bound(request, [part]) - await model.upper_bound(request, [])

    assert more > 90_000 * 2_500


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"api_key": " "}, "api_key"),
        ({"models": {ModelTier.CHEAP: "claude-haiku-5-5"}}, "models.default"),
        ({"models": {**SETTINGS.models, ModelTier.STRONG: "claude-x"}}, "models.strong"),
        ({"max_output_tokens": 128_001}, "max_output_tokens"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"effort": {Depth.BRIEF: "low"}}, "effort.standard"),
        (
            {"thinking": "between_tools", "effort": {**SETTINGS.effort, Depth.THOROUGH: "max"}},
            "effort.thorough",
        ),
        ({"read_timeout": 0.0}, "read_timeout"),
    ],
)
def test_a_setting_that_cannot_work_is_named_at_start(
    changes: dict[str, object], setting: str
) -> None:
    with pytest.raises(ClaudeSettingsInvalid, match=rf"^{setting}:"):
        ClaudeLanguageModel(replace(SETTINGS, **changes), FixedPrices(), now=lambda: NOW)


async def test_a_model_without_a_price_today_is_not_called_and_says_so_when_asked() -> None:
    model = model_on(datetime(2026, 10, 6, tzinfo=UTC))
    cheap = replace(request_for(IdeaBrief, "idea"), tier=ModelTier.CHEAP)

    with pytest.raises(UnknownPrice, match="claude-haiku-5-5 has no price"):
        await model.upper_bound(cheap, ())
    with pytest.raises(ModelCallFailed, match="claude-haiku-5-5 has no price") as refused:
        await model.reply(cheap, (), lambda progress: None)
    assert refused.value.kind is FailureKind.PERMANENT
    with pytest.raises(ModelCallFailed, match="claude-haiku-5-5 has no price"):
        await model.ping()


async def test_prices_that_cannot_be_read_are_a_failure_to_try_again() -> None:
    prices = FixedPrices()
    prices.failing = DatabaseUnavailable("The database does not answer.")
    model = ClaudeLanguageModel(SETTINGS, prices, now=lambda: NOW, instructions=INSTRUCTIONS)

    with pytest.raises(ModelCallFailed) as refused:
        await model.reply(request_for(IdeaBrief, "idea"), (), lambda progress: None)

    assert refused.value.kind is FailureKind.TRANSIENT
    assert refused.value.cost_nano_usd == 0


def test_the_key_is_not_shown_with_the_settings() -> None:
    assert "sk-test-key" not in repr(SETTINGS)
