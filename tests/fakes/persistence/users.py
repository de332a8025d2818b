"""People, in memory."""

from dataclasses import replace

from application.ports.users import UserRepository
from domain.identity.user import (
    EmailTaken,
    LastAdmin,
    OwnStanding,
    PermissionDenied,
    Role,
    User,
    left_address,
)
from domain.shared.errors import NotFound
from domain.shared.ids import UserId
from tests.fakes.persistence.database import Session, TransactionRefused


class InMemoryUsers(UserRepository):
    """The session's own person, and whoever is named by their email."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, user: User) -> None:
        self._session.require_own(user.id)
        if await self.by_email(user.email) is not None:
            raise self._session.refused(EmailTaken("An account with this email exists already."))
        if user.id in self._session.tables.users:
            raise self._session.refused(TransactionRefused("a user has this id already"))
        self._session.tables.users[user.id] = user

    async def get(self, user_id: UserId) -> User | None:
        return self._session.tables.users.get(user_id) if user_id == self._session.owner else None

    async def by_email(self, email: str) -> User | None:
        people = self._session.tables.users.values()
        return next((user for user in people if user.email == email), None)

    async def set_email(self, user_id: UserId, email: str) -> None:
        user, other = await self.get(user_id), await self.by_email(email)
        if other is not None and other.id != user_id:
            raise self._session.refused(EmailTaken("An account with this email exists already."))
        if user is not None and user_id == self._session.tenant:
            self._session.tables.users[user_id] = replace(
                user, email=email, email_verified_at=self._session.now
            )

    async def keep_an_admin(self, user_id: UserId) -> None:
        others = [
            user
            for user in self._session.tables.users.values()
            if user.role is Role.ADMIN and user.is_active and user.id != user_id
        ]
        if not others:
            raise self._session.refused(LastAdmin())

    async def erase(self, user_id: UserId) -> None:
        user = await self.get(user_id)
        if user is not None and user_id == self._session.tenant:
            if user.role is Role.ADMIN and user.is_active:
                await self.keep_an_admin(user_id)
            self._session.tables.users[user_id] = replace(
                user,
                email=left_address(user_id),
                name="Deleted account",
                password_hash="",
                is_active=False,
                email_verified_at=None,
            )

    async def set_standing(
        self, by: UserId, *, role: Role | None = None, is_active: bool | None = None
    ) -> User:
        people, me = self._session.tables.users, self._session.tenant
        admin = people.get(by)
        if by == me:
            raise self._session.refused(OwnStanding())
        if admin is None or not admin.is_active or admin.role is not Role.ADMIN:
            raise self._session.refused(PermissionDenied("Your role lets you do this no more."))
        if me not in people:
            raise NotFound("user", me)
        before = people[me]
        people[me] = replace(
            before,
            role=before.role if role is None else role,
            is_active=before.is_active if is_active is None else is_active,
        )
        return people[me]

    async def set_password_hash(self, user_id: UserId, password_hash: str) -> None:
        user = await self.get(user_id)
        if user is not None and user_id == self._session.tenant:
            changed = replace(user, password_hash=password_hash)
            self._session.tables.users[user_id] = changed
