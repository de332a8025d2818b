"""The audit log in the database: it grows, and nobody can have it do anything else."""

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.payment_work import PostgresWebhookInbox, PostgresWebhookWork
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.billing.oversee_payments import OverseeWebhooks
from domain.audit.act import AuditAction
from domain.audit.origin import ActorKind, Origin
from domain.shared.errors import Conflict
from entrypoints.local_stack import StackAddresses
from tests.contracts.audit_contract import keep_acts, project_deleted, read
from tests.contracts.samples import keep_user, new_id

CHANGES = [
    "UPDATE audit_log SET action = 'nothing'",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_whoever_owns_the_log_or_the_server_cannot_change_it(
    postgres_uow: PostgresUnitOfWork, stack: StackAddresses, superuser_url: str, change: str
) -> None:
    owner = await keep_user(postgres_uow)
    await keep_acts(postgres_uow, owner, project_deleted())
    for url in (stack.database_owner_url or "", superuser_url):
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change)
        finally:
            await connection.close()
    assert len(await read(postgres_uow, owner.id)) == 1


async def test_nobody_writes_in_anothers_record(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine
) -> None:
    owner, stranger = await keep_user(postgres_uow), await keep_user(postgres_uow)
    with pytest.raises(DBAPIError, match="row-level security"):
        async with app_engine.begin() as connection:
            await connection.execute(
                text("SELECT set_config('app.user_id', :u, true)"), {"u": str(stranger.id)}
            )
            await connection.execute(
                text(
                    "INSERT INTO audit_log (user_id, actor_kind, action)"
                    " VALUES (:u, 'system', 'project.deleted')"
                ),
                {"u": owner.id},
            )
    assert await read(postgres_uow, owner.id) == []


async def test_the_owner_adds_what_operators_do_and_nothing_else(stack: StackAddresses) -> None:
    adding = "INSERT INTO audit_log (user_id, actor_kind, action) VALUES ($1, $2, 'user.suspended')"
    connection = await asyncpg.connect(stack.database_owner_url or "")
    try:
        await connection.execute(adding, new_id(), "operator")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(adding, new_id(), "system")
        assert await connection.fetchval("SELECT count(*) FROM audit_log") == 0
    finally:
        await connection.close()


async def test_the_dispatcher_reads_and_writes_of_retried_events_alone(
    dispatch_engine: AsyncEngine,
) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with dispatch_engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO audit_log (user_id, actor_kind, action)"
                    " VALUES (gen_random_uuid(), 'system', 'x')"
                )
            )


async def test_an_event_that_is_tried_again_is_told_of_in_the_same_statement(
    postgres_uow: PostgresUnitOfWork, app_engine: AsyncEngine, dispatch_engine: AsyncEngine
) -> None:
    admin, event_id = await keep_user(postgres_uow), new_id()
    await PostgresWebhookInbox(app_engine).keep(event_id, "simulated", str(event_id), b"{}")
    work = PostgresWebhookWork(dispatch_engine)
    oversee = OverseeWebhooks(work)
    origin = Origin(kind=ActorKind.PERSON, person=admin.id, address="203.0.113.5")
    with pytest.raises(Conflict):  # it is not set aside
        await oversee.retry(admin.id, event_id, origin=origin)
    assert await read(postgres_uow, admin.id) == []
    await work.set_aside(event_id, "a test")
    await oversee.retry(admin.id, event_id, origin=origin)
    (entry,) = await read(postgres_uow, admin.id)
    assert (entry.act.action, entry.act.subject_id) == (
        AuditAction.GATEWAY_EVENT_RETRIED,
        str(event_id),
    )
    assert entry.origin == origin
    await work.done(event_id)
