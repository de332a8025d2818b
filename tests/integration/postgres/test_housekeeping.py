"""What is short-lived is forgotten: every such table has its sweep, and loses nothing but that."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.mail import PostgresMailQueue
from adapters.postgres.sessions import PostgresOldSessions
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.identity.delete_old_sessions import DeleteOldSessions
from application.identity.deliver_mail import ForgetMail
from domain.identity.mail import Link, LinkPurpose, MailKind
from domain.identity.second_factor import Challenge
from domain.identity.session import SignInMethod
from tests.contracts.samples import keep_session, keep_user, new_id


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


async def test_old_mail_and_links_are_forgotten_and_no_others(
    postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine, superuser_url: str
) -> None:
    user = await keep_user(postgres_uow)
    mails = {age: new_id() for age in (31, 29, 0)}
    async with postgres_uow.begin(user.id) as tx:
        for mail_id in mails.values():
            await tx.mails.add(mail_id, MailKind.NOTICE, b"sealed", user_id=user.id)
        for hours in (25, 23):
            link = Link(
                digest=f"{user.id}:{hours}",
                purpose=LinkPurpose.RESET_PASSWORD,
                email=f"{hours}-{user.email}",
                expires_at=datetime.now(UTC) - timedelta(hours=hours),
                user_id=user.id,
            )
            await tx.links.add(link)
    connection = await asyncpg.connect(superuser_url)
    for days in (31, 29):
        await connection.execute(
            "UPDATE mails SET done_at = now() - make_interval(days => $1) WHERE id = $2",
            days,
            mails[days],
        )
    forget = ForgetMail(PostgresMailQueue(dispatch_engine))
    while await forget():
        pass
    left = await connection.fetch("SELECT id FROM mails WHERE user_id = $1", user.id)
    assert {row["id"] for row in left} == {mails[29], mails[0]}
    left = await connection.fetch("SELECT digest FROM account_links WHERE user_id = $1", user.id)
    assert {row["digest"] for row in left} == {f"{user.id}:23"}
    await connection.execute("UPDATE mails SET done_at = now() WHERE id = $1", mails[0])
    await connection.close()


async def test_a_session_that_is_over_for_a_month_is_forgotten_with_its_tokens(
    postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine, superuser_url: str
) -> None:
    user = await keep_user(postgres_uow)
    old, ended, live = [
        await keep_session(postgres_uow, user, f"{user.id}:{number}") for number in range(3)
    ]
    connection = await asyncpg.connect(superuser_url)
    for days, session in ((31, old), (29, ended)):
        await connection.execute(
            "UPDATE sessions SET ended_at = now() - make_interval(days => $1),"
            " ended_by = 'signed_out' WHERE id = $2",
            days,
            session.id,
        )
    forget = DeleteOldSessions(PostgresOldSessions(dispatch_engine))
    while await forget():
        pass
    for table, column in (("sessions", "id"), ("refresh_tokens", "session_id")):
        left = await connection.fetch(
            f"SELECT {column} AS id FROM {table} WHERE user_id = $1", user.id
        )
        assert {row["id"] for row in left} == {ended.id, live.id}, table
    await connection.close()


SWEPT = {
    "account_links": "old mail deleted",
    "idempotency_keys": "expired idempotency keys deleted",
    "refresh_tokens": "old sessions and sign-ins deleted",
    "sessions": "old sessions and sign-ins deleted",
    "sign_in_challenges": "old sessions and sign-ins deleted",
}
"""The tables whose rows end by themselves, and the dispatcher's chore that deletes them."""

KEPT = {
    "adjustments": "what was decided, and what was not, stays in the books",
    "allotments": "credits that were given stay in the books, with their end",
    "api_keys": "a key stays to be looked into; it is its owner's to revoke",
    "lots": "credits that lapsed stay in the books",
    "orders": "what was asked for stays in the books",
    "subscription_charges": "what was paid for stays in the books",
}
"""Those whose rows stay all the same, and why."""


async def test_every_table_of_what_ends_by_itself_has_a_chore_or_a_reason(
    dispatch_engine: AsyncEngine,
) -> None:
    async with dispatch_engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname = 'public' AND c.relkind = 'r' AND a.attname = 'expires_at'"
            )
        )
    ends = {row.relname for row in rows}
    # Tokens end with their session, and go with it.
    assert ends | {"refresh_tokens"} == set(SWEPT) | set(KEPT)
    chores = Path("src/entrypoints/dispatcher/__init__.py").read_text()
    assert not [chore for chore in SWEPT.values() if f'"{chore}"' not in chores]
