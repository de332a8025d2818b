"""Rows of the usage log: noted without waiting, appended in batches, kept once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.keys.drain_usage import DrainUsage
from application.keys.log_usage import BATCH, LogUsage
from application.ports.usage_log import UsageStream
from domain.billing.days import INDIA, day_of
from domain.keys.usage_log import WINDOWS, LoggedRequest, Window, hour_of, window_number
from domain.shared.ids import ApiKeyId
from tests.contracts.samples import new_id
from tests.contracts.usage_log_contract import (
    Consumer,
    UsageStreamContract,
    make_request,
    rows_of,
)
from tests.fakes.clock import MovableClock
from tests.fakes.metrics import RecordingUsageLogMetrics
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork, InMemoryUsageLogWriter
from tests.fakes.usage_stream import InMemoryUsageSink, InMemoryUsageStream, StreamEntries

MOMENTS = st.integers(946_684_800, 4_102_444_800).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=2)))
def test_two_moments_are_in_one_window_when_indias_clock_says_so(
    at: datetime, later: timedelta
) -> None:
    other = at + later
    local, others = at.astimezone(INDIA), other.astimezone(INDIA)
    same = {
        Window.MINUTE: f"{local:%F %H:%M}" == f"{others:%F %H:%M}",
        Window.HOUR: hour_of(at) == hour_of(other),
        Window.DAY: day_of(at) == day_of(other),
    }
    for window in WINDOWS:
        assert (window_number(window, at) == window_number(window, other)) is same[window]


class TestInMemoryUsageStream(UsageStreamContract):
    @pytest.fixture
    def entries(self) -> StreamEntries:
        return StreamEntries()

    @pytest.fixture
    def sink(self, entries: StreamEntries) -> InMemoryUsageSink:
        return InMemoryUsageSink(entries)

    @pytest.fixture
    def narrow_sink(self, entries: StreamEntries) -> InMemoryUsageSink:
        entries.bound = 3
        return InMemoryUsageSink(entries)

    @pytest.fixture
    def consumer(self, entries: StreamEntries) -> Consumer:
        return lambda: InMemoryUsageStream(entries)

    @pytest.fixture
    def died(self) -> Callable[[UsageStream], Awaitable[None]]:
        async def died(stream: UsageStream) -> None:
            assert isinstance(stream, InMemoryUsageStream)
            stream.die()

        return died

    @pytest.fixture
    def set_aside(self, entries: StreamEntries) -> Callable[[], Awaitable[int]]:
        async def count() -> int:
            return len(entries.aside)

        return count


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


class Appender:
    """A process that logs, and the stream it logs to."""

    def __init__(self, **more: object) -> None:
        self.entries, self.metrics = StreamEntries(), RecordingUsageLogMetrics()
        sink = InMemoryUsageSink(self.entries)
        self.log = LogUsage(sink, self.metrics, **more)  # type: ignore[arg-type]  # by the test


async def test_a_noted_row_is_appended_shortly() -> None:
    process, row = Appender(flush_seconds=0.001), make_request()
    process.log.start()
    process.log.note(row)
    await until(lambda: bool(process.entries.rows))
    assert list(process.entries.rows.values()) == [row]
    await process.log.close()


async def test_a_full_batch_does_not_wait() -> None:
    process = Appender(flush_seconds=3_600.0)
    process.log.start()
    process.log.note(make_request())
    await asyncio.sleep(0)  # it waits for more from here on
    for _ in range(BATCH - 1):
        process.log.note(make_request())
    await until(lambda: len(process.entries.rows) == BATCH)
    await process.log.close()


async def test_what_waits_at_the_end_is_appended() -> None:
    process = Appender(flush_seconds=3_600.0)
    process.log.start()
    rows = [make_request() for _ in range(BATCH + 10)]
    for row in rows:
        process.log.note(row)
    await process.log.close()
    await process.log.close()
    assert list(process.entries.rows.values()) == rows
    assert process.metrics.rows_lost == 0


async def test_rows_wait_while_the_stream_is_away_and_the_last_ones_are_lost() -> None:
    process = Appender(flush_seconds=0.001, max_waiting=5)
    process.entries.away = True
    process.log.start()
    rows = [make_request() for _ in range(8)]
    for row in rows:
        process.log.note(row)
    assert process.metrics.rows_lost == 3
    process.entries.away = False
    await until(lambda: bool(process.entries.rows))
    assert list(process.entries.rows.values()) == rows[:5]
    await process.log.close()


def refusal() -> LoggedRequest:
    return make_request(status=429)


def of_key(row: LoggedRequest, **more: object) -> LoggedRequest:
    return replace(row, id=new_id(), **more)  # type: ignore[arg-type]  # by the test


async def test_a_flood_of_refusals_is_two_rows() -> None:
    process, first = Appender(flush_seconds=0.001, refused_seconds=3_600.0), refusal()
    process.log.start()
    process.log.note(first)
    following = [of_key(first, latency_us=micros) for micros in range(1_000, 3_000)]
    for row in following:
        process.log.note(row)
    await until(lambda: bool(process.entries.rows))
    assert list(process.entries.rows.values()) == [first]
    await process.log.close()
    merged = replace(following[0], requests=2_000, latency_us=1_999)
    assert list(process.entries.rows.values()) == [first, merged]


async def test_refusals_of_a_while_become_a_row_by_themselves_and_then_begin_anew() -> None:
    process, first = Appender(flush_seconds=0.001, refused_seconds=0.01), refusal()
    process.log.start()
    for _ in range(3):
        process.log.note(of_key(first))
    await until(lambda: len(process.entries.rows) == 2)
    process.log.note(of_key(first))
    await until(lambda: len(process.entries.rows) == 3)
    rows = [row.requests for row in process.entries.rows.values() if row is not None]
    assert rows == [1, 2, 1]
    await process.log.close()


async def test_only_refusals_of_one_key_on_one_route_are_counted_together() -> None:
    process, first = Appender(refused_seconds=3_600.0), refusal()
    process.log.start()
    others = [
        first,
        of_key(first, route="GET /api/v1/projects"),
        of_key(first, key_id=ApiKeyId(new_id())),
        of_key(first, status=503),
        of_key(first, status=503),
        of_key(first, status=200),
    ]
    for row in others:
        process.log.note(row)
    await process.log.close()
    assert list(process.entries.rows.values()) == others


class Drained:
    """A stream, what drains it, and where it is kept."""

    def __init__(self) -> None:
        self.entries, self.metrics = StreamEntries(), RecordingUsageLogMetrics()
        self.database = InMemoryDatabase(MovableClock())
        self.uow = InMemoryUnitOfWork(self.database)
        self.writer = InMemoryUsageLogWriter(self.database)

    def process(self) -> DrainUsage:
        stream = InMemoryUsageStream(self.entries)
        return DrainUsage(stream, self.writer, self.metrics)


async def test_what_is_kept_is_settled() -> None:
    drained, row = Drained(), make_request()
    drained.entries.add(row)
    assert await drained.process()() == 1
    assert await rows_of(drained.uow, row.user_id) == [row]
    assert drained.entries.rows == {}
    assert drained.metrics.backlogs == [0]


async def test_what_was_kept_and_not_settled_is_kept_once() -> None:
    drained, row = Drained(), make_request()
    drained.entries.add(row)
    await drained.writer.keep([row])  # by one that died before it could settle
    await drained.process()()
    assert await rows_of(drained.uow, row.user_id) == [row]
    assert drained.metrics.outcomes == {"repeated": 1}


async def test_what_cannot_be_kept_holds_up_nobody() -> None:
    drained = Drained()
    good = [make_request(), make_request()]
    drained.entries.add(good[0])
    drained.entries.add(make_request(at=datetime(2999, 1, 1, tzinfo=UTC)))
    drained.entries.add(None)
    drained.entries.add(good[1])
    await drained.process()()
    for row in good:
        assert await rows_of(drained.uow, row.user_id) == [row]
    assert sorted(drained.entries.aside) == ["2", "3"]
    assert drained.metrics.outcomes == {"kept": 2, "set_aside": 2}
    assert drained.entries.rows == {}


async def test_a_stream_that_is_away_is_waited_for() -> None:
    drained = Drained()
    drained.entries.add(make_request())
    drained.entries.away = True
    assert await drained.process()() == 0
    drained.entries.away = False
    assert await drained.process()() == 1
