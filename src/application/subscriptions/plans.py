"""Plans: what is sold, and how an admin changes it without a deploy."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from domain.agents.artifacts import Mode
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.plans import Plan, checked
from domain.shared.ids import PlanId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlanVersion:
    """A plan as it is to be sold from now on; the fields are those of :class:`Plan`."""

    by: UserId
    origin: Origin
    code: str
    name: str
    description: str
    price_paise: int
    credits: int
    concurrent_runs: int
    modes: frozenset[Mode]
    exports: frozenset[str]
    retention_days: int | None
    per_seat: bool
    min_seats: int
    max_seats: int
    trial_days: int
    trial_credits: int
    on_sale: bool
    once: Completion[Plan] | None = None


@dataclass(frozen=True, slots=True)
class ListPlans:
    """Lists what is sold, to anybody; and every version, to admins."""

    uow: UnitOfWork

    async def __call__(self) -> Sequence[Plan]:
        """The newest version of each plan on sale, cheapest first."""
        async with self.uow.begin(None) as tx:
            return await tx.plans.offered()

    async def versions(self, page: Page, code: str = "") -> Sequence[Plan]:
        """Every version, newest first, of one plan if ``code`` names one."""
        async with self.uow.begin(None) as tx:
            return await tx.plans.versions(limit=page.limit, after=page.after, code=code)


@dataclass(frozen=True, slots=True)
class WritePlanVersion:
    """Writes a new version of a plan, or the first of a new one. No other is changed."""

    uow: UnitOfWork
    clock: Clock
    ids: IdMaker

    async def __call__(self, command: NewPlanVersion) -> Plan:
        """Keep the version. Who has bought an earlier one keeps that.

        Raises:
            InvalidValue: a field is out of its bounds.
            PlanChanged: somebody wrote a version in the meantime.
            KeyClaimLost: another request with the same key came first.
        """
        async with self.uow.begin(command.by) as tx:
            before = await tx.plans.current(command.code)
            plan = checked(
                Plan(
                    id=PlanId(self.ids.new()),
                    code=command.code,
                    version=before.version + 1 if before else 1,
                    name=command.name.strip(),
                    description=command.description.strip(),
                    price_paise=command.price_paise,
                    credits=command.credits,
                    concurrent_runs=command.concurrent_runs,
                    modes=command.modes,
                    exports=command.exports,
                    retention_days=command.retention_days,
                    per_seat=command.per_seat,
                    min_seats=command.min_seats,
                    max_seats=command.max_seats,
                    trial_days=command.trial_days,
                    trial_credits=command.trial_credits,
                    on_sale=command.on_sale,
                    created_at=self.clock.now(),
                )
            )
            await tx.plans.add(plan, by=command.by)
            await tx.audit.record(
                command.origin,
                acted(AuditAction.PLAN_WRITTEN, plan.id, before=before, after=plan),
            )
            if command.once is not None:
                await command.once.store(tx.idempotency, plan)
        return plan
