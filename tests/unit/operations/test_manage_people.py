"""Roles, suspension and adjustments: what holds, what is told, and what is booked once."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from application.operations.adjust_credits import AdjustCredits, NewAdjustment
from application.operations.manage_people import ManagePeople
from application.ports.audit import AuditQuery
from application.ports.idempotency import Completion, KeyClaim, KeyClaimLost, StoredReply
from application.ports.paging import Page
from application.runs.cancel_run import CancelRun
from domain.audit.act import AuditAction
from domain.billing.adjustment import (
    OPEN_FOR,
    Adjustment,
    AdjustmentDecided,
    AdjustmentExpired,
    AdjustmentStatus,
    OwnProposal,
)
from domain.identity.user import OwnStanding, Role, User
from domain.projects.run import RunStatus
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.idempotency import IdempotencyKey
from domain.shared.ids import UserId
from tests.contracts.samples import ORIGIN, keep_project, keep_run, keep_user, new_id
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.keys import InMemoryKeyChanges
from tests.fakes.live import InMemoryLiveUpdates
from tests.fakes.persistence import InMemoryDatabase, InMemoryPeopleOversight, InMemoryUnitOfWork
from tests.fakes.queue import RecordingJobQueue


@dataclass(slots=True)
class Office:
    """Two admins, somebody else, and what they work with."""

    uow: InMemoryUnitOfWork
    clock: MovableClock
    changes: InMemoryKeyChanges
    people: ManagePeople
    credits: AdjustCredits
    admin: User
    other: User
    user: User

    async def acts(self) -> list[AuditAction]:
        async with self.uow.begin(self.user.id) as tx:
            return [each.act.action for each in await tx.audit.entries(AuditQuery(limit=50))]

    async def available(self) -> int:
        async with self.uow.begin(self.user.id) as tx:
            return (await tx.ledger.balance(self.user.id)).available

    async def proposed(self, credits: int = 500, user: User | None = None) -> Adjustment:
        return await self.credits.propose(
            NewAdjustment(
                by=self.admin.id,
                origin=ORIGIN,
                user_id=(user or self.user).id,
                credits=credits,
                reason="A run that we had broken.",
            )
        )

    async def approved(self, adjustment: Adjustment, by: User) -> Adjustment:
        return await self.credits.approve(by.id, adjustment.id, origin=ORIGIN)


@pytest.fixture
async def office() -> Office:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    uow, changes = InMemoryUnitOfWork(database), InMemoryKeyChanges()
    oversight = InMemoryPeopleOversight(database)
    cancel = CancelRun(uow, InMemoryLiveUpdates(), clock, RecordingJobQueue())
    return Office(
        uow=uow,
        clock=clock,
        changes=changes,
        people=ManagePeople(uow, changes, cancel),
        credits=AdjustCredits(uow, oversight, oversight, clock, CountingIds()),
        admin=await keep_user(uow, role=Role.ADMIN),
        other=await keep_user(uow, role=Role.ADMIN),
        user=await keep_user(uow, credits=1_000),
    )


async def test_a_new_role_is_told_to_every_process_and_to_the_log(office: Office) -> None:
    user = await office.people.set_role(
        office.admin.id, office.user.id, Role.PARTNER, origin=ORIGIN
    )
    assert user.role is Role.PARTNER
    assert office.changes.announced == [office.user.id]
    assert await office.acts() == [AuditAction.ROLE_CHANGED]


async def test_the_same_role_again_changes_nothing(office: Office) -> None:
    await office.people.set_role(office.admin.id, office.user.id, Role.MEMBER, origin=ORIGIN)
    assert await office.acts() == []


async def test_nobody_changes_their_own_standing(office: Office) -> None:
    with pytest.raises(OwnStanding):
        await office.people.set_role(office.admin.id, office.admin.id, Role.MEMBER, origin=ORIGIN)
    with pytest.raises(OwnStanding):
        await office.people.suspend(office.admin.id, office.admin.id, "tired", origin=ORIGIN)


async def test_who_is_suspended_has_their_live_runs_stopped(office: Office) -> None:
    run = await keep_run(office.uow, await keep_project(office.uow, office.user))
    user = await office.people.suspend(office.admin.id, office.user.id, " abuse ", origin=ORIGIN)
    assert not user.is_active
    assert office.changes.announced == [office.user.id]
    async with office.uow.begin(office.user.id) as tx:
        stopped = await tx.runs.get(run.id)
        (entry,) = await tx.audit.entries(AuditQuery(limit=5))
    assert stopped is not None and stopped.status is RunStatus.CANCELLED
    assert entry.act.before == {"is_active": True}
    assert entry.act.after == {"is_active": False, "reason": "abuse"}


async def test_who_is_reinstated_may_act_again(office: Office) -> None:
    await office.people.suspend(office.admin.id, office.user.id, "abuse", origin=ORIGIN)
    user = await office.people.reinstate(office.admin.id, office.user.id, "a mix-up", origin=ORIGIN)
    assert user.is_active
    assert await office.acts() == [AuditAction.REINSTATED, AuditAction.SUSPENDED]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
async def test_a_suspension_has_a_reason(office: Office, reason: str) -> None:
    with pytest.raises(InvalidValue, match="Say why"):
        await office.people.suspend(office.admin.id, office.user.id, reason, origin=ORIGIN)


async def test_there_is_nobody_with_an_unknown_id(office: Office) -> None:
    nobody = UserId(new_id())
    with pytest.raises(NotFound):
        await office.people.set_role(office.admin.id, nobody, Role.ADMIN, origin=ORIGIN)
    with pytest.raises(NotFound):
        await office.people.suspend(office.admin.id, nobody, "abuse", origin=ORIGIN)


@pytest.mark.parametrize(("credits", "left"), [(500, 1_500), (-400, 600), (-1_200, 0)])
async def test_what_another_approves_is_booked(office: Office, credits: int, left: int) -> None:
    proposed = await office.proposed(credits)
    assert await office.available() == 1_000
    approved = await office.approved(proposed, office.other)
    assert (approved.status, approved.decided_by) == (AdjustmentStatus.APPROVED, office.other.id)
    assert await office.available() == left
    assert await office.acts() == [
        AuditAction.ADJUSTMENT_APPROVED,
        AuditAction.ADJUSTMENT_PROPOSED,
    ]


async def test_who_proposes_does_not_approve(office: Office) -> None:
    proposed = await office.proposed()
    with pytest.raises(OwnProposal):
        await office.approved(proposed, office.admin)
    assert await office.available() == 1_000


async def test_nobody_approves_their_own_credits(office: Office) -> None:
    proposed = await office.proposed(user=office.other)
    with pytest.raises(OwnProposal):
        await office.approved(proposed, office.other)


async def test_a_proposal_whose_key_was_lost_meanwhile_is_not_kept(office: Office) -> None:
    async with office.uow.begin(office.admin.id) as tx:
        claim = await tx.idempotency.claim(
            IdempotencyKey("a-key"), "a" * 64, lease_seconds=60, keep_seconds=600
        )
    assert isinstance(claim, KeyClaim)
    reply = StoredReply(status=201, headers={}, body=b"{}")
    command = NewAdjustment(
        by=office.admin.id,
        origin=ORIGIN,
        user_id=office.user.id,
        credits=500,
        reason="A run that we had broken.",
        once=Completion(claim, lambda _: reply),
    )
    await office.credits.propose(command)
    assert len(await office.credits(Page(limit=10))) == 1
    with pytest.raises(KeyClaimLost):
        await office.credits.propose(command)
    assert len(await office.credits(Page(limit=10))) == 1
    assert await office.acts() == [AuditAction.ADJUSTMENT_PROPOSED]


async def test_many_approvals_at_once_book_once(office: Office) -> None:
    proposed = await office.proposed()
    results = await asyncio.gather(
        *(office.approved(proposed, office.other) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(each, AdjustmentDecided) for each in results) == 7
    assert await office.available() == 1_500


async def test_what_is_rejected_or_too_old_is_not_booked(office: Office) -> None:
    rejected, old = await office.proposed(), await office.proposed()
    await office.credits.reject(office.admin.id, rejected.id, origin=ORIGIN)
    with pytest.raises(AdjustmentDecided):
        await office.approved(rejected, office.other)
    office.clock.move(OPEN_FOR + timedelta(seconds=1))
    with pytest.raises(AdjustmentExpired):
        await office.approved(old, office.other)
    assert await office.available() == 1_000


async def test_a_proposal_is_for_somebody_of_some_credits_and_for_a_reason(office: Office) -> None:
    with pytest.raises(InvalidValue) as refusal:
        await office.proposed(0)
    assert refusal.value.field == "credits"
    with pytest.raises(NotFound):
        await office.credits.propose(
            NewAdjustment(
                by=office.admin.id,
                origin=ORIGIN,
                user_id=UserId(new_id()),
                credits=1,
                reason="because",
            )
        )
