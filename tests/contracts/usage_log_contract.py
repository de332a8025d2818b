"""What every usage log keeps: each row once, sums that are exact, and each person's own."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.persistence import UnitOfWork
from application.ports.usage_log import (
    LogPosition,
    RequestFilter,
    RequestSum,
    StatusClass,
    SumSpan,
    UnkeepableRows,
    UsageLogWriter,
    UsageSink,
    UsageStream,
    UsageStreamFull,
)
from domain.billing.days import INDIA, Days, beginning_of, day_of
from domain.keys.usage_log import LoggedRequest, Window, hour_of
from domain.shared.ids import ApiKeyId, RunId, UserId
from tests.contracts.samples import keep_project, new_id
from tests.contracts.usage_contract import make_step, record

NOW = datetime.now(UTC).replace(microsecond=123_456)
ALL = RequestFilter()


def make_request(user_id: UserId | None = None, **changes: object) -> LoggedRequest:
    """A request of a key of its own."""
    row = LoggedRequest(
        id=new_id(),
        user_id=user_id or UserId(new_id()),
        key_id=ApiKeyId(new_id()),
        at=NOW,
        route="GET /api/v1/projects/{project_id}",
        status=200,
        latency_us=1_500,
        request_id="0123456789abcdef",
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # checked by use


async def rows_of(
    uow: UnitOfWork, user_id: UserId, only: RequestFilter = ALL, **how: object
) -> list[LoggedRequest]:
    wanted: dict[str, object] = {"after": None, "limit": 100, **how}
    async with uow.begin(user_id) as tx:
        page = await tx.usage_log.page(only, **wanted)  # type: ignore[arg-type]  # as above
    return [each.request for each in page]


async def sums_of(
    uow: UnitOfWork,
    user_id: UserId,
    span: SumSpan = SumSpan.HOUR,
    only: RequestFilter = ALL,
    before: datetime | None = None,
) -> list[RequestSum]:
    async with uow.begin(user_id) as tx:
        return list(await tx.usage_log.sums(only, span, before=before, limit=100))


class UsageLogContract:
    async def test_a_row_comes_back_as_it_was_kept(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        row = make_request(run_id=RunId(new_id()))
        assert await usage_log_writer.keep([row]) == 1
        assert await rows_of(uow, row.user_id) == [row]

    async def test_a_row_kept_again_changes_nothing(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        first = make_request()
        second = make_request(first.user_id, key_id=first.key_id, status=503)
        assert await usage_log_writer.keep([first, first]) == 1
        assert await usage_log_writer.keep([first, second]) == 1
        assert await usage_log_writer.keep([second, first]) == 0
        [sum_] = await sums_of(uow, first.user_id)
        assert (sum_.requests, sum_.succeeded, sum_.server_errors) == (2, 1, 1)
        assert sum_.latency_us == 3_000

    async def test_a_row_that_stands_for_many_is_summed_as_many(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        one = make_request()
        many = make_request(
            one.user_id,
            key_id=one.key_id,
            status=429,
            requests=2_000_000,
            latency_us=2_000,
            at=one.at + timedelta(microseconds=1),
        )
        assert await usage_log_writer.keep([one, many]) == 2
        assert await rows_of(uow, one.user_id) == [many, one]
        [sum_] = await sums_of(uow, one.user_id)
        assert (sum_.requests, sum_.succeeded, sum_.client_errors) == (2_000_001, 1, 2_000_000)
        assert sum_.latency_us == 4_000_001_500

    async def test_a_row_that_no_month_is_for_keeps_the_others_out(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        good = make_request()
        bad = make_request(good.user_id, at=datetime(2999, 1, 1, tzinfo=UTC))
        with pytest.raises(UnkeepableRows):
            await usage_log_writer.keep([good, bad])
        assert await rows_of(uow, good.user_id) == []

    async def test_nobody_sees_another_persons_rows_and_sums(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        mine, other = make_request(), make_request()
        await usage_log_writer.keep([mine, other])
        assert await rows_of(uow, mine.user_id) == [mine]
        assert await rows_of(uow, mine.user_id, RequestFilter(key_id=other.key_id)) == []
        assert [each.requests for each in await sums_of(uow, mine.user_id)] == [1]

    async def test_rows_are_asked_for_by_key_day_status_and_route(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        plain = make_request()
        user = plain.user_id
        limited = make_request(user, status=429, key_id=plain.key_id)
        posted = make_request(user, route="POST /api/v1/projects", status=201)
        early = make_request(user, at=NOW - timedelta(days=2))
        await usage_log_writer.keep([plain, limited, posted, early])

        async def found(only: RequestFilter) -> set[LoggedRequest]:
            return set(await rows_of(uow, user, only))

        today = day_of(NOW)
        assert await found(RequestFilter(key_id=plain.key_id)) == {plain, limited}
        assert await found(RequestFilter(status=StatusClass.CLIENT_ERROR)) == {limited}
        assert await found(RequestFilter(route="POST /api/v1/projects")) == {posted}
        assert await found(RequestFilter(days=Days(first=today, last=today))) == {
            plain,
            limited,
            posted,
        }
        assert await found(RequestFilter(days=Days(last=today - timedelta(days=1)))) == {early}

    async def test_pages_follow_one_another_in_either_order(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        first = make_request()
        rows = [first] + [
            # Two at each moment: the id decides between them.
            make_request(first.user_id, at=NOW - timedelta(seconds=number // 2))
            for number in range(1, 9)
        ]
        await usage_log_writer.keep(rows)
        for oldest_first in (False, True):
            expected = sorted(rows, key=lambda row: (row.at, row.id), reverse=not oldest_first)
            seen: list[LoggedRequest] = []
            while True:
                after = LogPosition(at=seen[-1].at, id=seen[-1].id) if seen else None
                page = await rows_of(
                    uow, first.user_id, after=after, limit=4, oldest_first=oldest_first
                )
                if not page:
                    break
                seen += page
            assert seen == expected

    async def test_hours_and_days_are_indias_and_sum_to_one_another(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        midnight = beginning_of(day_of(NOW))
        first = make_request(at=midnight)
        offsets = [-1, 0, 1, 1_799, 1_800, 3_599, 3_600, 86_399]
        rows = [
            make_request(first.user_id, key_id=first.key_id, at=midnight + timedelta(seconds=each))
            for each in offsets
        ]
        await usage_log_writer.keep(rows)
        hours = await sums_of(uow, first.user_id)
        assert [(each.begins, each.requests) for each in hours] == [
            (midnight + timedelta(hours=23), 1),
            (midnight + timedelta(hours=1), 1),
            (midnight, 5),
            (midnight - timedelta(hours=1), 1),
        ]
        days = await sums_of(uow, first.user_id, SumSpan.DAY)
        assert [(each.begins, each.requests) for each in days] == [
            (midnight, 7),
            (midnight - timedelta(days=1), 1),
        ]
        assert all(each.begins.astimezone(INDIA).hour == 0 for each in days)
        [earlier] = await sums_of(uow, first.user_id, SumSpan.DAY, before=midnight)
        assert earlier.requests == 1

    async def test_sums_follow_the_filters(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        first = make_request()
        user = first.user_id
        others = [make_request(user, key_id=first.key_id, status=404), make_request(user)]
        await usage_log_writer.keep([first, *others])

        async def requests(**only: object) -> list[int]:
            wanted = RequestFilter(**only)  # type: ignore[arg-type]  # by the test
            return [each.requests for each in await sums_of(uow, user, only=wanted)]

        assert await requests() == [3]
        assert await requests(key_id=first.key_id) == [2]
        assert await requests(status=StatusClass.CLIENT_ERROR) == [1]
        assert await requests(route="GET /nowhere") == []
        assert await requests(days=Days(last=day_of(NOW) - timedelta(days=1))) == []

    async def test_tokens_and_credits_are_the_settlements(
        self, usage_log_writer: UsageLogWriter, uow: UnitOfWork
    ) -> None:
        project = await keep_project(uow)
        step = make_step(project)
        assert step.api_key_id is not None
        unkeyed = make_step(project, api_key_id=None)
        await record(uow, step, replace(step, step="srs"), unkeyed)
        started = make_request(
            project.user_id, key_id=step.api_key_id, run_id=step.run_id, status=202
        )
        await usage_log_writer.keep([started, make_request(project.user_id)])
        async with uow.begin(project.user_id) as tx:
            page = await tx.usage_log.page(ALL, after=None, limit=10)
        tokens, credits = 2 * step.usage.total, 2 * step.credits
        assert {(each.request.run_id, each.tokens, each.credits) for each in page} == {
            (step.run_id, tokens, credits),
            (None, 0, 0),
        }
        days = await sums_of(uow, project.user_id, SumSpan.DAY)
        assert sum(each.tokens or 0 for each in days) == tokens
        assert sum(each.credits or 0 for each in days) == credits
        ok = RequestFilter(status=StatusClass.SUCCESS)
        narrowed = await sums_of(uow, project.user_id, SumSpan.DAY, only=ok)
        assert [(each.tokens, each.credits) for each in narrowed] == [(None, None)]


Consumer = Callable[[], UsageStream]


class UsageStreamContract:
    """``consumer`` makes one more process that drains, ``died`` lets it be dead."""

    async def test_what_was_appended_is_taken_once_and_in_order(
        self, sink: UsageSink, consumer: Consumer
    ) -> None:
        rows = [make_request(run_id=RunId(new_id())), make_request(), make_request(status=429)]
        await sink.append(rows[:2])
        await sink.append(rows[2:])
        one, other = consumer(), consumer()
        assert [each.row for each in await one.take(2)] == rows[:2]
        assert [each.row for each in await other.take(10)] == rows[2:]
        assert await one.take(10) == []
        assert await one.backlog() == 3

    async def test_what_is_settled_is_gone(self, sink: UsageSink, consumer: Consumer) -> None:
        await sink.append([make_request(), make_request()])
        one = consumer()
        taken = await one.take(10)
        await one.settle([taken[0].entry])
        assert await one.backlog() == 1
        await one.settle([each.entry for each in taken])
        await one.settle([])
        assert await one.backlog() == 0

    async def test_what_a_dead_process_held_is_anothers_first(
        self,
        sink: UsageSink,
        consumer: Consumer,
        died: Callable[[UsageStream], Awaitable[None]],
    ) -> None:
        first, second = make_request(), make_request()
        await sink.append([first])
        dead = consumer()
        assert len(await dead.take(10)) == 1
        await sink.append([second])
        await died(dead)
        heir = consumer()
        taken = [*await heir.take(10)]
        assert [each.row for each in taken] == [first]
        taken += await heir.take(10)
        assert [each.row for each in taken] == [first, second]
        await heir.settle([each.entry for each in taken])
        assert await heir.backlog() == 0

    async def test_what_cannot_be_kept_is_set_aside(
        self, sink: UsageSink, consumer: Consumer, set_aside: Callable[[], Awaitable[int]]
    ) -> None:
        await sink.append([make_request(), make_request()])
        one = consumer()
        taken = await one.take(10)
        await one.set_aside([taken[0].entry])
        assert await one.backlog() == 1
        assert await set_aside() == 1

    async def test_a_full_stream_takes_all_or_nothing_and_loses_nothing(
        self, narrow_sink: UsageSink, consumer: Consumer
    ) -> None:
        """``narrow_sink`` has room for three."""
        rows = [make_request(), make_request()]
        await narrow_sink.append(rows)
        with pytest.raises(UsageStreamFull):
            await narrow_sink.append([make_request(), make_request()])
        one = consumer()
        taken = await one.take(10)
        assert [each.row for each in taken] == rows
        await one.settle([each.entry for each in taken])
        await narrow_sink.append([make_request(), make_request()])

    async def test_the_live_figure_counts_what_was_appended(self, sink: UsageSink) -> None:
        key = ApiKeyId(new_id())
        hour = hour_of(NOW)
        moments = [hour, hour + timedelta(seconds=59), hour + timedelta(seconds=60)]
        await sink.append([make_request(key_id=key, at=at) for at in moments])
        refused = make_request(key_id=key, at=hour, status=429, requests=40)
        await sink.append([make_request(key_id=key, at=hour), make_request(at=hour), refused])
        counts = await sink.of(key, hour + timedelta(seconds=30))  # type: ignore[attr-defined]  # both
        assert counts == {Window.MINUTE: 43, Window.HOUR: 44, Window.DAY: 44}
        later = await sink.of(key, hour + timedelta(minutes=70))  # type: ignore[attr-defined]  # both
        assert later[Window.MINUTE] == later[Window.HOUR] == 0
