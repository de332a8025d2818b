"""Whatever happens, in whatever order, the books balance and every run comes to an end.

Workers take runs, are killed, shut down and paused; hints come twice or not at all; the
model, the store and the database fail; people execute and cancel. After each of these the
committed rows must be right, and in the end one healthy worker brings everything home.
``HYPOTHESIS_PROFILE=thorough`` searches for long.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, MutableMapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from application.ports.language_model import FailureKind
from application.ports.model_calls import CUT_OFF, MENDING, BorneBy, CallState, ModelCall
from application.ports.persistence import DatabaseUnavailable
from application.projects.retry_run import RetryRun
from application.runs import write_codebase
from application.runs.execute_run import ExecuteRun
from domain.agents.pipelines import DEVELOPER
from domain.billing.ledger import AccountKind
from domain.projects.agent_task import AgentTask, AgentTaskStatus
from domain.projects.project import Project
from domain.projects.run import Run, RunInProgress, RunNotLive, RunStatus
from domain.shared.events import EventType
from domain.shared.ids import RunId, UserId
from tests.contracts.samples import ORIGIN, make_grant, make_user
from tests.fakes.language_model import USAGE, fail
from tests.unit.runs.simulation import (
    INSTANT,
    Fault,
    Faults,
    HeldModel,
    SimulatedClock,
    SimulatedLoop,
    Worker,
    connected,
)
from tests.unit.runs.world import RATE, World, model, open_world

T = TypeVar("T")

LEASE = 15.0
MOST_WORKERS = 6
SCANTY_GRANT = 25_000
"""Enough for some steps' holds and not for others'."""

CAPS = (1, 5_000, 12_000)
"""Too little for a call, and enough for some of a run's and not for all at once."""

LIMITS = ("insufficient_credits", "cap_reached")

STEPS = {step.name for step in DEVELOPER.steps}

_FINAL = (FailureKind.REFUSED, FailureKind.PERMANENT)

some = st.integers(0, 1_000)
"""Chooses one of however many there are."""


