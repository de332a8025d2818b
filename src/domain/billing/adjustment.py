"""Adjustments of a person's credits, made by two: one proposes, another decides."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.shared.errors import Conflict, DomainError, InvalidValue
from domain.shared.ids import AdjustmentId, UserId

OPEN_FOR = timedelta(days=7)
"""After so long without a decision a proposal cannot be approved any more."""

MAX_CREDITS = 100_000_000
"""Either way: a million rupees, more than any mistake that this is meant to mend."""

MAX_REASON_LENGTH = 500


class AdjustmentStatus(StrEnum):
    """What has become of a proposal."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


class OwnProposal(DomainError):
    """Who proposed an adjustment, or is to have it, cannot approve it."""

    code = "own_proposal"


class AdjustmentDecided(Conflict):
    """Somebody has decided on it before."""

    code = "adjustment_decided"


class AdjustmentExpired(Conflict):
    """Nobody decided on it in time."""

    code = "adjustment_expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Credits to be given (above 0) or taken back (below) from ``user_id``, and why.

    Raises:
        InvalidValue: no credits, too many, or no reason.
    """

    id: AdjustmentId
    user_id: UserId
    credits: int
    reason: str
    proposed_by: UserId
    proposed_at: datetime
    expires_at: datetime
    status: AdjustmentStatus = AdjustmentStatus.PROPOSED
    decided_by: UserId | None = None
    decided_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 0 < abs(self.credits) <= MAX_CREDITS:
            raise InvalidValue("credits", f"Give 1 to {MAX_CREDITS} credits, or as many below 0.")
        if not 1 <= len(self.reason.strip()) <= MAX_REASON_LENGTH:
            raise InvalidValue("reason", f"Say why, in 1 to {MAX_REASON_LENGTH} characters.")

    @property
    def key(self) -> str:
        """What it is booked under, once."""
        return f"adjustment:{self.id}"

    def approved(self, by: UserId, now: datetime) -> "Adjustment":
        """Approved by another than who proposed it and whose credits they are.

        Raises:
            OwnProposal: by one of those two.
            AdjustmentDecided: it is decided already.
            AdjustmentExpired: its time is over.
        """
        if by in (self.proposed_by, self.user_id):
            raise OwnProposal(
                "Another admin has to approve this: not who proposed it, nor for whom."
            )
        self._require_open()
        if now >= self.expires_at:
            raise AdjustmentExpired("Nobody decided on this in time. Propose it anew.")
        return self._decided(AdjustmentStatus.APPROVED, by, now)

    def rejected(self, by: UserId, now: datetime) -> "Adjustment":
        """Rejected, or taken back by who proposed it.

        Raises:
            AdjustmentDecided: it is decided already.
        """
        self._require_open()
        return self._decided(AdjustmentStatus.REJECTED, by, now)

    def _require_open(self) -> None:
        if self.status is not AdjustmentStatus.PROPOSED:
            raise AdjustmentDecided(f"This adjustment is {self.status} already.")

    def _decided(self, status: AdjustmentStatus, by: UserId, now: datetime) -> "Adjustment":
        return replace(self, status=status, decided_by=by, decided_at=now)
