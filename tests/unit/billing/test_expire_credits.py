"""Credits lapse account by account: one that cannot be booked keeps no other from its turn."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from application.billing.expire_credits import ExpireCredits
from application.ports.persistence import DatabaseUnavailable, Transaction, UnitOfWork
from domain.billing.ledger import Balance
from domain.shared.ids import UserId
from tests.contracts.samples import keep_user, make_grant
from tests.fakes.clock import MovableClock
from tests.fakes.persistence import InMemoryDatabase, InMemoryLapsedCredits, InMemoryUnitOfWork


@dataclass(frozen=True)
class BrokenFor:
    """Transactions that break for one person."""

    uow: UnitOfWork
    user_id: UserId
    error: Exception

    def begin(self, user_id: UserId | None) -> AbstractAsyncContextManager[Transaction]:
        return self._begin(user_id)

    @asynccontextmanager
    async def _begin(self, user_id: UserId | None) -> AsyncIterator[Transaction]:
        async with self.uow.begin(user_id) as tx:
            if user_id == self.user_id:
                raise self.error
            yield tx


async def sweep(error: Exception) -> tuple[int, list[Balance]]:
    """Three people's credits lapse, and the first one's account breaks."""
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    uow = InMemoryUnitOfWork(database)
    people = sorted([(await keep_user(uow)).id for _ in range(3)])
    for user_id in people:
        async with uow.begin(user_id) as tx:
            soon = clock.now() + timedelta(hours=1)
            await tx.ledger.grant(make_grant(user_id, 10, expires_at=soon))
    clock.move(timedelta(hours=2))
    broken = BrokenFor(uow, people[0], error)
    lapsed = await ExpireCredits(InMemoryLapsedCredits(database), broken)()
    balances = []
    for user_id in people:
        async with uow.begin(user_id) as tx:
            balances.append(await tx.ledger.balance(user_id))
    return lapsed, balances


async def test_an_account_that_breaks_keeps_no_other_from_its_turn() -> None:
    lapsed, balances = await sweep(RuntimeError("a sum that does not fit"))
    assert lapsed == 20
    assert [balance.available for balance in balances] == [10, 0, 0]


async def test_a_database_that_is_away_ends_the_sweep() -> None:
    with pytest.raises(DatabaseUnavailable):
        await sweep(DatabaseUnavailable("away"))
