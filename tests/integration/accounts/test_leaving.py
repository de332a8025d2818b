"""Who deletes their account is found nowhere any more, but where the law has it kept."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.mail import TemplatedLetterWriter
from adapters.minio import MinioObjectStore
from adapters.postgres.erasures import PostgresErasureQueue
from adapters.postgres.mail import PostgresMailQueue
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemClock, UuidMaker
from application.billing.billing_profile import NewBillingProfile, SaveBillingProfile
from application.identity.erase_objects import EraseObjects
from domain.billing.parties import Buyer
from domain.identity.user import User
from domain.shared.ids import SubscriptionId
from entrypoints.local_stack import StackAddresses
from tests.contracts.account_flow_contract import RIGHT, Platform, caller
from tests.contracts.invoice_samples import keep_invoice
from tests.contracts.samples import ORIGIN, keep_project, new_id
from tests.contracts.subscriptions_contract import keep_subscription, make_seat

KEPT = {"invoices"}
"""Where the buyer's particulars stay: accounts are kept for 72 months."""


@pytest.fixture
async def objects(stack: StackAddresses) -> AsyncIterator[MinioObjectStore]:
    store = MinioObjectStore(
        stack.s3_endpoint or "", stack.s3_access_key or "", stack.s3_secret_key or "", "bharatbuild"
    )
    await store.ensure_bucket()
    yield store
    await store.close()


@pytest.fixture
def platform(postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine) -> Platform:
    return Platform(
        uow=postgres_uow,
        queue=PostgresMailQueue(dispatch_engine),
        writer=TemplatedLetterWriter(),
        clock=SystemClock(),
        ids=UuidMaker(),
    )


async def tables_with(superuser_url: str, words: str) -> set[str]:
    """The tables that have these words in any column of any row."""
    connection = await asyncpg.connect(superuser_url)
    try:
        names = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        return {
            row["tablename"]
            for row in names
            if await connection.fetchval(
                f'SELECT EXISTS (SELECT FROM "{row["tablename"]}" AS t'
                " WHERE position($1 in t::text) > 0)",
                words,
            )
        }
    finally:
        await connection.close()


async def test_nothing_of_who_left_is_found_but_what_the_law_has_kept(
    platform: Platform,
    objects: MinioObjectStore,
    dispatch_engine: AsyncEngine,
    superuser_url: str,
) -> None:
    name = f"Asha {new_id().hex}"
    user = await platform.person(name=name)
    another = await platform.person()
    seat = await given_a_seat(platform, user, another)
    project = await keep_project(platform.uow, user, title=f"Library of {name}")
    mine, theirs = f"{user.id}/report", f"{another.id}/report"
    for key in (mine, theirs):
        await objects.put(key, b"a report", "text/plain")
    street = f"12, {name} Road"
    await SaveBillingProfile(platform.uow, platform.clock)(
        NewBillingProfile(
            user_id=user.id, name=name, address=street, state="29", country="IN", gstin=""
        )
    )
    buyer = Buyer(name=name, address=street, state="29", country="IN", gstin="")
    invoice = await keep_invoice(platform.uow, owner=user, buyer=buyer)
    new_address = f"new-{new_id()}@example.org"
    await platform.ask_email(caller(user), RIGHT, new_address, ORIGIN)
    await platform.forgot(user.email, ORIGIN)
    await platform.mail(user.email)  # its links are kept now
    for words in (user.email, name):
        assert len(await tables_with(superuser_url, words)) >= 3, words
    assert "account_links" in await tables_with(superuser_url, new_address)

    await platform.delete(caller(user), RIGHT, ORIGIN)
    await platform.mail(user.email)

    assert await tables_with(superuser_url, user.email) == set()
    assert await tables_with(superuser_url, new_address) == set()
    assert await tables_with(superuser_url, name) == KEPT
    assert await tables_with(superuser_url, str(project.id)) == set()
    async with platform.uow.begin(user.id) as tx:
        assert await tx.invoices.get(invoice.id) == invoice
        assert await tx.billing_profiles.get() is None
    async with platform.uow.begin(another.id) as tx:
        assert await tx.seats.of(seat) == []

    erase = EraseObjects(PostgresErasureQueue(dispatch_engine), objects)
    while await erase():
        pass
    assert not await objects.exists(mine)
    assert await objects.exists(theirs)
    await a_day_passes(superuser_url, user)
    while await erase():
        pass
    async with dispatch_engine.connect() as connection:
        left = await connection.execute(
            text("SELECT user_id FROM erasures WHERE user_id = :user"), {"user": user.id}
        )
        assert left.all() == []


async def given_a_seat(platform: Platform, user: User, buyer: User) -> SubscriptionId:
    """The subscription of a seat that the user holds."""
    sub = await keep_subscription(platform.uow, buyer, "team", seats=3)
    async with platform.uow.begin(buyer.id) as tx:
        await tx.seats.add(
            make_seat(sub, 2, email=user.email, holder_id=user.id, assigned_at=datetime.now(UTC))
        )
        assert len(await tx.seats.of(sub.id)) == 1
    return sub.id


async def a_day_passes(superuser_url: str, user: User) -> None:
    connection = await asyncpg.connect(superuser_url)
    await connection.execute(
        "UPDATE erasures SET asked_at = asked_at - interval '2 days', due_at = now()"
        " WHERE user_id = $1",
        user.id,
    )
    await connection.close()


async def test_a_seat_is_left_by_who_holds_it_or_has_its_address_and_by_nobody_else(
    platform: Platform,
) -> None:
    user, buyer = await platform.person(), await platform.person()
    sub = await keep_subscription(platform.uow, buyer, "team", seats=3)
    other = make_seat(sub, 3, assigned_at=datetime.now(UTC))
    async with platform.uow.begin(buyer.id) as tx:
        await tx.seats.add(make_seat(sub, 2, email=user.email, assigned_at=datetime.now(UTC)))
        await tx.seats.add(other)
    async with platform.uow.begin(user.id) as tx:
        assert await tx.seats.leave(user.email, datetime.now(UTC)) == 1
        assert await tx.seats.leave(user.email, datetime.now(UTC)) == 0
    async with platform.uow.begin(buyer.id) as tx:
        assert await tx.seats.of(sub.id) == [other]
