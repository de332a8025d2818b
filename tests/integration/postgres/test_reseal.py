"""What is kept sealed moves to a newer key, after which the older one can go."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
import pytest

from adapters.postgres.engine import open_engine
from adapters.postgres.migrate import upgrade
from adapters.postgres.reseal import Resealed, reseal
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.security import AesGcmSecretBox, BoxKeys
from application.ports.audit import AuditQuery
from domain.audit.act import AuditAction
from domain.audit.origin import Origin
from domain.identity import mail, second_factor
from domain.identity.mail import MailKind
from domain.webhooks import endpoint
from domain.webhooks.endpoint import WebhookEndpoint
from entrypoints.local_stack import LocalStack
from tests.contracts.samples import keep_user, new_id
from tests.contracts.webhooks_contract import keep_endpoint

FIRST, SECOND = f"1:{secrets.token_hex(32)}", f"2:{secrets.token_hex(32)}"
OLD = AesGcmSecretBox(BoxKeys.parse(FIRST))
BOTH = AesGcmSecretBox(BoxKeys.parse(f"{FIRST} {SECOND}"))
NEW = AesGcmSecretBox(BoxKeys.parse(SECOND))
OPERATOR = Origin.of_operator("asha")
SECRET, BEFORE, CODE, PROPOSED, LINK = (f"secret {n}".encode() for n in range(5))


@dataclass(frozen=True, slots=True)
class House:
    """A database of its own: the session's holds what cannot be opened."""

    owner_url: str
    app_url: str
    uow: PostgresUnitOfWork

    async def reseal(self, box: AesGcmSecretBox = BOTH, *, batch: int = 200) -> Resealed:
        return await reseal(self.owner_url, box, 2, OPERATOR, batch=batch)

    async def clear(self) -> None:
        connection = await asyncpg.connect(self.owner_url)
        try:
            for table in ("webhook_endpoints", "totp_factors", "mails"):
                await connection.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
                await connection.execute(f"DELETE FROM {table}")
                await connection.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        finally:
            await connection.close()


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with LocalStack(tmp_path_factory.mktemp("sealed"), services={"postgres"}) as addresses:
        await upgrade(addresses.database_owner_url or "")
        engine = open_engine(addresses.database_url or "", pool_size=4, application="tests")
        yield House(
            addresses.database_owner_url or "",
            addresses.database_url or "",
            PostgresUnitOfWork(engine),
        )
        await engine.dispose()


@pytest.fixture
async def house(server: House) -> House:
    await server.clear()
    return server


async def keep_sealed(house: House, box: AesGcmSecretBox = OLD) -> WebhookEndpoint:
    """One of everything that is kept sealed; returns the endpoint."""
    user = await keep_user(house.uow)
    kept = await keep_endpoint(house.uow, user.id)
    use = endpoint.seal_use(kept.id)
    kept = replace(kept, secret=box.seal(SECRET, use), previous_secret=box.seal(BEFORE, use))
    code = box.seal(CODE, second_factor.seal_use(user.id))
    async with house.uow.begin(user.id) as tx:
        await tx.webhooks.save(kept)
        await tx.second_factor.propose(code)
        await tx.second_factor.confirm(code, 1)
        await tx.second_factor.propose(box.seal(PROPOSED, second_factor.seal_use(user.id)))
        for owner in (user.id, None):
            id_ = new_id()
            content = box.seal(LINK, mail.seal_use(id_))
            await tx.mails.add(id_, MailKind.NOTICE, content, user_id=owner)
    return kept


