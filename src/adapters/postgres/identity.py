"""People."""

from typing import Any

from sqlalchemy import Executable, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.constraints import violated
from adapters.postgres.tables import users
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

_NAMING = text("SELECT set_config('app.email', :email, true)")
_STANDING = text(
    "SELECT set_user_standing(CAST(:me AS uuid), CAST(:by AS uuid), CAST(:role AS text),"
    " CAST(:active AS boolean))"
)


class PostgresUsers:
    """The ``UserRepository`` of one transaction."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._me = users.c.id == user_id

    async def add(self, user: User) -> None:
        try:
            await self._connection.execute(
                insert(users).values(
                    id=user.id,
                    email=user.email,
                    name=user.name,
                    password=user.password_hash,
                    role=user.role,
                    is_active=user.is_active,
                    created_at=user.created_at,
                    email_verified_at=user.email_verified_at,
                )
            )
        except IntegrityError as error:
            if violated(error) == "users_email_key":
                raise EmailTaken(
                    "An account with this email exists. Sign in instead.", field="email"
                ) from error
            raise

    async def get(self, user_id: UserId) -> User | None:
        rows = await self._connection.execute(select(users).where(users.c.id == user_id, self._me))
        row = rows.one_or_none()
        return None if row is None else user_of(row)

    async def by_email(self, email: str) -> User | None:
        # The policy shows whoever names an email its one row, for this statement alone.
        await self._connection.execute(_NAMING, {"email": email})
        rows = await self._connection.execute(select(users).where(users.c.email == email))
        await self._connection.execute(_NAMING, {"email": ""})
        row = rows.one_or_none()
        return None if row is None else user_of(row)

    async def set_email(self, user_id: UserId, email: str) -> None:
        try:
            await self._connection.execute(
                update(users)
                .where(users.c.id == user_id, self._me)
                .values(email=email, email_verified_at=func.now())
            )
        except IntegrityError as error:
            if violated(error) == "users_email_key":
                raise EmailTaken("An account with this email exists.", field="email") from error
            raise

    async def keep_an_admin(self, user_id: UserId) -> None:
        await self._leaving(select(func.keep_an_admin(user_id)))

    async def erase(self, user_id: UserId) -> None:
        await self._leaving(
            update(users)
            .where(users.c.id == user_id, self._me)
            .values(
                email=left_address(user_id),
                name="Deleted account",
                password="",
                is_active=False,
                email_verified_at=None,
            )
        )

    async def _leaving(self, statement: Executable) -> None:
        try:
            await self._connection.execute(statement)
        except DBAPIError as error:
            if violated(error) == "users_last_admin":
                raise LastAdmin from error
            raise

    async def set_password_hash(self, user_id: UserId, password_hash: str) -> None:
        await self._connection.execute(
            update(users).where(users.c.id == user_id, self._me).values(password=password_hash)
        )

    async def set_standing(
        self, by: UserId, *, role: Role | None = None, is_active: bool | None = None
    ) -> User:
        try:
            await self._connection.execute(
                _STANDING, {"me": self._user_id, "by": by, "role": role, "active": is_active}
            )
        except DBAPIError as error:
            match violated(error):
                case "users_own_standing":
                    raise OwnStanding from error
                case "users_last_admin":
                    raise LastAdmin from error
                case "users_changed_by_admin":
                    raise PermissionDenied("Your role lets you do this no more.") from error
            raise
        user = await self.get(self._user_id)
        if user is None:
            raise NotFound("user", self._user_id)
        return user


def user_of(row: Any) -> User:
    """A person from their row."""
    return User(
        id=UserId(row.id),
        email=row.email,
        name=row.name,
        password_hash=row.password,
        role=Role(row.role),
        is_active=row.is_active,
        created_at=row.created_at,
        session_version=row.session_version,
        email_verified_at=row.email_verified_at,
    )
