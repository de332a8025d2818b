"""Adjust somebody's credits with four eyes: one admin proposes, another decides."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.paging import Page
from application.ports.people import AdjustmentOversight, PeopleOversight
from application.ports.persistence import Transaction, UnitOfWork
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.adjustment import OPEN_FOR, Adjustment, AdjustmentStatus
from domain.billing.ledger import ClawBack, Grant, LotKind
from domain.shared.errors import NotFound
from domain.shared.ids import AdjustmentId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAdjustment:
    """Whose credits, how many (below 0 takes back), why, and who proposes it."""

    by: UserId
    origin: Origin
    user_id: UserId
    credits: int
    reason: str
    once: Completion[Adjustment] | None = None


@dataclass(frozen=True, slots=True)
class AdjustCredits:
    """Proposes, approves and rejects. An approval books in its own transaction, once."""

    uow: UnitOfWork
    oversight: AdjustmentOversight
    people: PeopleOversight
    clock: Clock
    ids: IdMaker

    async def __call__(
        self, page: Page, status: AdjustmentStatus | None = None
    ) -> Sequence[Adjustment]:
        """The page's adjustments, newest first."""
        return await self.oversight.adjustments(page, status)

    async def propose(self, command: NewAdjustment) -> Adjustment:
        """Keep a proposal. Nothing is booked.

        Raises:
            InvalidValue: no credits, too many, or no reason.
            NotFound: there is nobody with that id.
            KeyClaimLost: another request with the same key came first.
        """
        now = self.clock.now()
        adjustment = Adjustment(
            id=AdjustmentId(self.ids.new()),
            user_id=command.user_id,
            credits=command.credits,
            reason=command.reason.strip(),
            proposed_by=command.by,
            proposed_at=now,
            expires_at=now + OPEN_FOR,
        )
        if await self.people.person(command.user_id) is None:
            raise NotFound("user", command.user_id)
        async with self.uow.begin(command.user_id) as tx:
            await tx.adjustments.add(adjustment)
            await tx.audit.record(
                command.origin,
                acted(AuditAction.ADJUSTMENT_PROPOSED, adjustment.id, after=adjustment),
            )
            if command.once is not None:
                # The key is the admin's, the proposal the other person's: one transaction.
                async with tx.speaking_for(command.by) as theirs:
                    await command.once.store(theirs.idempotency, adjustment)
        return adjustment

    async def approve(
        self, by: UserId, adjustment_id: AdjustmentId, *, origin: Origin
    ) -> Adjustment:
        """Approve and book it.

        Raises:
            NotFound: there is no such adjustment.
            OwnProposal: who approves proposed it, or is to have it.
            AdjustmentDecided: it is decided already.
            AdjustmentExpired: its time is over.
        """
        async with self.uow.begin(await self._owner(adjustment_id)) as tx:
            before = await _locked(tx, adjustment_id)
            approved = before.approved(by, self.clock.now())
            await tx.adjustments.decide(approved)
            await _book(tx, approved)
            await tx.audit.record(
                origin,
                acted(
                    AuditAction.ADJUSTMENT_APPROVED, adjustment_id, before=before, after=approved
                ),
            )
        return approved

    async def reject(
        self, by: UserId, adjustment_id: AdjustmentId, *, origin: Origin
    ) -> Adjustment:
        """Reject it; who proposed it may, too.

        Raises:
            NotFound: there is no such adjustment.
            AdjustmentDecided: it is decided already.
        """
        async with self.uow.begin(await self._owner(adjustment_id)) as tx:
            before = await _locked(tx, adjustment_id)
            rejected = before.rejected(by, self.clock.now())
            await tx.adjustments.decide(rejected)
            await tx.audit.record(
                origin,
                acted(
                    AuditAction.ADJUSTMENT_REJECTED, adjustment_id, before=before, after=rejected
                ),
            )
        return rejected

    async def _owner(self, adjustment_id: AdjustmentId) -> UserId:
        found = await self.oversight.adjustment(adjustment_id)
        if found is None:
            raise NotFound("adjustment", adjustment_id)
        return found.user_id


async def _locked(tx: Transaction, adjustment_id: AdjustmentId) -> Adjustment:
    adjustment = await tx.adjustments.get(adjustment_id)
    if adjustment is None:
        raise NotFound("adjustment", adjustment_id)
    return adjustment


async def _book(tx: Transaction, adjustment: Adjustment) -> None:
    if adjustment.credits > 0:
        await tx.ledger.grant(
            Grant(
                user_id=adjustment.user_id,
                key=adjustment.key,
                credits=adjustment.credits,
                kind=LotKind.ADJUSTMENT,
                reference=adjustment.key,
            )
        )
    else:
        await tx.ledger.claw_back(
            ClawBack(user_id=adjustment.user_id, key=adjustment.key, credits=-adjustment.credits)
        )
