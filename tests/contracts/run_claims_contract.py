"""What every ``RunClaims`` keeps: one worker a run, leases, hand-backs, and turns.

Leases end on the database's own clock. ``wait`` lets that many seconds pass there.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from application.ports.claims import Heartbeat, RunClaims
from application.ports.persistence import LeaseLost, UnitOfWork
from domain.projects.run import MAX_CLAIMS, MAX_STALLS, TERMINAL, Run, RunStatus
from domain.shared.ids import RunId
from tests.contracts.samples import (
    LONG_LEASE,
    PAST_SHORT_LEASE,
    SHORT_LEASE,
    all_at_once,
    keep_project,
    keep_run,
    keep_user,
    new_id,
    reread,
    take,
)

Wait = Callable[[float], Awaitable[None]]
Limited = Callable[[int], RunClaims]
"""Claims of which a person may have so many at once."""

EVERY_RUN = 100_000
"""A limit that leaves no due run out, whoever's tests made it."""


async def end(uow: UnitOfWork, run: Run, status: RunStatus = RunStatus.SUCCEEDED) -> None:
    """Finish a live run."""
    async with uow.begin(run.user_id) as tx:
        await tx.runs.finish(run.id, status)


async def due_among(claims: RunClaims, runs: list[Run], defer: float = LONG_LEASE) -> list[RunId]:
    """Which of these runs come due now; they are put off."""
    wanted = {run.id for run in runs}
    due = [id_ for id_ in await claims.due(EVERY_RUN) if id_ in wanted]
    return list(await claims.put_off(due, defer))


async def of_one_person(uow: UnitOfWork, count: int) -> list[Run]:
    """Queued runs of one new person, each of a project of its own."""
    owner = await keep_user(uow)
    return [await keep_run(uow, await keep_project(uow, owner)) for _ in range(count)]


