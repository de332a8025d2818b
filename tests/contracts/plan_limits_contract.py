"""What claims keep of the plans people have: how many of their runs go on at once."""

from datetime import UTC, datetime, timedelta

from application.ports.claims import RunClaims
from application.ports.persistence import UnitOfWork
from domain.billing.plans import FREE
from domain.shared.ids import SubscriptionId
from tests.contracts.samples import LONG_LEASE, keep_project, keep_run, keep_user, new_id
from tests.contracts.subscriptions_contract import plan_of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


class PlanLimitsContract:
    async def test_somebody_without_a_plan_has_frees_runs(
        self, uow: UnitOfWork, claims_by_plan: RunClaims
    ) -> None:
        assert (
            await self._claimed(uow, claims_by_plan, None)
            == (await plan_of(uow, FREE)).concurrent_runs
        )

    async def test_a_plan_that_lasts_gives_its_runs(
        self, uow: UnitOfWork, claims_by_plan: RunClaims
    ) -> None:
        pro = await plan_of(uow)
        assert pro.concurrent_runs > (await plan_of(uow, FREE)).concurrent_runs
        assert await self._claimed(uow, claims_by_plan, FAR) == pro.concurrent_runs

    async def test_a_plan_that_is_over_gives_none(
        self, uow: UnitOfWork, claims_by_plan: RunClaims
    ) -> None:
        over = LONG_AGO + timedelta(days=1)
        assert (
            await self._claimed(uow, claims_by_plan, over)
            == (await plan_of(uow, FREE)).concurrent_runs
        )

    async def _claimed(self, uow: UnitOfWork, claims: RunClaims, until: datetime | None) -> int:
        """Of eight runs of one person with Pro until then, how many are held at once.

        As many are announced, too: whoever is announced finds room.
        """
        owner = await keep_user(uow)
        if until is not None:
            pro = await plan_of(uow)
            async with uow.begin(owner.id) as tx:
                await tx.entitlements.put(SubscriptionId(new_id()), pro.id, until, LONG_AGO)
        runs = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(8)]
        mine = {run.id for run in runs}
        announced = [run for run in await claims.due(10_000) if run in mine]
        await claims.put_off(announced, LONG_LEASE)
        held = [await claims.claim(run.id, LONG_LEASE) for run in runs]
        count = sum(claim is not None for claim in held)
        assert len(announced) == count
        return count