class Runs(RuleBasedStateMachine):
    """Two people, the second of them nearly without credits; three projects."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = SimulatedLoop()
        self.faults = Faults()
        self.workers: list[Worker] = []
        self.accepted: list[tuple[UserId, RunId]] = []
        self.ended: dict[RunId, tuple[Run, dict[str, AgentTask]]] = {}
        self.broken: list[str] = []
        self.logging = structlog.get_config()
        structlog.configure(processors=[self._note])
        self.loop.set_exception_handler(
            lambda _, context: self.broken.append(str(context.get("exception", context)))
        )
        # A batch to a file, so that one step has several calls under way.
        self.batch_files = write_codebase.BATCH_FILES
        write_codebase.BATCH_FILES = 1

    def _note(self, _: object, method: str, entry: MutableMapping[str, Any]) -> str:
        if method == "exception":
            self.broken.append(f"{entry['event']}: {entry.get('exc_info')!r}")
        raise structlog.DropEvent

    def now(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it at once, then let happen what needs no time."""
        result = self.loop.run_until_complete(work)
        self.loop.run_until_complete(asyncio.sleep(INSTANT))
        self.workers = [worker for worker in self.workers if not worker.task.done()]
        return result

    @initialize(answers=st.integers(0, len(STEPS)))
    def open(self, answers: int) -> None:
        self.clock = SimulatedClock(self.loop)
        self.world = self.now(open_world(language_model=model(), clock=self.clock))
        self.model = HeldModel(self.world.model)
        self.world.model = self.model
        self.other = self.now(self._second_person())
        rich, poor = self.world.user_id, self.other.user_id
        self.people = {rich: self.world, poor: self.other}
        self.projects: list[Project] = [
            self.now(world.project(f"{title}, where members borrow and librarians manage."))
            for world, title in (
                (self.world, "A library of books"),
                (self.world, "A library of tools"),
                (self.other, "A library of games"),
            )
        ]
        self.execute(0, reuse=True, answers=answers)

    async def _second_person(self) -> World:
        user = make_user()
        async with self.world.uow.begin(user.id) as tx:
            await tx.users.add(user)
            await tx.ledger.open(user.id)
            await tx.ledger.grant(make_grant(user.id, SCANTY_GRANT))
        return replace(self.world, user_id=user.id)

    # What people do.

    @rule(
        which=some,
        reuse=st.sampled_from([True, True, False]),
        answers=st.integers(0, len(STEPS)),
        cap=st.sampled_from([None, None, *CAPS]),
    )
    def execute(self, which: int, reuse: bool, answers: int, cap: int | None = None) -> None:
        """A run is accepted and, if it is to be had, brought some way."""
        project = self.projects[which % len(self.projects)]
        world, _ = connected(self.people[project.user_id], self.faults)
        before = set(self.world.database.tables.runs)
        with suppress(RunInProgress, DatabaseUnavailable):
            self.now(world.execute(project, reuse=reuse, cap_credits=cap))
        self._took(project.user_id, before, answers)

    @precondition(lambda self: self._to_retry())
    @rule(which=some, answers=st.integers(0, len(STEPS)), cap=st.sampled_from([None, *CAPS]))
    def retry(self, which: int, answers: int, cap: int | None) -> None:
        """A run that did not succeed is asked for once more, and brought some way."""
        ended = self._to_retry()
        run = ended[which % len(ended)]
        world, _ = connected(self.people[run.user_id], self.faults)
        before = set(self.world.database.tables.runs)
        again = RetryRun(world.uow, world.queue, world.clock, world.ids)
        with suppress(RunInProgress, DatabaseUnavailable):
            self.now(again(run.user_id, run.id, origin=ORIGIN, cap_credits=cap))
        self._took(run.user_id, before, answers)

    def _to_retry(self) -> list[Run]:
        return [run for run, _ in self.ended.values() if run.status is not RunStatus.SUCCEEDED]

    def _took(self, user_id: UserId, before: set[RunId], answers: int) -> None:
        """Note what was accepted, also one whose acceptance nobody heard of."""
        for run_id in set(self.world.database.tables.runs) - before:
            self.accepted.append((user_id, run_id))
            if answers and len(self.workers) < MOST_WORKERS:
                self._start(run_id)
                self.answer(answers)

    @precondition(lambda self: self.accepted)
    @rule(which=some)
    def cancel(self, which: int) -> None:
        user_id, run_id = self._run(which)
        world, _ = connected(self.people[user_id], self.faults)
        with suppress(DatabaseUnavailable):
            try:
                self.now(world.cancel(user_id, run_id))
            except RunNotLive:
                assert not self.world.database.tables.runs[run_id].run.live

    # What workers do, and what is done to them.

    @precondition(lambda self: self.accepted and len(self.workers) < MOST_WORKERS)
    @rule(which=some)
    def deliver(self, which: int) -> None:
        """Any run's hint, at any time, any number of times."""
        self._start(self._run(which)[1])

    @precondition(lambda self: self.accepted and len(self.workers) < MOST_WORKERS)
    @rule(turns=st.integers(0, 30))
    def take_a_hint(self, turns: int) -> None:
        if self.world.queue.announced:
            self._start(self.world.queue.announced.pop(0), turns)

    @rule()
    def lose_the_hints(self) -> None:
        self.world.queue.announced.clear()

    @rule()
    def dispatch(self) -> None:
        world, _ = connected(self.world, self.faults)
        with suppress(DatabaseUnavailable):
            self.now(world.dispatcher())

    @precondition(lambda self: self.model.held)
    @rule(which=some)
    def step(self, which: int) -> None:
        """The model answers one call."""
        self.model.held[which % len(self.model.held)].set()
        self.now(asyncio.sleep(0))

    @precondition(lambda self: self.model.held)
    @rule(rounds=st.integers(1, 6))
    def answer(self, rounds: int) -> None:
        """The model answers all its calls, and those that follow from them."""
        for _ in range(rounds):
            for gate in self.model.held:
                gate.set()
            self.now(asyncio.sleep(0))

    @precondition(lambda self: self.model.held and self.workers)
    @rule(turns=st.integers(1, 80), victim=some, kind=st.none() | st.sampled_from(_FINAL))
    def kill_in_the_middle(self, turns: int, victim: int, kind: FailureKind | None) -> None:
        """The model answers or refuses, and some way into what follows a worker dies."""
        if kind is not None:
            self.model.failing.append(fail(kind))
        for gate in self.model.held:
            gate.set()
        self.loop.run_until_complete(_turns(turns))
        if self.workers:
            self.now(self.workers.pop(victim % len(self.workers)).kill())

    @precondition(lambda self: self.workers)
    @rule(which=some)
    def kill(self, which: int) -> None:
        self.now(self.workers.pop(which % len(self.workers)).kill())

    @precondition(lambda self: self.workers)
    @rule(which=some, turns=st.integers(0, 30))
    def shut_down(self, which: int, turns: int) -> None:
        self.loop.run_until_complete(_turns(turns))
        if self.workers:
            self.now(self.workers.pop(which % len(self.workers)).shut_down())

    @rule(seconds=st.sampled_from([0.5, 1.0, 1.0, 3.0, 6.0]))
    def heartbeat(self, seconds: float) -> None:
        """Time passes: leases are renewed, and short waits end."""
        self.now(asyncio.sleep(seconds))

    @rule(seconds=st.sampled_from([LEASE / 2, LEASE + 1, LEASE + 1, 130.0]))
    def expire(self, seconds: float) -> None:
        """Every worker stands still for so long, and its lease may pass on."""
        self.clock.move(timedelta(seconds=seconds))

    @precondition(lambda self: self.workers and len(self.workers) < MOST_WORKERS)
    @rule(which=some, turns=st.integers(0, 60))
    def take_over(self, which: int, turns: int) -> None:
        """A worker stands still past its lease; another takes its run, and both go on."""
        self.clock.move(timedelta(seconds=LEASE + 1))
        self._start(self.workers[which % len(self.workers)].run_id, turns)

    @precondition(lambda self: self.workers and len(self.workers) < MOST_WORKERS)
    @rule(which=some, rounds=st.integers(1, 6))
    def overtake(self, which: int, rounds: int) -> None:
        """A worker stands still past its lease, and only who takes its run is answered."""
        waiting = list(self.model.held)
        self.take_over(which, 60)
        for _ in range(rounds):
            for gate in self.model.held:
                if gate not in waiting:
                    gate.set()
            self.now(asyncio.sleep(0))

    # What fails.

    @rule(
        kind=st.sampled_from(sorted(FailureKind)),
        retry_after=st.sampled_from([None, None, 1.0, 90.0]),
        cost=st.booleans(),
    )
    def fail_a_call(self, kind: FailureKind, retry_after: float | None, cost: bool) -> None:
        self.model.failing.append(
            fail(kind, retry_after=retry_after, usage=USAGE if cost else None)
        )

    @rule(times=st.integers(1, 3))
    def lose_the_store(self, times: int) -> None:
        self.world.store.fail_next(times)

    @rule(fault=st.sampled_from(sorted(Fault)), times=st.integers(1, 3))
    def lose_the_database(self, fault: Fault, times: int) -> None:
        self.faults.coming += [fault] * times

    # What is always so.

    @invariant()
    def no_fault_is_ours(self) -> None:
        assert not self.broken

    @invariant()
    def what_has_ended_stays_as_it_was(self) -> None:
        tables = self.world.database.tables
        for run_id, row in tables.runs.items():
            if row.run.live:
                assert run_id not in self.ended
                continue
            assert (row.run, self._tasks(run_id)) == self.ended.setdefault(
                run_id, (row.run, self._tasks(run_id))
            )
            assert all(
                task.status is not AgentTaskStatus.RUNNING for task in self._tasks(run_id).values()
            )

    @invariant()
    def a_project_has_one_live_run_at_most(self) -> None:
        live = [
            row.run.project_id for row in self.world.database.tables.runs.values() if row.run.live
        ]
        assert len(live) == len(set(live))

    @invariant()
    def logs_count_from_one_and_tell_each_thing_once(self) -> None:
        tables = self.world.database.tables
        for run_id, row in tables.runs.items():
            events = [event for (of, _), event in sorted(tables.events.items()) if of == run_id]
            assert [event.seq for event in events] == list(range(1, row.run.event_seq + 1))
            done = [event.data["step"] for event in events if event.type == "step.finished"]
            assert len(done) == len(set(done))
            told = {
                task.step
                for task in self._tasks(run_id).values()
                if task.finished or task.status is AgentTaskStatus.FAILED
            }
            assert set(done) == told
            last = [event.type is EventType.RUN_FINISHED for event in events]
            assert last == [False] * (len(events) - 1) + [not row.run.live]

    @invariant()
    def a_finished_step_has_its_checkpoint(self) -> None:
        tables = self.world.database.tables
        made: dict[tuple[object, str], list[bool]] = {}
        for task in tables.tasks.values():
            assert task.finished == (task.output is not None)
            if task.output is not None:
                assert task.output.object_key in self.world.store.objects
            if task.status is AgentTaskStatus.SUCCEEDED:
                reuses = tables.runs[task.run_id].run.reuse
                made.setdefault((task.project_id, task.input_hash), []).append(reuses)
        # Made once, and again only where it was asked for.
        for reuses_of_hash in made.values():
            assert sum(reuses_of_hash) <= 1
        for row in tables.runs.values():
            if row.run.status is RunStatus.SUCCEEDED:
                tasks = self._tasks(row.run.id)
                assert tasks.keys() == STEPS
                assert all(task.finished for task in tasks.values())

    @invariant()
    def the_books_balance(self) -> None:
        tables = self.world.database.tables
        sums: dict[tuple[UserId, AccountKind], int] = {}
        for entry in tables.entries.values():
            assert sum(posting.amount for posting in entry.postings) == 0
            for posting in entry.postings:
                place = (entry.user_id, posting.account)
                sums[place] = sums.get(place, 0) + posting.amount
        for user_id, balance in tables.balances.items():
            assert balance.available == sums.get((user_id, AccountKind.AVAILABLE), 0) >= 0
            assert balance.reserved == sums.get((user_id, AccountKind.RESERVED), 0) >= 0
            held = [credits for (who, *_), credits in tables.holds.items() if who == user_id]
            assert balance.reserved == sum(held)
            assert all(credits > 0 for credits in held)
            free = [lot.remaining for (who, _), lot in tables.lots.items() if who == user_id]
            assert balance.available == sum(free)
        for _, run_id, _, _ in tables.holds:
            assert tables.runs[run_id].run.live

    @invariant()
    def no_run_may_come_to_more_than_its_cap(self) -> None:
        tables = self.world.database.tables
        for row in tables.runs.values():
            run = row.run
            held = sum(part for (_, of, *_), part in tables.holds.items() if of == run.id)
            charged = sum(task.credits for task in tables.tasks.values() if task.run_id == run.id)
            assert run.charged_credits == charged
            assert run.cap_credits is not None
            assert charged + held <= run.cap_credits

    @invariant()
    def a_step_is_charged_what_its_calls_cost_if_it_succeeded(self) -> None:
        tables = self.world.database.tables
        charged: dict[tuple[RunId | None, str], int] = {}
        for entry in tables.entries.values():
            if entry.kind == "settle":
                place = (entry.run_id, entry.step)
                charged[place] = charged.get(place, 0) + entry.postings[-1].amount
        assert charged.keys() <= tables.tasks.keys()
        for place, task in tables.tasks.items():
            cost = sum(
                call.cost_nano_usd
                for call in tables.calls.values()
                if (call.run_id, call.step) == place and call.borne_by is BorneBy.USER
            )
            # A person who cancels, or whose own limit ends a step, pays for what had been
            # answered until then, and for what was under way when they cancelled.
            owes = (
                task.status is AgentTaskStatus.SUCCEEDED
                or (task.status is AgentTaskStatus.FAILED and task.error_code in LIMITS)
                or (
                    task.status is AgentTaskStatus.CANCELLED
                    and tables.runs[task.run_id].run.status is RunStatus.CANCELLED
                )
            )
            assert charged.get(place, 0) == task.credits
            assert task.credits == (RATE.credits_for(cost) if owes else 0)

    @invariant()
    def the_account_of_usage_is_the_bill(self) -> None:
        tables = self.world.database.tables
        lines = {(line.step.run_id, line.step.step): line.step for line in tables.usage.values()}
        for place, task in tables.tasks.items():
            line = lines.get(place)
            assert task.credits == (line.credits if line else 0)
            assert task.usage.total == (line.usage.total if line else 0)
        assert lines.keys() <= tables.tasks.keys()

    @invariant()
    def what_the_house_bears_of_a_settled_step_is_on_its_accounts(self) -> None:
        """Every call's cost that is not the person's, whenever its answer came."""
        tables = self.world.database.tables
        crash: Counter[tuple[RunId | None, str]] = Counter()
        for entry in tables.entries.values():
            for posting in entry.postings:
                if posting.account is AccountKind.HOUSE_CRASH:
                    crash[entry.run_id, entry.step] -= posting.amount
        for line in tables.usage.values():
            step = line.step
            of_house = [
                call
                for call in tables.calls.values()
                if (call.run_id, call.step) == (step.run_id, step.step)
                and (call.borne_by is BorneBy.HOUSE or not step.charged)
            ]
            late = [call for call in of_house if f"late:{call.id}" in tables.entries]
            assert sum(call.cost_nano_usd for call in of_house) == step.house_nano_usd + sum(
                call.cost_nano_usd for call in late
            )
            # Rounded up once for those of the settlement, and for each that came after it.
            of_crash = [call for call in of_house if _lost_by_us(call)]
            together = sum(call.cost_nano_usd for call in of_crash if call not in late)
            assert crash.pop((step.run_id, step.step), 0) == RATE.credits_for(together) + sum(
                RATE.credits_for(call.cost_nano_usd) for call in of_crash if call in late
            )
        assert not crash

    @invariant()
    def nobody_sees_what_is_anothers(self) -> None:
        for user_id, run_id in self.accepted[-2:]:
            stranger = next(other for other in self.people if other != user_id)
            self.loop.run_until_complete(self._look(stranger, run_id))

    async def _look(self, stranger: UserId, run_id: RunId) -> None:
        project_id = self.world.database.tables.runs[run_id].run.project_id
        async with self.world.uow.begin(stranger) as tx:
            assert await tx.runs.get(run_id) is None
            assert await tx.projects.get(project_id) is None
            assert not await tx.runs.events(run_id, 0, 10)
            assert not await tx.tasks.of_run(run_id)
            assert not await tx.documents.latest(project_id)
            assert not await tx.ledger.held_steps(run_id)
            assert not await tx.calls.of_step(run_id, "idea")

    def teardown(self) -> None:
        try:
            if hasattr(self, "other"):
                self._bring_home()
        finally:
            for worker in self.workers:
                self.loop.run_until_complete(worker.kill())
            structlog.configure(**self.logging)
            write_codebase.BATCH_FILES = self.batch_files
            self.loop.close()

    def _bring_home(self) -> None:
        """With everything healthy again, all runs end and nobody's credits are missing."""
        self.faults.coming.clear()
        self.world.store.fail_next(0)
        self.model.failing.clear()
        self.model.free = True
        for gate in self.model.held:
            gate.set()
        tables = self.world.database.tables
        for _ in range(60):
            if not any(row.run.live for row in self.world.database.tables.runs.values()):
                break
            self.now(self.world.dispatcher())
            hints, self.world.queue.announced[:] = self.world.queue.announced[:], []
            for run_id in dict.fromkeys(hints):
                self._start(run_id)
            self.now(asyncio.sleep(3.0))
            self.clock.move(timedelta(seconds=20))
        tables = self.world.database.tables
        for user_id, run_id in self.accepted:
            assert not tables.runs[run_id].run.live
            assert tables.runs[run_id].run.user_id == user_id
        for check in (
            self.no_fault_is_ours,
            self.what_has_ended_stays_as_it_was,
            self.logs_count_from_one_and_tell_each_thing_once,
            self.a_finished_step_has_its_checkpoint,
            self.the_books_balance,
            self.no_run_may_come_to_more_than_its_cap,
            self.a_step_is_charged_what_its_calls_cost_if_it_succeeded,
            self.what_the_house_bears_of_a_settled_step_is_on_its_accounts,
        ):
            check()
        for user_id, balance in tables.balances.items():
            given = sum(
                entry.postings[1].amount
                for entry in tables.entries.values()
                if entry.kind == "grant" and entry.user_id == user_id
            )
            charged = sum(task.credits for task in tables.tasks.values() if task.user_id == user_id)
            assert balance.reserved == 0
            assert balance.available + charged == given

    def _run(self, which: int) -> tuple[UserId, RunId]:
        # The latest is the likeliest to be of interest.
        return self.accepted[-1 - which % len(self.accepted)]

    def _start(self, run_id: RunId, turns: int | None = None) -> None:
        world, connection = connected(self.world, self.faults)
        execute = world.worker(lease=LEASE, heartbeat=1.0)
        task = self.loop.create_task(_executing(execute, run_id))
        self.workers.append(Worker(run_id, connection, task))
        self.loop.run_until_complete(asyncio.sleep(INSTANT) if turns is None else _turns(turns))

    def _tasks(self, run_id: RunId) -> dict[str, AgentTask]:
        tasks = self.world.database.tables.tasks
        return {step: task for (of, step), task in tasks.items() if of == run_id}


def _lost_by_us(call: ModelCall) -> bool:
    """Whether a call of the house's came to nothing because a worker of ours ended."""
    return (
        call.borne_by is BorneBy.HOUSE
        and call.purpose not in MENDING
        and (call.state is not CallState.FAILED or call.failure == CUT_OFF)
    )


async def _executing(execute: ExecuteRun, run_id: RunId) -> None:
    # What a hint's handler raises ends that hint, and no more.
    with suppress(DatabaseUnavailable):
        await execute(run_id)


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


TestRuns = Runs.TestCase
_thorough = settings().max_examples > 100
TestRuns.settings = settings(
    max_examples=settings().max_examples if _thorough else settings().max_examples * 3 // 4,
    stateful_step_count=60 if _thorough else 25,
    suppress_health_check=list(HealthCheck),
)