class RunClaimsContract:
    async def test_a_queued_run_is_claimed(self, uow: UnitOfWork, claims: RunClaims) -> None:
        run = await keep_run(uow)
        claim = await take(claims, run, 45)
        assert (claim.run.id, claim.run.status) == (run.id, RunStatus.RUNNING)
        assert (claim.fence, claim.lease_seconds) == (claim.run.fence, 45)

    async def test_a_claim_returns_the_run_as_it_is_stored(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        assert claim.run == await reread(uow, claim.run)

    async def test_an_unknown_run_is_not_claimed(self, claims: RunClaims) -> None:
        assert await claims.claim(RunId(new_id()), LONG_LEASE) is None

    async def test_a_held_run_is_not_claimed(self, uow: UnitOfWork, claims: RunClaims) -> None:
        run = await keep_run(uow)
        await take(claims, run)
        assert await claims.claim(run.id, LONG_LEASE) is None

    async def test_of_many_claims_at_once_one_succeeds(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        made = await all_at_once(20, lambda: claims.claim(run.id, LONG_LEASE))
        assert sum(claim is not None for claim in made) == 1

    async def test_of_many_claims_at_once_one_counts_as_an_attempt(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        await all_at_once(20, lambda: claims.claim(run.id, LONG_LEASE))
        stored = await reread(uow, run)
        assert (stored.attempts, stored.fence) == (1, 1)

    @pytest.mark.parametrize("status", sorted(TERMINAL))
    async def test_a_run_that_has_ended_is_not_claimed(
        self, uow: UnitOfWork, claims: RunClaims, status: RunStatus
    ) -> None:
        run = await keep_run(uow)
        await end(uow, run, status)
        assert await claims.claim(run.id, LONG_LEASE) is None

    # The lease and its end

    async def test_a_lease_that_has_ended_lets_another_in(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        first = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        second = await take(claims, run)
        assert (second.fence, second.run.attempts) == (first.fence + 1, 2)

    async def test_of_many_claims_on_an_ended_lease_one_succeeds(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        made = await all_at_once(20, lambda: claims.claim(run.id, LONG_LEASE))
        assert sum(claim is not None for claim in made) == 1

    async def test_a_run_has_started_when_it_was_first_claimed(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        first = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        second = await take(claims, run)
        assert first.run.started_at is not None
        assert second.run.started_at == first.run.started_at

    async def test_claims_are_counted_past_the_limit_and_not_judged(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        for _ in range(MAX_CLAIMS):
            await take(claims, run, 0.02)
            await wait(0.05)
        assert (await take(claims, run)).run.attempts == MAX_CLAIMS + 1

    async def test_an_old_fence_cannot_lock(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        old = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        await take(claims, run)
        with pytest.raises(LeaseLost):
            async with uow.begin(run.user_id) as tx:
                await tx.runs.lock(run.id, old.fence)

    async def test_an_old_fence_cannot_renew(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        old = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        await take(claims, run)
        assert await claims.renew(run.id, old.fence, LONG_LEASE) is None

    async def test_an_old_fence_cannot_hand_back(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        old = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        new = await take(claims, run)
        assert await claims.hand_back(run.id, old.fence, delay_seconds=0) is False
        assert await reread(uow, run) == new.run

    async def test_an_ended_lease_nobody_took_still_locks(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        claim = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        async with uow.begin(run.user_id) as tx:
            assert (await tx.runs.lock(run.id, claim.fence)).id == run.id

    async def test_an_ended_lease_nobody_took_can_be_renewed(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        claim = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        assert await claims.renew(run.id, claim.fence, LONG_LEASE) is not None
        assert await claims.claim(run.id, LONG_LEASE) is None

    async def test_a_renewed_lease_holds_past_its_first_end(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        claim = await take(claims, run, SHORT_LEASE)
        await claims.renew(run.id, claim.fence, LONG_LEASE)
        await wait(PAST_SHORT_LEASE)
        assert await claims.claim(run.id, LONG_LEASE) is None

    async def test_a_heartbeat_tells_that_all_is_well(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        beat = await claims.renew(claim.run.id, claim.fence, LONG_LEASE)
        assert beat == Heartbeat(cancel_requested=False)

    async def test_a_heartbeat_tells_of_the_wish_to_cancel(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            await tx.runs.request_cancel(claim.run.id)
        beat = await claims.renew(claim.run.id, claim.fence, LONG_LEASE)
        assert beat == Heartbeat(cancel_requested=True)

    async def test_a_heartbeat_is_no_attempt(self, uow: UnitOfWork, claims: RunClaims) -> None:
        claim = await take(claims, await keep_run(uow))
        await claims.renew(claim.run.id, claim.fence, LONG_LEASE)
        assert await reread(uow, claim.run) == claim.run

    async def test_the_claim_on_a_run_that_has_ended_cannot_be_renewed(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await end(uow, claim.run)
        assert await claims.renew(claim.run.id, claim.fence, LONG_LEASE) is None

    # Handing back

    async def test_a_run_handed_back_waits_for_a_worker_again(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        assert await claims.hand_back(claim.run.id, claim.fence, delay_seconds=0) is True
        assert (await reread(uow, claim.run)).status is RunStatus.QUEUED

    async def test_a_parked_run_whose_end_is_asked_for_is_to_be_had_at_once(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=3600)
        async with uow.begin(claim.run.user_id) as tx:
            await tx.runs.request_cancel(claim.run.id)
        again = await claims.claim(claim.run.id, LONG_LEASE)
        assert again is not None
        assert again.run.cancel_requested

    async def test_asking_for_the_end_of_a_held_run_takes_it_from_nobody(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            await tx.runs.request_cancel(claim.run.id)
        assert await claims.claim(claim.run.id, LONG_LEASE) is None

    async def test_a_hand_back_refunds_the_attempt_and_not_the_fence(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=0)
        stored = await reread(uow, claim.run)
        assert (stored.attempts, stored.fence) == (0, claim.fence)

    async def test_a_hand_back_without_refund_leaves_the_attempt_counted(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=0, refund=False)
        assert (await reread(uow, claim.run)).attempts == 1

    async def test_a_hand_back_after_a_finished_step_has_nothing_to_refund(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        async with uow.begin(claim.run.user_id) as tx:
            await tx.runs.set_progress(claim.run.id, 20)
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=0)
        assert (await reread(uow, claim.run)).attempts == 0

    async def test_a_hand_back_leaves_the_claims_before_it_counted(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        claim = await take(claims, run)
        await claims.hand_back(run.id, claim.fence, delay_seconds=0)
        assert (await reread(uow, run)).attempts == 1

    async def test_a_hand_back_without_delay_can_be_claimed_at_once(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=0)
        assert (await take(claims, claim.run)).fence == claim.fence + 1

    async def test_a_hand_back_with_delay_cannot_be_claimed_before(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=LONG_LEASE)
        assert await claims.claim(claim.run.id, LONG_LEASE) is None

    async def test_a_hand_back_with_delay_can_be_claimed_after(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        assert await claims.claim(claim.run.id, LONG_LEASE) is not None

    async def test_a_claim_handed_back_is_over(self, uow: UnitOfWork, claims: RunClaims) -> None:
        claim = await take(claims, await keep_run(uow))
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=0)
        assert await claims.renew(claim.run.id, claim.fence, LONG_LEASE) is None
        assert await claims.hand_back(claim.run.id, claim.fence, delay_seconds=0) is False
        with pytest.raises(LeaseLost):
            async with uow.begin(claim.run.user_id) as tx:
                await tx.runs.lock(claim.run.id, claim.fence)

    async def test_a_run_that_has_ended_cannot_be_handed_back(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        await end(uow, claim.run)
        assert await claims.hand_back(claim.run.id, claim.fence, delay_seconds=0) is False
        assert (await reread(uow, claim.run)).status is RunStatus.SUCCEEDED

    # Turns

    async def test_a_new_run_is_due_at_once(self, uow: UnitOfWork, claims: RunClaims) -> None:
        run = await keep_run(uow)
        assert await due_among(claims, [run]) == [run.id]

    async def test_a_turn_taken_puts_the_next_off(self, uow: UnitOfWork, claims: RunClaims) -> None:
        run = await keep_run(uow)
        await due_among(claims, [run])
        assert await due_among(claims, [run]) == []

    async def test_a_turn_put_off_comes_again(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        await due_among(claims, [run], SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        assert await due_among(claims, [run]) == [run.id]

    async def test_a_turn_put_off_can_be_claimed_all_the_same(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        await due_among(claims, [run])
        assert await claims.claim(run.id, LONG_LEASE) is not None

    async def test_a_limit_is_kept(self, uow: UnitOfWork, claims: RunClaims) -> None:
        for _ in range(3):
            await keep_run(uow)
        assert len(await claims.due(2)) == 2

    async def test_a_look_at_what_is_due_changes_nothing(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        for _ in range(2):
            assert run.id in await claims.due(EVERY_RUN)

    async def test_only_what_is_still_due_is_put_off(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        due, held, ended, put_off, other = [await keep_run(uow) for _ in range(5)]
        await take(claims, held)
        await end(uow, ended)
        await claims.put_off([put_off.id], LONG_LEASE)
        asked = [put_off.id, other.id, RunId(new_id()), ended.id, held.id, due.id]
        assert await claims.put_off(asked, LONG_LEASE) == [other.id, due.id]

    async def test_nothing_is_put_off_where_nothing_is_asked_for(self, claims: RunClaims) -> None:
        assert await claims.put_off([], LONG_LEASE) == []

    async def test_of_many_dispatchers_one_gets_each_run(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        runs = [await keep_run(uow) for _ in range(12)]
        taken = await all_at_once(10, lambda: due_among(claims, runs))
        assert sorted(id_ for batch in taken for id_ in batch) == sorted(run.id for run in runs)

    async def test_a_held_run_is_not_due(self, uow: UnitOfWork, claims: RunClaims) -> None:
        run = await keep_run(uow)
        await take(claims, run)
        assert await due_among(claims, [run]) == []

    async def test_a_run_whose_lease_has_ended_is_due(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        assert await due_among(claims, [run]) == [run.id]

    async def test_a_run_whose_lease_was_renewed_is_not_due(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        claim = await take(claims, run, SHORT_LEASE)
        await claims.renew(run.id, claim.fence, LONG_LEASE)
        await wait(PAST_SHORT_LEASE)
        assert await due_among(claims, [run]) == []

    async def test_a_run_handed_back_is_due_after_the_delay(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        claim = await take(claims, run)
        await claims.hand_back(run.id, claim.fence, delay_seconds=SHORT_LEASE)
        before = await due_among(claims, [run])
        await wait(PAST_SHORT_LEASE)
        assert (before, await due_among(claims, [run])) == ([], [run.id])

    async def test_a_run_that_has_ended_is_not_due(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        await end(uow, run)
        assert await due_among(claims, [run]) == []

    # Leases lost by workers that live

    async def test_a_worker_that_outlives_its_claim_takes_its_attempt_back(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        claim = await take(claims, run)
        assert await claims.outlived(run.id, claim.fence)
        assert (await reread(uow, run)).attempts == 0

    async def test_an_attempt_is_taken_back_from_under_the_next_claim_which_stays_counted(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        first = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        second = await take(claims, run)
        assert await claims.outlived(run.id, first.fence)
        kept = await reread(uow, run)
        assert (kept.attempts, kept.fence, kept.status) == (1, second.fence, RunStatus.RUNNING)
        assert await claims.renew(run.id, second.fence, LONG_LEASE) is not None

    async def test_an_attempt_that_a_finished_step_has_forgotten_is_not_taken_back(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        run = await keep_run(uow)
        first = await take(claims, run, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        second = await take(claims, run, SHORT_LEASE)
        async with uow.begin(run.user_id) as tx:
            await tx.runs.set_progress(run.id, 20)
        await wait(PAST_SHORT_LEASE)
        await take(claims, run)
        assert not await claims.outlived(run.id, first.fence)
        assert not await claims.outlived(run.id, second.fence)
        assert (await reread(uow, run)).attempts == 1

    async def test_a_run_that_has_ended_takes_no_attempt_back(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)
        claim = await take(claims, run)
        await end(uow, run)
        assert not await claims.outlived(run.id, claim.fence)

    async def test_a_run_that_stalls_too_often_spends_its_attempts_until_it_gets_on(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        run = await keep_run(uow)

        async def stall() -> bool:
            claim = await take(claims, run)
            taken_back = await claims.outlived(run.id, claim.fence)
            await claims.hand_back(run.id, claim.fence, delay_seconds=0, refund=False)
            return taken_back

        assert [await stall() for _ in range(MAX_STALLS + 2)] == [True] * MAX_STALLS + [False] * 2
        assert (await reread(uow, run)).attempts == 2
        async with uow.begin(run.user_id) as tx:
            await tx.runs.set_progress(run.id, 20)
        assert await stall()

    # Fairness among people

    async def test_turns_go_round_among_people(self, uow: UnitOfWork, claims: RunClaims) -> None:
        eager = await keep_user(uow)
        first, second = [await keep_run(uow, await keep_project(uow, eager)) for _ in range(2)]
        other = await keep_run(uow)
        assert await due_among(claims, [first, second, other]) == [first.id, other.id, second.id]

    async def test_a_person_is_announced_no_more_runs_than_may_be_held(
        self, uow: UnitOfWork, limited: Limited
    ) -> None:
        runs = await of_one_person(uow, 4)
        claims = limited(2)
        assert await due_among(claims, runs) == [run.id for run in runs[:2]]
        assert await due_among(claims, runs) == []

    async def test_a_hundred_runs_of_one_person_do_not_delay_anothers_first(
        self, uow: UnitOfWork, limited: Limited
    ) -> None:
        many = await of_one_person(uow, 100)
        other = await keep_run(uow)
        claims = limited(3)
        due = await due_among(claims, [*many, other])
        assert due == [many[0].id, other.id, many[1].id, many[2].id]

    async def test_an_announced_run_that_nobody_took_comes_again(
        self, uow: UnitOfWork, limited: Limited, wait: Wait
    ) -> None:
        runs = await of_one_person(uow, 2)
        claims = limited(1)
        await due_among(claims, runs, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        assert len(await due_among(claims, runs)) == 1

    async def test_a_parked_run_takes_nobodys_turn(self, uow: UnitOfWork, limited: Limited) -> None:
        parked, waiting = await of_one_person(uow, 2)
        claims = limited(1)
        claim = await take(claims, parked)
        await claims.hand_back(parked.id, claim.fence, delay_seconds=LONG_LEASE)
        assert await due_among(claims, [parked, waiting]) == [waiting.id]

    # The limit of runs held at once

    async def test_a_claim_beyond_the_limit_is_refused_and_is_no_attempt(
        self, uow: UnitOfWork, limited: Limited
    ) -> None:
        *held, beyond = await of_one_person(uow, 3)
        claims = limited(2)
        for run in held:
            await take(claims, run)
        assert await claims.claim(beyond.id, LONG_LEASE) is None
        stored = await reread(uow, beyond)
        assert (stored.status, stored.attempts, stored.fence) == (RunStatus.QUEUED, 0, 0)

    async def test_one_persons_limit_is_not_anothers(
        self, uow: UnitOfWork, limited: Limited
    ) -> None:
        claims = limited(1)
        await take(claims, await keep_run(uow))
        await take(claims, await keep_run(uow))

    async def test_of_many_claims_at_once_as_many_succeed_as_the_limit_lets(
        self, uow: UnitOfWork, limited: Limited
    ) -> None:
        runs = iter(await of_one_person(uow, 8))
        claims = limited(3)
        made = await all_at_once(8, lambda: claims.claim(next(runs).id, LONG_LEASE))
        assert sum(claim is not None for claim in made) == 3

    async def test_a_run_that_ended_makes_room_at_once(
        self, uow: UnitOfWork, limited: Limited
    ) -> None:
        first, second = await of_one_person(uow, 2)
        claims = limited(1)
        await due_among(claims, [first, second])
        await take(claims, first)
        assert await claims.claim(second.id, LONG_LEASE) is None
        assert await due_among(claims, [first, second]) == []
        await end(uow, first)
        assert await due_among(claims, [first, second]) == [second.id]
        await take(claims, second)

    async def test_a_run_refused_for_the_limit_is_due_again_when_there_is_room(
        self, uow: UnitOfWork, limited: Limited
    ) -> None:
        first, second = await of_one_person(uow, 2)
        claims = limited(1)
        # Both were announced while a dispatcher knew of no limit; both hints are used up.
        await due_among(limited(0), [first, second])
        await take(claims, first)
        assert await claims.claim(second.id, LONG_LEASE) is None
        await end(uow, first)
        assert await due_among(claims, [first, second]) == [second.id]

    async def test_a_vanished_workers_run_takes_no_room(
        self, uow: UnitOfWork, limited: Limited, wait: Wait
    ) -> None:
        first, second = await of_one_person(uow, 2)
        claims = limited(1)
        await take(claims, first, SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        await take(claims, second)
        assert await claims.claim(first.id, LONG_LEASE) is None

    async def test_a_run_whose_end_is_asked_for_is_claimed_beyond_the_limit(
        self, uow: UnitOfWork, limited: Limited
    ) -> None:
        first, second = await of_one_person(uow, 2)
        claims = limited(1)
        await take(claims, first)
        async with uow.begin(second.user_id) as tx:
            await tx.runs.request_cancel(second.id)
        assert await due_among(claims, [second]) == [second.id]
        await take(claims, second)

    # How many wait. Others' short leases are let pass first, so that only ours change it.

    async def test_a_new_run_adds_to_those_that_wait(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        await wait(PAST_SHORT_LEASE)
        before = await claims.depth()
        await keep_run(uow)
        assert await claims.depth() == before + 1

    async def test_a_held_run_does_not_wait(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        await wait(PAST_SHORT_LEASE)
        before = await claims.depth()
        await take(claims, await keep_run(uow))
        assert await claims.depth() == before

    async def test_a_run_handed_back_does_not_wait_before_its_delay(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        await wait(PAST_SHORT_LEASE)
        before = await claims.depth()
        claim = await take(claims, await keep_run(uow))
        await claims.hand_back(claim.run.id, claim.fence, delay_seconds=LONG_LEASE)
        assert await claims.depth() == before

    async def test_a_run_whose_worker_vanished_waits_again(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        await wait(PAST_SHORT_LEASE)
        before = await claims.depth()
        await take(claims, await keep_run(uow), SHORT_LEASE)
        await wait(PAST_SHORT_LEASE)
        assert await claims.depth() == before + 1

    async def test_a_run_put_off_by_a_dispatcher_still_waits(
        self, uow: UnitOfWork, claims: RunClaims, wait: Wait
    ) -> None:
        await wait(PAST_SHORT_LEASE)
        before = await claims.depth()
        await due_among(claims, [await keep_run(uow)])
        assert await claims.depth() == before + 1

    async def test_a_moment_of_the_database_is_in_utc(
        self, uow: UnitOfWork, claims: RunClaims
    ) -> None:
        claim = await take(claims, await keep_run(uow))
        assert claim.run.started_at is not None
        assert claim.run.started_at.utcoffset() == timedelta()
