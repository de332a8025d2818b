"""What every ``LiveUpdates`` and every ``StreamTickets`` keeps."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from application.ports.live import (
    LiveUpdates,
    Nudge,
    StepProgress,
    StreamHolder,
    StreamTickets,
)
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import ApiKeyId, RunId, SessionId, UserId
from tests.contracts.samples import new_id

ARRIVAL_SECONDS = 5.0
"""Long enough for any machine; a test that waits this long has failed."""


async def arriving(updates: AsyncIterator[Nudge | StepProgress]) -> Nudge | StepProgress:
    """The next update, which must come."""
    async with asyncio.timeout(ARRIVAL_SECONDS):
        return await anext(updates)


async def until(
    updates: AsyncIterator[Nudge | StepProgress], last: Nudge | StepProgress
) -> list[Nudge | StepProgress]:
    """What arrives up to and with ``last``, which must come."""
    arrived = [await arriving(updates)]
    while arrived[-1] != last:
        arrived.append(await arriving(updates))
    return arrived


def make_run_id() -> RunId:
    return RunId(new_id())


def _entry(run: RunId, seq: int, data: dict[str, object]) -> RunEvent:
    at = datetime(2026, 11, 24, 5, 30, 0, 123456, UTC)
    return RunEvent(run_id=run, seq=seq, type=EventType.STEP_STARTED, data=data, at=at)


class LiveUpdatesContract:
    """Subclasses provide ``live``."""

    async def test_followers_get_what_is_published(self, live: LiveUpdates) -> None:
        run = make_run_id()
        async with live.follow(run) as updates:
            await live.publish(run, Nudge(seq=1))
            assert await arriving(updates) == Nudge(seq=1)

            await live.publish(run, StepProgress(step="idea", output_tokens=42))
            assert await arriving(updates) == StepProgress(step="idea", output_tokens=42)

    async def test_an_entry_arrives_as_it_was_appended(self, live: LiveUpdates) -> None:
        run = make_run_id()
        first, second = (_entry(run, seq, {"step": "idea", "attempt": seq}) for seq in (1, 2))
        async with live.follow(run) as updates:
            await live.publish(run, Nudge.of(first))
            await live.publish(run, Nudge.of(second))
            assert await arriving(updates) == Nudge.of(first)
            assert await arriving(updates) == Nudge.of(second)

    async def test_an_entry_too_long_to_carry_is_a_nudge_all_the_same(
        self, live: LiveUpdates
    ) -> None:
        run = make_run_id()
        async with live.follow(run) as updates:
            await live.publish(run, Nudge.of(_entry(run, 9, {"error": "x" * 100_000})))
            arrived = await arriving(updates)
            assert isinstance(arrived, Nudge)
            assert arrived.seq == 9

    async def test_every_follower_of_a_run_gets_it(self, live: LiveUpdates) -> None:
        run = make_run_id()
        async with live.follow(run) as one, live.follow(run) as other:
            await live.publish(run, Nudge(seq=7))

            assert await arriving(one) == await arriving(other) == Nudge(seq=7)

    async def test_runs_do_not_hear_each_other(self, live: LiveUpdates) -> None:
        run, other_run = make_run_id(), make_run_id()
        async with live.follow(run) as updates, live.follow(other_run) as others:
            await live.publish(other_run, Nudge(seq=1))
            await live.publish(run, Nudge(seq=2))

            assert await arriving(updates) == Nudge(seq=2)
            assert await arriving(others) == Nudge(seq=1)

    async def test_publishing_to_nobody_is_fine(self, live: LiveUpdates) -> None:
        await live.publish(make_run_id(), Nudge(seq=1))

    async def test_what_was_published_before_is_not_repeated(self, live: LiveUpdates) -> None:
        run = make_run_id()
        await live.publish(run, Nudge(seq=1))
        async with live.follow(run) as updates:
            await live.publish(run, Nudge(seq=2))

            assert await arriving(updates) == Nudge(seq=2)

    async def test_a_slow_reader_gets_the_highest_nudge(self, live: LiveUpdates) -> None:
        run, marker = make_run_id(), StepProgress(step="marker", output_tokens=1)
        async with live.follow(run) as slow, live.follow(run) as watch:
            for seq in (1, 2, 9, 3):
                await live.publish(run, Nudge(seq=seq))
            await live.publish(run, marker)
            await until(watch, marker)

            assert await until(slow, marker) == [Nudge(seq=9), marker]

    async def test_a_slow_reader_gets_the_latest_figure_of_each_step(
        self, live: LiveUpdates
    ) -> None:
        run, last = make_run_id(), Nudge(seq=1)
        async with live.follow(run) as slow, live.follow(run) as watch:
            for tokens in range(1, 101):
                for step in ("design", "code"):
                    await live.publish(run, StepProgress(step=step, output_tokens=tokens))
            await live.publish(run, last)
            await until(watch, last)

            assert await until(slow, last) == [
                StepProgress(step="design", output_tokens=100),
                StepProgress(step="code", output_tokens=100),
                last,
            ]

    async def test_one_follower_leaving_does_not_disturb_the_others(
        self, live: LiveUpdates
    ) -> None:
        run = make_run_id()
        async with live.follow(run) as stays:
            async with live.follow(run):
                pass
            await live.publish(run, Nudge(seq=1))

            assert await arriving(stays) == Nudge(seq=1)

    async def test_a_run_can_be_followed_again_at_once(self, live: LiveUpdates) -> None:
        run = make_run_id()
        for seq in range(1, 20):
            async with live.follow(run) as updates:
                await live.publish(run, Nudge(seq=seq))
                await until(updates, Nudge(seq=seq))

    async def test_five_hundred_can_follow(self, live: LiveUpdates) -> None:
        runs = [make_run_id() for _ in range(100)]
        async with AsyncExitStack() as stack:
            followers = await asyncio.gather(
                *(stack.enter_async_context(live.follow(run)) for run in runs for _ in range(5))
            )
            for seq, run in enumerate(runs, start=1):
                await live.publish(run, Nudge(seq=seq))

            arrived = [await arriving(updates) for updates in followers]

        assert arrived == [Nudge(seq=seq) for seq in range(1, 101) for _ in range(5)]


def make_holder(**more: object) -> StreamHolder:
    return StreamHolder(user_id=UserId(new_id()), **more)  # type: ignore[arg-type]  # by the test


class StreamTicketsContract:
    """Subclasses provide ``tickets`` and ``let_pass``, which lets that many seconds pass."""

    async def test_a_ticket_names_its_holder(self, tickets: StreamTickets) -> None:
        user, run = make_holder(), make_run_id()
        ticket = await tickets.issue(user, run, 30)

        assert await tickets.redeem(ticket, run) == user

    async def test_a_ticket_remembers_what_it_was_asked_for_with(
        self, tickets: StreamTickets
    ) -> None:
        run = make_run_id()
        for holder in (
            make_holder(session_id=SessionId(new_id())),
            make_holder(key_id=ApiKeyId(new_id())),
        ):
            assert await tickets.redeem(await tickets.issue(holder, run, 30), run) == holder

    async def test_a_ticket_is_used_up(self, tickets: StreamTickets) -> None:
        run = make_run_id()
        ticket = await tickets.issue(make_holder(), run, 30)
        await tickets.redeem(ticket, run)

        assert await tickets.redeem(ticket, run) is None

    async def test_a_ticket_shown_for_another_run_is_used_up_too(
        self, tickets: StreamTickets
    ) -> None:
        run = make_run_id()
        ticket = await tickets.issue(make_holder(), run, 30)

        assert await tickets.redeem(ticket, make_run_id()) is None
        assert await tickets.redeem(ticket, run) is None

    @pytest.mark.parametrize("ticket", ["", "unknown", "\ud800", "x" * 10_000])
    async def test_what_is_no_ticket_opens_nothing(
        self, tickets: StreamTickets, ticket: str
    ) -> None:
        assert await tickets.redeem(ticket, make_run_id()) is None

    async def test_a_ticket_too_old_opens_nothing(
        self, tickets: StreamTickets, let_pass: Callable[[int], Awaitable[None]]
    ) -> None:
        run = make_run_id()
        ticket = await tickets.issue(make_holder(), run, 1)
        await let_pass(1)

        assert await tickets.redeem(ticket, run) is None

    async def test_tickets_do_not_affect_each_other(self, tickets: StreamTickets) -> None:
        user, run = make_holder(), make_run_id()
        first, second = await tickets.issue(user, run, 30), await tickets.issue(user, run, 30)
        assert first != second
        await tickets.redeem(first, run)

        assert await tickets.redeem(second, run) == user

    async def test_of_fifty_redemptions_at_once_exactly_one_wins(
        self, tickets: StreamTickets
    ) -> None:
        user, run = make_holder(), make_run_id()
        ticket = await tickets.issue(user, run, 30)

        outcomes = await asyncio.gather(*(tickets.redeem(ticket, run) for _ in range(50)))

        assert [outcome for outcome in outcomes if outcome is not None] == [user]

    @pytest.mark.parametrize("ttl_seconds", [0, -1])
    async def test_a_ticket_needs_a_lifetime(
        self, tickets: StreamTickets, ttl_seconds: int
    ) -> None:
        with pytest.raises(ValueError, match="live for at least"):
            await tickets.issue(make_holder(), make_run_id(), ttl_seconds)
