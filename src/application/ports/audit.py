"""The audit log: written with what it tells of, read, and never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from domain.audit.act import Act, AuditAction
from domain.audit.origin import Origin
from domain.shared.ids import UserId

NOBODY: Final = UserId(UUID(int=0))
"""Whose the entries are that are written before anybody is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An act as it is written down: its number, its moment, and whose record it is of.

    ``user_id`` is whose data was acted on, who need not be who acted.
    """

    number: int
    at: datetime
    user_id: UserId
    origin: Origin
    act: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries: of those with numbers below ``before``, the newest that fit.

    ``since`` is inclusive, ``until`` exclusive. ``actor`` is the account that acted, its keys
    among it; ``subject_id`` what was acted on.
    """

    limit: int
    before: int | None = None
    action: AuditAction | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor: UserId | None = None
    subject_id: str = ""


class AuditTrail(Protocol):
    """The transaction's person's part of the log."""

    async def record(self, origin: Origin, act: Act) -> None:
        """Write an act down. It is kept if the transaction is, and not otherwise.

        A transaction of nobody may record too.
        """
        ...

    async def entries(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """What was done on what is the person's, newest first."""
        ...


class AuditOversight(Protocol):
    """Everybody's part of the log, to be read only."""

    async def entries(
        self, query: AuditQuery, user_id: UserId | None = None
    ) -> Sequence[AuditEntry]:
        """The entries, newest first; of one person's record, if one is named.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...
