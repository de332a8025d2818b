"""What an admin sees of people, and may do about them: their role, and whether they may act."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.keys import KeyChanges
from application.ports.people import PeopleOversight, PeopleQuery, PersonSummary
from application.ports.persistence import UnitOfWork
from application.runs.cancel_run import CancelRun
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.session import SessionEnd
from domain.identity.user import Role, User
from domain.projects.run import RunNotLive
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import UserId

MAX_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class OverseePeople:
    """Finds people, and shows one."""

    oversight: PeopleOversight

    async def __call__(self, query: PeopleQuery) -> Sequence[PersonSummary]:
        """The page's people, newest first."""
        return await self.oversight.people(query)

    async def show(self, user_id: UserId) -> PersonSummary:
        """One of them.

        Raises:
            NotFound: there is nobody with that id.
        """
        found = await self.oversight.person(user_id)
        if found is None:
            raise NotFound("user", user_id)
        return found


@dataclass(frozen=True, slots=True)
class ManagePeople:
    """Changes roles, suspends and reinstates. It holds for every call from then on.

    Keys and sessions are told as a revocation is. The live runs of who is suspended are asked
    to stop: nobody is there to be charged for what they would still make.
    """

    uow: UnitOfWork
    changes: KeyChanges
    cancel: CancelRun

    async def set_role(self, by: UserId, user_id: UserId, role: Role, *, origin: Origin) -> User:
        """Give somebody another role.

        Raises:
            NotFound: there is nobody with that id.
            OwnStanding: nobody changes their own role.
            PermissionDenied: who asks is no admin any more.
        """
        async with self.uow.begin(user_id) as tx:
            before = await tx.users.get(user_id)
            if before is None:
                raise NotFound("user", user_id)
            user = await tx.users.set_standing(by, role=role)
            if user != before:
                await tx.audit.record(
                    origin, acted(AuditAction.ROLE_CHANGED, user_id, before=before, after=user)
                )
        await self.changes.announce(user_id)
        return user

    async def suspend(self, by: UserId, user_id: UserId, reason: str, *, origin: Origin) -> User:
        """Keep somebody from doing anything, and stop what runs for them.

        Raises:
            NotFound: there is nobody with that id.
            InvalidValue: no reason.
            OwnStanding: nobody suspends themselves.
            PermissionDenied: who asks is no admin any more.
        """
        user = await self._switch(by, user_id, False, reason, origin)
        async with self.uow.begin(user_id) as tx:
            live = await tx.runs.live_ids()
        for run_id in live:
            try:
                await self.cancel(user_id, run_id)
            except RunNotLive:
                continue  # it ended by itself meanwhile
        return user

    async def reinstate(self, by: UserId, user_id: UserId, reason: str, *, origin: Origin) -> User:
        """Let somebody act again. What was stopped stays so.

        Raises:
            NotFound: there is nobody with that id.
            InvalidValue: no reason.
            OwnStanding: nobody reinstates themselves.
            PermissionDenied: who asks is no admin any more.
        """
        return await self._switch(by, user_id, True, reason, origin)

    async def _switch(
        self, by: UserId, user_id: UserId, active: bool, reason: str, origin: Origin
    ) -> User:
        if not 1 <= len(reason.strip()) <= MAX_REASON_LENGTH:
            raise InvalidValue("reason", f"Say why, in 1 to {MAX_REASON_LENGTH} characters.")
        action = AuditAction.REINSTATED if active else AuditAction.SUSPENDED
        async with self.uow.begin(user_id) as tx:
            before = await tx.users.get(user_id)
            if before is None:
                raise NotFound("user", user_id)
            user = await tx.users.set_standing(by, is_active=active)
            if user.is_active != before.is_active:
                await tx.sessions.end_all(SessionEnd.BY_OPERATOR)
                await tx.audit.record(
                    origin,
                    acted(
                        action,
                        user_id,
                        before={"is_active": before.is_active},
                        after={"is_active": user.is_active, "reason": reason.strip()},
                    ),
                )
        # Also when it was so before: an announcement may have been lost.
        await self.changes.announce(user_id)
        return user
