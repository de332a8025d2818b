"""What a slow watcher finds."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from adapters.redis.inbox import Inbox
from application.ports.live import Nudge, StepProgress
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import RunId


async def drained(inbox: Inbox) -> list[Nudge | StepProgress]:
    inbox.end()
    return [update async for update in inbox]


async def test_a_call_to_read_the_log_is_not_lost_in_a_nudge() -> None:
    inbox = Inbox()
    for seq in (5, 0, 7, 0):
        inbox.put(Nudge(seq=seq))

    assert await drained(inbox) == [Nudge(seq=7), Nudge(seq=0)]


def entry(seq: int) -> Nudge:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return Nudge.of(
        RunEvent(run_id=RunId(UUID(int=1)), seq=seq, type=EventType.STEP_STARTED, data={}, at=at)
    )


async def test_entries_wait_in_their_order() -> None:
    inbox = Inbox()
    for seq in (3, 4, 5):
        inbox.put(entry(seq))

    assert await drained(inbox) == [entry(3), entry(4), entry(5)]


async def test_past_sixty_four_entries_the_highest_number_says_it_all() -> None:
    inbox = Inbox()
    for seq in range(1, 66):
        inbox.put(entry(seq))

    assert await drained(inbox) == [Nudge(seq=65)]


async def test_past_sixty_four_steps_steps_the_oldest_figure_goes_and_no_nudge() -> None:
    inbox = Inbox()
    inbox.put(Nudge(seq=1))
    for step in range(70):
        inbox.put(StepProgress(step=str(step), output_tokens=1))

    left = await drained(inbox)

    assert left[0] == Nudge(seq=1)
    assert left[1:] == [StepProgress(step=str(step), output_tokens=1) for step in range(6, 70)]


async def test_a_waiting_reader_wakes() -> None:
    inbox = Inbox()
    reading = asyncio.create_task(anext(inbox))
    await asyncio.sleep(0)
    inbox.put(Nudge(seq=1))

    assert await reading == Nudge(seq=1)


async def test_the_end_wakes_a_waiting_reader() -> None:
    inbox = Inbox()
    reading = asyncio.create_task(drained_later(inbox))
    await asyncio.sleep(0)
    inbox.end()

    assert await reading == []


async def drained_later(inbox: Inbox) -> list[Nudge | StepProgress]:
    return [update async for update in inbox]


UPDATES = st.lists(
    st.builds(Nudge, seq=st.integers(0, 9))
    | st.builds(StepProgress, step=st.sampled_from("abc"), output_tokens=st.integers(0, 99))
)


@given(UPDATES)
async def test_the_last_word_on_each_matter_always_arrives(
    updates: list[Nudge | StepProgress],
) -> None:
    inbox = Inbox()
    for update in updates:
        inbox.put(update)
    left = await drained(inbox)

    nudges = [update.seq for update in updates if isinstance(update, Nudge)]
    latest = {update.step: update for update in updates if isinstance(update, StepProgress)}
    assert {u.step: u for u in left if isinstance(u, StepProgress)} == latest
    assert {u.seq for u in left if isinstance(u, Nudge)} == ({max(nudges)} if nudges else set()) | (
        {0} if 0 in nudges else set()
    )
    assert len(left) <= len(latest) + 2