async def mails(house: House) -> dict[UUID, bytes]:
    connection = await asyncpg.connect(house.owner_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.reseal', 'on', true)")
            rows = await connection.fetch("SELECT id, sealed FROM mails")
    finally:
        await connection.close()
    return {row["id"]: row["sealed"] for row in rows}


async def stored(house: House, kept: WebhookEndpoint) -> WebhookEndpoint:
    async with house.uow.begin(kept.user_id) as tx:
        found = await tx.webhooks.get(kept.id)
    assert found is not None
    return found


async def opened(house: House, box: AesGcmSecretBox, kept: WebhookEndpoint) -> list[bytes]:
    now = await stored(house, kept)
    async with house.uow.begin(kept.user_id) as tx:
        factor = await tx.second_factor.get()
    assert now.previous_secret is not None
    assert factor is not None
    assert factor.secret is not None
    assert factor.proposed is not None
    use, code = endpoint.seal_use(kept.id), second_factor.seal_use(kept.user_id)
    return [
        box.open(now.secret, use),
        box.open(now.previous_secret, use),
        box.open(factor.secret, code),
        box.open(factor.proposed, code),
    ]


async def test_afterwards_the_older_key_can_go_and_everything_opens(house: House) -> None:
    kept = [await keep_sealed(house) for _ in range(3)]
    result = await house.reseal(batch=2)  # more than one batch of each
    assert dict(result.anew) == {
        "webhook secrets": 6,
        "authenticator secrets": 6,
        "mails that wait": 6,
    }
    assert not any(result.left.values())
    for each in kept:
        assert await opened(house, NEW, each) == [SECRET, BEFORE, CODE, PROPOSED]
    links = {NEW.open(sealed, mail.seal_use(id_)) for id_, sealed in (await mails(house)).items()}
    assert links == {LINK}


async def test_repeating_it_does_nothing_more(house: House) -> None:
    kept = await keep_sealed(house)
    await house.reseal()
    before = await stored(house, kept)
    again = await house.reseal()
    assert not any(again.anew.values())
    assert await stored(house, kept) == before


async def test_it_goes_on_from_where_it_was_interrupted(house: House) -> None:
    kept = [await keep_sealed(house) for _ in range(3)]

    class _Dies(AesGcmSecretBox):
        calls = 0

        def seal(self, secret: bytes, use: str) -> bytes:
            self.calls += 1
            if self.calls > 3:
                raise KeyboardInterrupt
            return super().seal(secret, use)

    with pytest.raises(KeyboardInterrupt):
        await house.reseal(_Dies(BoxKeys.parse(f"{FIRST} {SECOND}")), batch=1)
    result = await house.reseal(batch=1)
    # Of the endpoints one batch was kept, and the one that was cut off was not.
    assert result.anew["webhook secrets"] == 4
    for each in kept:
        assert await opened(house, NEW, each) == [SECRET, BEFORE, CODE, PROPOSED]


async def test_what_an_owner_rotates_meanwhile_stays(house: House) -> None:
    kept = await keep_sealed(house)
    use = endpoint.seal_use(kept.id)
    chosen = replace(kept, secret=BOTH.seal(b"the owner's", use), previous_secret=kept.secret)
    async with house.uow.begin(kept.user_id) as tx:
        await tx.webhooks.get(kept.id, lock=True)
        resealing = asyncio.ensure_future(house.reseal())
        await _waits_for_a_lock(house)
        await tx.webhooks.save(chosen)
    result = await resealing
    now = await stored(house, kept)
    assert now.secret == chosen.secret
    assert result.anew["webhook secrets"] == 0
    # The one before came back under the older key: that is told, and repeating mends it.
    assert result.left["webhook secrets"] == 1
    assert (await house.reseal()).left["webhook secrets"] == 0
    assert (await opened(house, NEW, kept))[:2] == [b"the owner's", SECRET]


async def test_what_cannot_be_opened_stays_and_is_counted(house: House) -> None:
    kept = await keep_sealed(house)
    result = await house.reseal(NEW)
    assert result.left == {
        "webhook secrets": 2,
        "authenticator secrets": 2,
        "mails that wait": 2,
    }
    assert await stored(house, kept) == kept


async def test_what_is_under_a_newer_key_is_not_put_under_an_older_one(house: House) -> None:
    kept = await keep_sealed(house, NEW)
    result = await reseal(house.owner_url, OLD, 1, OPERATOR)
    assert not any(result.anew.values())
    assert result.left["webhook secrets"] == 2
    assert await stored(house, kept) == kept


async def test_it_is_in_the_log_of_whom_the_secrets_belong_to(house: House) -> None:
    kept = await keep_sealed(house)
    await house.reseal()
    async with house.uow.begin(kept.user_id) as tx:
        entries = await tx.audit.entries(AuditQuery(limit=10, action=AuditAction.SECRETS_RESEALED))
    assert {(each.act.subject_id, each.act.after["count"]) for each in entries} == {
        ("webhook secrets", 2),
        ("authenticator secrets", 2),
        ("mails that wait", 1),
    }
    assert {each.origin.name for each in entries} == {"asha"}
    assert {each.act.after["version"] for each in entries} == {2}


async def test_the_owner_sees_none_of_it_without_saying_so(house: House) -> None:
    await keep_sealed(house)
    connection = await asyncpg.connect(house.owner_url)
    try:
        for table in ("webhook_endpoints", "totp_factors", "mails"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    finally:
        await connection.close()


@pytest.mark.parametrize("table", ["webhook_endpoints", "totp_factors"])
async def test_saying_so_opens_nothing_to_a_service(house: House, table: str) -> None:
    await keep_sealed(house)
    connection = await asyncpg.connect(house.app_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.reseal', 'on', true)")
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    finally:
        await connection.close()


async def _waits_for_a_lock(house: House) -> None:
    """Until the resealing transaction waits for the owner's."""
    connection = await asyncpg.connect(house.owner_url)
    try:
        async with asyncio.timeout(20):
            while not await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
            ):
                await asyncio.sleep(0.02)
    finally:
        await connection.close()
