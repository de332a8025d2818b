"""What is short-lived is forgotten: every such table has its sweep, and loses nothing but that."""

from datetime import UTC, datetime, timedelta

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.sessions import PostgresOldSessions
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.identity.delete_old_sessions import DeleteOldSessions
from domain.identity.second_factor import Challenge
from domain.identity.session import SignInMethod
from tests.contracts.samples import keep_user


async def digests(superuser_url: str, user_id: object) -> set[str]:
    connection = await asyncpg.connect(superuser_url)
    try:
        rows = await connection.fetch(
            "SELECT digest FROM sign_in_challenges WHERE user_id = $1", user_id
        )
    finally:
        await connection.close()
    return {row["digest"] for row in rows}


async def test_a_sign_in_that_waited_in_vain_is_forgotten(
    postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine, superuser_url: str
) -> None:
    user, now = await keep_user(postgres_uow), datetime.now(UTC)
    for age in (timedelta(hours=2), timedelta(minutes=30), timedelta(minutes=-3)):
        challenge = Challenge(
            user_id=user.id,
            version=1,
            methods=frozenset({SignInMethod.PASSWORD}),
            expires_at=now + timedelta(minutes=5),
        )
        async with postgres_uow.begin(user.id) as tx:
            await tx.challenges.open(challenge, f"{user.id}:{age}")
    connection = await asyncpg.connect(superuser_url)
    for age in (timedelta(hours=2), timedelta(minutes=30)):
        await connection.execute(
            "UPDATE sign_in_challenges SET expires_at = now() - $1::interval WHERE digest = $2",
            age,
            f"{user.id}:{age}",
        )
    await connection.close()
    forget = DeleteOldSessions(PostgresOldSessions(dispatch_engine))
    assert await forget() >= 1
    while await forget():
        pass
    left = await digests(superuser_url, user.id)
    assert left == {f"{user.id}:{timedelta(minutes=30)}", f"{user.id}:{timedelta(minutes=-3)}"}
    async with dispatch_engine.connect() as connection_:
        # What can still be met is not even seen.
        seen = await connection_.execute(text("SELECT digest FROM sign_in_challenges"))
        assert not {row.digest for row in seen} & left
