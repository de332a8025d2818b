"""What every ``OneTimeValues`` keeps."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from application.ports.identity_provider import OneTimeValues


@dataclass(frozen=True, slots=True)
class Note:
    """Something to keep."""

    text: str
    number: int | None = None


NOTE = Note("ж\x00\n", 5)


class OneTimeValuesContract:
    """Subclasses provide ``values``, of notes, and ``let_pass``, which lets seconds pass."""

    async def test_a_value_comes_back_as_it_was_kept(self, values: OneTimeValues[Note]) -> None:
        token = await values.keep(NOTE, 30)
        assert await values.look(token) == NOTE
        assert await values.look(token) == NOTE
        assert await values.take(token) == NOTE

    async def test_it_is_taken_once(self, values: OneTimeValues[Note]) -> None:
        token = await values.keep(NOTE, 30)
        await values.take(token)
        assert await values.take(token) is None
        assert await values.look(token) is None

    async def test_of_fifty_that_take_it_at_once_one_gets_it(
        self, values: OneTimeValues[Note]
    ) -> None:
        token = await values.keep(NOTE, 30)
        taken = await asyncio.gather(*(values.take(token) for _ in range(50)))
        assert [value for value in taken if value is not None] == [NOTE]

    async def test_tokens_do_not_affect_each_other(self, values: OneTimeValues[Note]) -> None:
        first, second = await values.keep(Note("1"), 30), await values.keep(Note("2"), 30)
        assert first != second
        await values.take(first)
        assert await values.take(second) == Note("2")

    async def test_one_too_old_is_gone(
        self, values: OneTimeValues[Note], let_pass: Callable[[int], Awaitable[None]]
    ) -> None:
        token = await values.keep(NOTE, 1)
        await let_pass(1)
        assert await values.look(token) is None
        assert await values.take(token) is None

    @pytest.mark.parametrize("token", ["", "unknown", "\ud800", "\x00", "x" * 10_000])
    async def test_what_is_no_token_gets_nothing(
        self, values: OneTimeValues[Note], token: str
    ) -> None:
        assert await values.look(token) is None
        assert await values.take(token) is None
