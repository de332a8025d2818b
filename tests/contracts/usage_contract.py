"""What every ``UsageRecords`` keeps: one row a settled step, and sums that are exact."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from application.ports.persistence import UnitOfWork
from application.ports.usage import (
    ExportPosition,
    SettledStep,
    UsageFilter,
    UsageGroup,
    UsageLine,
)
from domain.billing.days import Days, day_of
from domain.billing.usage import NO_USAGE, TokenUsage
from domain.projects.project import Project
from domain.shared.ids import ApiKeyId, ProjectId, RunId
from tests.contracts.keys_contract import keep_key
from tests.contracts.samples import all_at_once, keep_project, keep_user, new_id

USAGE = TokenUsage(input=900, output=400, cache_write=20, cache_read=10, cache_write_1h=5)
EVERYTHING = UsageFilter()


def make_step(project: Project, **changes: object) -> SettledStep:
    """A step of a run of its own."""
    step = SettledStep(
        user_id=project.user_id,
        project_id=project.id,
        run_id=RunId(new_id()),
        step="idea",
        mode=project.mode.value,
        model="model-a",
        charged=True,
        usage=USAGE,
        credits=52,
        cost_nano_usd=5_800_000,
        house_nano_usd=70_000,
        paise_per_usd=9_000,
        api_key_id=ApiKeyId(new_id()),
    )
    return replace(step, **changes)  # type: ignore[arg-type]  # checked by use


async def record(uow: UnitOfWork, *steps: SettledStep) -> None:
    """Keep each step in a transaction of its own, so that their moments differ."""
    for step in steps:
        async with uow.begin(step.user_id) as tx:
            await tx.usage.record(step)


async def lines(
    uow: UnitOfWork, project: Project, only: UsageFilter = EVERYTHING
) -> Sequence[UsageLine]:
    async with uow.begin(project.user_id) as tx:
        return await tx.usage.lines(only, after=None, limit=100)


class UsageContract:
    async def test_a_settled_step_comes_back_as_recorded(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        step = make_step(project)
        uncharged = make_step(
            project, charged=False, usage=NO_USAGE, credits=0, cost_nano_usd=0, api_key_id=None
        )
        await record(uow, step, uncharged)
        assert {line.step for line in await lines(uow, project)} == {step, uncharged}

    async def test_a_step_is_settled_for_its_person_once_it_is_recorded(
        self, uow: UnitOfWork
    ) -> None:
        step, stranger = make_step(await keep_project(uow)), await keep_user(uow)
        async with uow.begin(step.user_id) as tx:
            assert not await tx.usage.settled(step.run_id, step.step)
        await record(uow, step)
        async with uow.begin(step.user_id) as tx:
            assert await tx.usage.settled(step.run_id, step.step)
            assert not await tx.usage.settled(step.run_id, "srs")
        async with uow.begin(stranger.id) as tx:
            assert not await tx.usage.settled(step.run_id, step.step)

    async def test_a_step_is_recorded_once_whoever_comes_again(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        step = make_step(project)
        await all_at_once(8, lambda: record(uow, step))
        await record(uow, replace(step, credits=999))
        assert [line.step for line in await lines(uow, project)] == [step]

    async def test_nobody_sees_anothers_usage(self, uow: UnitOfWork) -> None:
        await record(uow, make_step(await keep_project(uow)))
        stranger = await keep_user(uow)
        async with uow.begin(stranger.id) as tx:
            assert list(await tx.usage.lines(EVERYTHING, after=None, limit=9)) == []
            total = await tx.usage.total(EVERYTHING)
            by_day = await tx.usage.sums(UsageGroup.DAY, EVERYTHING, after=None, limit=9)
        assert (total.steps, total.credits, total.usage) == (0, 0, NO_USAGE)
        assert list(by_day) == []

    async def test_usage_outlives_its_project(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        await record(uow, make_step(project))
        async with uow.begin(project.user_id) as tx:
            await tx.projects.delete(project.id)
            (by_project,) = await tx.usage.sums(UsageGroup.PROJECT, EVERYTHING, after=None, limit=9)
        assert (by_project.key, by_project.title) == (str(project.id), "")
        assert by_project.credits == 52

    async def test_sums_are_of_every_bucket_and_count_runs_once(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        first = make_step(project)
        await record(uow, first, replace(first, step="srs", credits=8), make_step(project))
        async with uow.begin(project.user_id) as tx:
            total = await tx.usage.total(EVERYTHING)
            (day,) = await tx.usage.sums(UsageGroup.DAY, EVERYTHING, after=None, limit=9)
        assert (total.steps, total.runs, total.credits) == (3, 2, 112)
        assert total.usage == USAGE + USAGE + USAGE
        assert total.cost_nano_usd == 3 * 5_800_000
        assert replace(day, key="") == total

    async def test_groups_come_in_pages_without_gap_or_repeat(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        projects = [await keep_project(uow, owner, title=f"Project {n}") for n in range(3)]
        for project in projects:
            for model in ("model-a", "model-b"):
                await record(uow, make_step(project, model=model))
        for by, keys in (
            (UsageGroup.PROJECT, sorted(str(project.id) for project in projects)),
            (UsageGroup.MODEL, ["model-a", "model-b"]),
        ):
            seen: list[str] = []
            after = None
            while True:
                async with uow.begin(owner.id) as tx:
                    page = await tx.usage.sums(by, EVERYTHING, after=after, limit=1)
                if not page:
                    break
                seen.append(page[0].key)
                after = page[0].key
            assert seen == keys
        async with uow.begin(owner.id) as tx:
            found = await tx.usage.sums(UsageGroup.PROJECT, EVERYTHING, after=None, limit=9)
        assert {ProjectId(UUID(one.key)): one.title for one in found} == {
            project.id: project.title for project in projects
        }

    async def test_usage_is_summed_by_key_and_what_none_asked_for_comes_first(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        project = await keep_project(uow, owner)
        keys = [await keep_key(uow, owner, name=f"Program {n}") for n in range(2)]
        gone = ApiKeyId(new_id())
        for key_id, credits in ((None, 5), (keys[0].id, 7), (keys[1].id, 11), (gone, 13)):
            await record(
                uow,
                make_step(project, api_key_id=key_id, credits=credits),
                make_step(project, api_key_id=key_id, credits=100),
            )
        expected = [
            ("", "", 105),
            (str(keys[0].id), "Program 0", 107),
            (str(keys[1].id), "Program 1", 111),
            (str(gone), "", 113),
        ]
        expected[1:] = sorted(expected[1:])
        seen: list[tuple[str, str, int]] = []
        after = None
        for _ in range(len(expected) + 1):
            async with uow.begin(owner.id) as tx:
                page = await tx.usage.sums(UsageGroup.KEY, EVERYTHING, after=after, limit=1)
            seen.extend((group.key, group.title, group.credits) for group in page)
            after = seen[-1][0]
        assert seen == expected

    async def test_nobody_learns_the_name_of_anothers_key(self, uow: UnitOfWork) -> None:
        project, anothers = await keep_project(uow), await keep_key(uow)
        await record(uow, make_step(project, api_key_id=anothers.id))
        async with uow.begin(project.user_id) as tx:
            (group,) = await tx.usage.sums(UsageGroup.KEY, EVERYTHING, after=None, limit=9)
        assert (group.key, group.title) == (str(anothers.id), "")

    async def test_only_the_days_and_the_project_asked_for_count(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        one, two = await keep_project(uow, owner), await keep_project(uow, owner)
        await record(uow, make_step(one), make_step(two, credits=7))
        today = day_of((await lines(uow, one))[0].at)
        day = timedelta(days=1)
        for only, credits in (
            (UsageFilter(days=Days(first=today, last=today)), 59),
            (UsageFilter(days=Days(first=today + day)), 0),
            (UsageFilter(days=Days(last=today - day)), 0),
            (UsageFilter(days=Days(last=today), project_id=two.id), 7),
        ):
            async with uow.begin(owner.id) as tx:
                assert (await tx.usage.total(only)).credits == credits
            assert sum(line.step.credits for line in await lines(uow, one, only)) == credits

    async def test_lines_are_read_on_from_any_of_them(self, uow: UnitOfWork) -> None:
        project = await keep_project(uow)
        steps = [make_step(project) for _ in range(5)]
        # Several at one moment: the place in the order is told by more than the time.
        async with uow.begin(project.user_id) as tx:
            for step in steps:
                await tx.usage.record(step)
        seen: list[UsageLine] = []
        after = None
        while True:
            async with uow.begin(project.user_id) as tx:
                page = await tx.usage.lines(EVERYTHING, after=after, limit=2)
            if not page:
                break
            seen.extend(page)
            last = page[-1]
            after = ExportPosition(at=last.at, run_id=last.step.run_id, step=last.step.step)
        assert [line.step for line in seen] == sorted(steps, key=lambda step: step.run_id)
