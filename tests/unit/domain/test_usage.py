"""Token usage: it adds up, bucket by bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.usage import NO_USAGE, TokenUsage

TOKENS = st.integers(0, 10**9)
USAGES = st.builds(TokenUsage, input=TOKENS, output=TOKENS, cache_write=TOKENS, cache_read=TOKENS)


@given(USAGES, USAGES)
def test_the_order_of_two_does_not_matter(one: TokenUsage, two: TokenUsage) -> None:
    assert one + two == two + one


@given(USAGES, USAGES, USAGES)
def test_the_grouping_of_three_does_not_matter(
    one: TokenUsage, two: TokenUsage, three: TokenUsage
) -> None:
    assert (one + two) + three == one + (two + three)


@given(USAGES)
def test_no_usage_adds_nothing(usage: TokenUsage) -> None:
    assert usage + NO_USAGE == usage


@given(USAGES, USAGES)
def test_totals_add_up(one: TokenUsage, two: TokenUsage) -> None:
    assert (one + two).total == one.total + two.total


@given(USAGES)
def test_the_prompt_is_everything_but_the_output(usage: TokenUsage) -> None:
    assert usage.prompt + usage.output == usage.total


def test_buckets_are_not_mixed_up() -> None:
    usage = TokenUsage(input=1, output=2, cache_write=3, cache_read=4)
    assert usage + usage == TokenUsage(input=2, output=4, cache_write=6, cache_read=8)


@pytest.mark.parametrize("bucket", ["input", "output", "cache_write", "cache_read"])
def test_tokens_cannot_be_negative(bucket: str) -> None:
    with pytest.raises(ValueError, match="negative"):
        TokenUsage(**{bucket: -1})
