"""What every ``ModelCallRepository`` keeps: a journal that only ever gains."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from application.ports.language_model import StopReason
from application.ports.model_calls import BorneBy, CallState, MendingCost, ModelCall
from application.ports.persistence import UnitOfWork
from domain.billing.usage import TokenUsage
from domain.projects.run import RunStatus
from domain.shared.ids import RunId
from tests.contracts.samples import (
    all_at_once,
    ids,
    intrude,
    keep_project,
    keep_run,
    keep_user,
    make_call,
    new_id,
)


async def record(uow: UnitOfWork, *calls: ModelCall) -> None:
    """Record intents of one person."""
    async with uow.begin(calls[0].user_id) as tx:
        for call in calls:
            await tx.calls.add(call)


async def conclude(uow: UnitOfWork, call: ModelCall) -> bool:
    """Record what came of an intent; whether it came late."""
    async with uow.begin(call.user_id) as tx:
        return await tx.calls.conclude(call)


async def stored(uow: UnitOfWork, call: ModelCall) -> list[ModelCall]:
    """Every call made for the same question."""
    async with uow.begin(call.user_id) as tx:
        return list(await tx.calls.of_request(call.run_id, call.step, call.request_hash))


def replied(call: ModelCall, text: str = '{"title": "पुस्तकालय"}') -> ModelCall:
    """The call with an answer that was cut."""
    return replace(
        call,
        state=CallState.REPLIED,
        model="model-a",
        text=text,
        stop=StopReason.TRUNCATED,
        usage=TokenUsage(input=1, output=2, cache_write=3, cache_read=4),
        cost_nano_usd=12_000_000_000,
        provider_request_id="req_1",
    )


def failed(call: ModelCall) -> ModelCall:
    """The call without one."""
    return replace(
        call,
        state=CallState.FAILED,
        borne_by=BorneBy.HOUSE,
        usage=TokenUsage(input=5),
        cost_nano_usd=10_000,
        estimated=True,
        failure="overloaded",
    )


def lost(call: ModelCall) -> ModelCall:
    """The call given up."""
    return replace(call, state=CallState.LOST, borne_by=BorneBy.HOUSE)


async def give_up(uow: UnitOfWork, call: ModelCall, request_hash: str | None = None) -> None:
    """Give up what is open of the call's step, or of one question in it."""
    async with uow.begin(call.user_id) as tx:
        await tx.calls.give_up(call.run_id, call.step, request_hash)


Outcome = Callable[[ModelCall], ModelCall]


