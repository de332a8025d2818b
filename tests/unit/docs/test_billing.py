"""The page on prices says the method, the sizes and the figures that the code has."""

import re
from datetime import date
from pathlib import Path

from application.billing.export_usage import BATCH
from application.billing.price_book import KEEP
from domain.agents.pipelines import DEVELOPER, ModelTier
from domain.billing.estimates import SIZES, Span
from domain.billing.pricing import NOTICE
from domain.billing.quote import METHOD, METHOD_VERSION, Tariff, quote
from domain.shared.money import rupees
from tests.fakes.prices import FIRST_RATE, PUBLISHED

PAGE = (Path(__file__).parents[3] / "docs/billing.md").read_text()


def shown(span: Span) -> str:
    figures = dict.fromkeys((span.low, span.expected, span.high))
    return " / ".join(f"{figure:,}" for figure in figures)


def test_the_method_is_the_one_that_replies_carry() -> None:
    quoted = " ".join(line.removeprefix("> ") for line in re.findall(r"^> .*$", PAGE, re.M))
    assert quoted == METHOD
    assert f"The method, version {METHOD_VERSION}," in PAGE


def test_the_sizes_are_those_that_quotes_are_made_of() -> None:
    listed = re.findall(r"^\| (idea|srs|prd|code) \| (.+) \| (.+) \| (.+) \|$", PAGE, re.M)
    assert listed == [
        (agent, shown(sizes.calls), shown(sizes.prompt), shown(sizes.answers))
        for agent, kinds in SIZES.items()
        for sizes in kinds
    ]


def test_the_example_is_the_codes() -> None:
    tariff = Tariff(
        prices=PUBLISHED,
        models=dict.fromkeys(ModelTier, "claude-sonnet-5-5"),
        rate=FIRST_RATE,
        on=date(2026, 11, 24),
    )
    credits = quote(DEVELOPER, 100, tariff, {}).credits
    sentence = f"{rupees(credits.low)}, {rupees(credits.expected)} and {rupees(credits.high)}"
    assert sentence in " ".join(PAGE.split())


def test_the_times_are_the_codes() -> None:
    assert f"{NOTICE.total_seconds():.0f} seconds before it is in force" in PAGE
    assert f"keep what they read for {KEEP.total_seconds():.0f} seconds" in PAGE
    assert f"in batches of {BATCH:,}" in PAGE
