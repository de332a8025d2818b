"""One active admin is always left, whoever leaves, is demoted or suspended at the same moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.constraints import violated
from adapters.postgres.engine import open_engine
from adapters.postgres.oversight import grant_role, switch_person
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.ports.audit import AuditQuery
from domain.audit.act import AuditAction
from domain.audit.origin import Origin
from domain.identity.user import LastAdmin, PermissionDenied, Role, User
from entrypoints.local_stack import StackAddresses
from tests.contracts.samples import keep_user
from tests.integration.databases import own_database

OPERATOR = Origin.of_operator("tests")


@pytest.fixture(scope="module")
async def alone(stack: StackAddresses, superuser_url: str) -> AsyncIterator[tuple[str, str]]:
    """A database in which nobody else is an admin: for its owner, and for ``bb_app``."""
    async with own_database(stack, superuser_url) as own:
        yield own.database_owner_url or "", own.database_url or ""


@pytest.fixture
def owner_url(alone: tuple[str, str]) -> str:
    return alone[0]


@pytest.fixture
async def engine(alone: tuple[str, str]) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(alone[1], pool_size=8, application="tests")
    yield engine
    await engine.dispose()


@pytest.fixture
def uow(engine: AsyncEngine) -> PostgresUnitOfWork:
    return PostgresUnitOfWork(engine)


@pytest.fixture
async def admins(owner_url: str, uow: PostgresUnitOfWork) -> tuple[User, User]:
    """The only two."""
    owner = open_engine(owner_url, pool_size=1, application="tests")
    async with owner.begin() as connection:
        await connection.execute(text("SELECT set_config('app.operator', 'on', true)"))
        await connection.execute(text("ALTER TABLE users DISABLE TRIGGER users_keep_an_admin"))
        await connection.execute(text("UPDATE users SET role = 'member'"))
        await connection.execute(text("ALTER TABLE users ENABLE TRIGGER users_keep_an_admin"))
    await owner.dispose()
    return await keep_user(uow, role=Role.ADMIN), await keep_user(uow, role=Role.ADMIN)


async def leave(uow: PostgresUnitOfWork, user: User) -> None:
    """As an account is deleted."""
    async with uow.begin(user.id) as tx:
        await tx.users.keep_an_admin(user.id)
        await tx.users.erase(user.id)


async def active_admins(uow: PostgresUnitOfWork, *admins: User) -> int:
    found = 0
    for admin in admins:
        async with uow.begin(admin.id) as tx:
            user = await tx.users.get(admin.id)
        found += user is not None and user.is_active and user.role is Role.ADMIN
    return found


async def test_of_two_that_leave_at_once_one_stays(
    uow: PostgresUnitOfWork, admins: tuple[User, User]
) -> None:
    left = await asyncio.gather(*(leave(uow, each) for each in admins), return_exceptions=True)
    assert sorted(type(each) for each in left if each is not None) == [LastAdmin]
    assert await active_admins(uow, *admins) == 1


async def test_of_one_that_leaves_and_one_that_is_demoted_by_them_one_stays(
    uow: PostgresUnitOfWork, admins: tuple[User, User]
) -> None:
    leaving, demoted = admins

    async def demote() -> None:
        async with uow.begin(demoted.id) as tx:
            await tx.users.set_standing(leaving.id, role=Role.MEMBER)

    outcomes = await asyncio.gather(leave(uow, leaving), demote(), return_exceptions=True)
    assert [type(each) for each in outcomes if each is not None] in (
        [LastAdmin],
        [PermissionDenied],
    )
    assert await active_admins(uow, *admins) == 1


async def test_of_two_that_demote_one_another_one_stays(
    uow: PostgresUnitOfWork, admins: tuple[User, User]
) -> None:
    async def suspend(by: User, whom: User) -> None:
        async with uow.begin(whom.id) as tx:
            await tx.users.set_standing(by.id, is_active=False)

    one, other = admins
    outcomes = await asyncio.gather(
        suspend(one, other), suspend(other, one), return_exceptions=True
    )
    assert [type(each) for each in outcomes if each is not None] == [PermissionDenied]
    assert await active_admins(uow, *admins) == 1


async def test_at_the_command_line_too(
    uow: PostgresUnitOfWork, owner_url: str, admins: tuple[User, User]
) -> None:
    one, other = admins
    outcomes = await asyncio.gather(
        grant_role(owner_url, one.email, Role.MEMBER, OPERATOR),
        switch_person(owner_url, other.email, False, "a test", OPERATOR),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes if isinstance(each, Exception)] == [LastAdmin]
    assert await active_admins(uow, *admins) == 1


async def test_no_statement_goes_past_it(
    engine: AsyncEngine, owner_url: str, admins: tuple[User, User]
) -> None:
    last, other = admins
    assert await grant_role(owner_url, other.email, Role.MEMBER, OPERATOR) == other.id
    async with engine.connect() as connection:
        await connection.execute(
            text("SELECT set_config('app.user_id', :me, true)"), {"me": str(last.id)}
        )
        with pytest.raises(DBAPIError) as refused:
            await connection.execute(
                text("UPDATE users SET is_active = false WHERE id = :me"), {"me": last.id}
            )
    assert violated(refused.value) == "users_last_admin"


async def test_who_is_suspended_by_an_operator_is_signed_out_for_good(
    uow: PostgresUnitOfWork, owner_url: str, admins: tuple[User, User]
) -> None:
    person = await keep_user(uow)
    assert await switch_person(owner_url, person.email, False, "abuse", OPERATOR) == person.id
    assert await switch_person(owner_url, person.email, True, "a mix-up", OPERATOR) == person.id
    async with uow.begin(person.id) as tx:
        user = await tx.users.get(person.id)
        entries = await tx.audit.entries(AuditQuery(limit=10))
    assert user is not None
    assert (user.is_active, user.session_version) == (True, person.session_version + 2)
    assert [entry.act.action for entry in entries] == [
        AuditAction.REINSTATED,
        AuditAction.SUSPENDED,
    ]
    assert entries[1].act.after == {"is_active": False, "reason": "abuse"}
    assert await switch_person(owner_url, "nobody@example.org", False, "x", OPERATOR) is None
