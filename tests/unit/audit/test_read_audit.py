"""Reading the log: page by page, and all of it in batches."""

from datetime import UTC, datetime, timedelta

import pytest

from application.audit.read_audit import OverseeAudit, ReadOwnAudit
from application.ports.audit import AuditQuery
from domain.shared.errors import InvalidValue
from tests.contracts.audit_contract import keep_acts, project_deleted
from tests.contracts.samples import keep_user
from tests.fakes.clock import MovableClock
from tests.fakes.persistence import InMemoryAuditOversight, InMemoryDatabase, InMemoryUnitOfWork

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def database() -> InMemoryDatabase:
    return InMemoryDatabase(MovableClock())


async def test_an_export_has_every_entry_once(database: InMemoryDatabase) -> None:
    uow = InMemoryUnitOfWork(database)
    owner, other = await keep_user(uow), await keep_user(uow)
    acts = [project_deleted() for _ in range(7)]
    await keep_acts(uow, owner, *acts)
    await keep_acts(uow, other, project_deleted())

    batches = await ReadOwnAudit(uow, batch=3).export(owner.id, AuditQuery(limit=1))
    own = [[entry.act for entry in batch] async for batch in batches]
    assert [len(batch) for batch in own] == [3, 3, 1]
    assert [act for batch in own for act in batch] == acts[::-1]

    oversee = OverseeAudit(InMemoryAuditOversight(database), batch=4)
    everybody = [
        entry async for batch in await oversee.export(AuditQuery(limit=1)) for entry in batch
    ]
    assert [entry.number for entry in everybody] == list(range(8, 0, -1))


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [
        (NOW, NOW - timedelta(seconds=1), "until"),
        (NOW.replace(tzinfo=None), None, "since"),
        (None, NOW.replace(tzinfo=None), "until"),
    ],
)
async def test_times_are_in_order_and_have_offsets(
    database: InMemoryDatabase, since: datetime | None, until: datetime | None, field: str
) -> None:
    query = AuditQuery(limit=1, since=since, until=until)
    owner = await keep_user(InMemoryUnitOfWork(database))
    for read in (
        ReadOwnAudit(InMemoryUnitOfWork(database))(owner.id, query),
        OverseeAudit(InMemoryAuditOversight(database)).export(query),
    ):
        with pytest.raises(InvalidValue) as refusal:
            await read
        assert refusal.value.field == field