class ModelCallsContract:
    async def test_the_last_failed_calls_of_a_run_are_told_newest_first(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        first, second, replied = (make_call(run, step=step) for step in ("idea", "srs", "prd"))
        async with uow.begin(run.user_id) as tx:
            for call in (first, second, replied):
                await tx.calls.add(call)
            for call in (first, second):
                await tx.calls.conclude(
                    replace(call, state=CallState.FAILED, failure="overloaded: no")
                )
            await tx.calls.conclude(replace(replied, state=CallState.REPLIED))
        async with uow.begin(run.user_id) as tx:
            assert ids(await tx.calls.failed(run.id, 10)) == [second.id, first.id]
            assert ids(await tx.calls.failed(run.id, 1)) == [second.id]

    async def test_an_intent_comes_back_as_recorded(self, uow: UnitOfWork) -> None:
        call = make_call(await keep_run(uow), part=2, borne_by=BorneBy.HOUSE, purpose="repair")
        await record(uow, call)
        assert await stored(uow, call) == [call]

    @pytest.mark.parametrize("outcome", [replied, failed, lost])
    async def test_what_came_of_an_intent_is_kept(self, uow: UnitOfWork, outcome: Outcome) -> None:
        call = make_call(await keep_run(uow))
        await record(uow, call)
        assert not await conclude(uow, outcome(call))
        assert await stored(uow, call) == [outcome(call)]

    async def test_a_long_reply_is_kept_whole(self, uow: UnitOfWork) -> None:
        call = make_call(await keep_run(uow))
        await record(uow, call)
        await conclude(uow, replied(call, "न" * 500_000))
        assert (await stored(uow, call))[0].text == "न" * 500_000

    @pytest.mark.parametrize("first", [replied, failed])
    @pytest.mark.parametrize("second", [replied, failed, lost])
    async def test_an_answered_call_is_never_changed_again(
        self, uow: UnitOfWork, first: Outcome, second: Outcome
    ) -> None:
        call = make_call(await keep_run(uow))
        await record(uow, call)
        await conclude(uow, first(call))
        await intrude(
            uow,
            call.user_id,
            lambda tx: tx.calls.conclude(replace(second(call), provider_request_id="req_2")),
        )
        assert await stored(uow, call) == [first(call)]

    @pytest.mark.parametrize("late", [replied, failed])
    async def test_an_answer_to_a_call_given_up_as_lost_is_kept_on_the_house(
        self, uow: UnitOfWork, late: Outcome
    ) -> None:
        call = make_call(await keep_run(uow))
        await record(uow, call)
        await conclude(uow, lost(call))
        await conclude(uow, late(call))
        assert await stored(uow, call) == [replace(late(call), borne_by=BorneBy.HOUSE)]

    async def test_the_open_calls_of_a_step_are_given_up_and_nothing_else(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        one, two = make_call(run, request_hash="e" * 64), make_call(run, request_hash="f" * 64)
        answered, elsewhere = make_call(run, request_hash="e" * 64), make_call(run, step="srs")
        await record(uow, one, two, answered, elsewhere)
        await conclude(uow, replied(answered))
        await give_up(uow, one)
        assert await stored(uow, one) == [lost(one), replied(answered)]
        assert await stored(uow, two) == [lost(two)]
        assert await stored(uow, elsewhere) == [elsewhere]

    async def test_the_open_calls_of_one_question_are_given_up_alone(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        one, two = make_call(run, request_hash="e" * 64), make_call(run, request_hash="f" * 64)
        await record(uow, one, two)
        await give_up(uow, one, one.request_hash)
        assert await stored(uow, one) == [lost(one)]
        assert await stored(uow, two) == [two]

    @pytest.mark.parametrize("late", [replied, failed])
    async def test_an_answer_to_a_call_that_was_given_up_with_others_is_on_the_house(
        self, uow: UnitOfWork, late: Outcome
    ) -> None:
        call = make_call(await keep_run(uow))
        await record(uow, call)
        await give_up(uow, call)
        assert [await conclude(uow, late(call)) for _ in range(2)] == [True, False]
        assert await stored(uow, call) == [replace(late(call), borne_by=BorneBy.HOUSE)]

    @pytest.mark.parametrize("answers_first", [True, False])
    async def test_who_gives_up_reads_an_answer_that_is_the_persons_and_no_other(
        self, uow: UnitOfWork, answers_first: bool
    ) -> None:
        run = await keep_run(uow)

        async def read_after_giving_up(call: ModelCall) -> ModelCall:
            async with uow.begin(call.user_id) as tx:
                await tx.calls.give_up(call.run_id, call.step, call.request_hash)
                (read,) = await tx.calls.of_request(call.run_id, call.step, call.request_hash)
            return read

        for number in range(30):
            call = make_call(run, request_hash=f"{number:064}")
            await record(uow, call)
            async with asyncio.TaskGroup() as both:
                if answers_first:
                    late = both.create_task(conclude(uow, replied(call)))
                giving_up = both.create_task(read_after_giving_up(call))
                if not answers_first:
                    late = both.create_task(conclude(uow, replied(call)))
            (kept,) = await stored(uow, call)
            outcome = (giving_up.result().state, late.result(), kept.state, kept.borne_by)
            assert outcome in (
                (CallState.LOST, True, CallState.REPLIED, BorneBy.HOUSE),
                (CallState.REPLIED, False, CallState.REPLIED, BorneBy.USER),
            )

    async def test_of_many_answers_at_once_one_is_kept(self, uow: UnitOfWork) -> None:
        call = make_call(await keep_run(uow))
        await record(uow, call)
        assert not any(await all_at_once(10, lambda: conclude(uow, replied(call))))
        assert await stored(uow, call) == [replied(call)]

    async def test_of_many_late_answers_at_once_one_is_late(self, uow: UnitOfWork) -> None:
        call = make_call(await keep_run(uow))
        await record(uow, call)
        await give_up(uow, call)
        assert sum(await all_at_once(10, lambda: conclude(uow, replied(call)))) == 1

    async def test_an_answer_may_come_after_the_run_was_taken_over(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        call = make_call(run)
        await record(uow, call)
        async with uow.begin(run.user_id) as tx:
            await tx.runs.finish(run.id, RunStatus.FAILED)
        await conclude(uow, replied(call))
        assert await stored(uow, call) == [replied(call)]

    async def test_an_answer_may_come_after_the_project_was_deleted(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        call = make_call(run)
        await record(uow, call)
        async with uow.begin(run.user_id) as tx:
            await tx.projects.delete(run.project_id)
        await conclude(uow, failed(call))
        assert await stored(uow, call) == [failed(call)]

    async def test_a_deleted_project_takes_the_words_and_leaves_the_cost(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        call = make_call(run)
        await record(uow, call)
        await conclude(uow, replied(call))
        async with uow.begin(run.user_id) as tx:
            await tx.projects.delete(run.project_id)
        assert await stored(uow, call) == [replace(replied(call), text="")]

    async def test_calls_for_one_question_come_oldest_first(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        calls = [make_call(run, part=part) for part in (0, 1, 2)]
        await record(uow, *calls)
        await conclude(uow, replied(calls[0]))
        assert ids(await stored(uow, calls[0])) == ids(calls)

    @pytest.mark.parametrize("other", [{"request_hash": "e" * 64}, {"step": "srs"}])
    async def test_calls_for_another_question_are_apart(
        self, uow: UnitOfWork, other: dict[str, str]
    ) -> None:
        run = await keep_run(uow)
        call = make_call(run)
        await record(uow, call, make_call(run, **other))
        assert await stored(uow, call) == [call]

    async def test_the_calls_of_a_step_are_those_of_all_its_questions_without_their_text(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        one, two = make_call(run, request_hash="e" * 64), make_call(run, request_hash="f" * 64)
        await record(uow, one, two, make_call(run, step="srs"))
        await conclude(uow, replied(one))
        async with uow.begin(run.user_id) as tx:
            found = list(await tx.calls.of_step(run.id, "idea"))
        assert found == [replace(replied(one), text=""), two]

    async def test_the_calls_of_a_step_are_not_those_of_another_run(self, uow: UnitOfWork) -> None:
        one = await keep_run(uow)
        two = replace(one, id=RunId(new_id()))
        await record(uow, make_call(one))
        async with uow.begin(one.user_id) as tx:
            assert list(await tx.calls.of_step(two.id, "idea")) == []

    async def test_what_a_step_may_cost_is_its_answers_and_the_bounds_of_what_is_open(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        answered = make_call(run, bound_nano_usd=900)
        async with uow.begin(run.user_id) as tx:
            await tx.calls.add(answered)
            await tx.calls.add(make_call(run, bound_nano_usd=50))
            await tx.calls.add(make_call(run, bound_nano_usd=7, step="srs"))
            await tx.calls.add(make_call(run, bound_nano_usd=7, borne_by=BorneBy.HOUSE))
            await tx.calls.conclude(replace(answered, state=CallState.REPLIED, cost_nano_usd=100))
            assert await tx.calls.committed(run.id, "idea") == 150
            assert await tx.calls.committed(run.id, "prd") == 0

    async def test_what_mending_cost_is_told_for_a_run_and_for_its_person(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        run = await keep_run(uow, await keep_project(uow, owner))
        other = await keep_run(uow, await keep_project(uow, owner))
        asked = make_call(run, purpose="review", borne_by=BorneBy.HOUSE, bound_nano_usd=900)
        open_ = make_call(other, purpose="repair", borne_by=BorneBy.HOUSE, bound_nano_usd=30)
        async with uow.begin(owner.id) as tx:
            for call in (asked, open_, make_call(run, purpose="make", bound_nano_usd=5)):
                await tx.calls.add(call)
            await tx.calls.conclude(replace(asked, state=CallState.REPLIED, cost_nano_usd=100))
            spent = await tx.calls.mending(run.id, 3600)
        assert spent == MendingCost(run_nano_usd=100, day_nano_usd=130)

    async def test_a_stranger_cannot_conclude_a_call(self, uow: UnitOfWork) -> None:
        call = make_call(await keep_run(uow))
        stranger = await keep_user(uow)
        await record(uow, call)
        await intrude(uow, stranger.id, lambda tx: tx.calls.conclude(replied(call)))
        assert await stored(uow, call) == [call]

    async def test_a_stranger_cannot_give_up_a_call(self, uow: UnitOfWork) -> None:
        call = make_call(await keep_run(uow))
        stranger = await keep_user(uow)
        await record(uow, call)
        await intrude(uow, stranger.id, lambda tx: tx.calls.give_up(call.run_id, call.step))
        assert await stored(uow, call) == [call]
