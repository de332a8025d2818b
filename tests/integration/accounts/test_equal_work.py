"""An address with an account and one without make the platform do the very same work.

A clock tells of the machine; what is done tells of the code. So what is noted, in its order, is
every statement that the database is sent, the end of every transaction, every password that is
hashed or compared, and every limit that is charged. ``make bench-equality`` shows the times.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.unit_of_work import PostgresUnitOfWork
from application.keys.local_rate_limiter import LocalRateLimiter
from application.ports.rate_limiter import Charge, Verdict
from domain.identity.user import InvalidCredentials, User
from tests.contracts.account_flow_contract import (
    ANOTHER,
    PASSWORD,
    RIGHT,
    Platform,
    address,
    caller,
)
from tests.contracts.samples import ORIGIN, keep_user
from tests.fakes.security import PlainPasswordHasher
from tests.integration.accounts.test_accounts_on_postgres import platform_on

Notes = list[tuple[str, object]]


@pytest.fixture
def platform(postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine) -> Platform:
    return platform_on(postgres_uow, dispatch_engine)


@pytest.fixture
def notes(app_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notes]:
    """What is done from now on."""
    noted: Notes = []

    def statement(_: Any, __: Any, text: str, *more: Any) -> None:
        noted.append(("statement", text))

    def end(connection: Any) -> None:
        noted.append(("transaction", "ends"))

    def counted(name: str) -> None:
        original = getattr(PlainPasswordHasher, name)

        async def call(self: PlainPasswordHasher, *arguments: str) -> Any:
            # Argon2 with today's parameters, whichever of the three it is.
            noted.append(("password", "hashed"))
            return await original(self, *arguments)

        monkeypatch.setattr(PlainPasswordHasher, name, call)

    charge = LocalRateLimiter.charge

    async def charged(self: LocalRateLimiter, charges: Sequence[Charge]) -> Verdict:
        noted.append(("limits", [(each.policy.name, each.cost) for each in charges]))
        return await charge(self, charges)

    monkeypatch.setattr(LocalRateLimiter, "charge", charged)
    for name in ("hash", "verify", "waste"):
        counted(name)
    listeners = [("before_cursor_execute", statement), ("commit", end), ("rollback", end)]
    for name, listener in listeners:
        event.listen(app_engine.sync_engine, name, listener)
    yield noted
    for name, listener in listeners:
        event.remove(app_engine.sync_engine, name, listener)


async def signed_in(platform: Platform, email: str, password: str) -> None:
    nobody = User.__new__(User)
    object.__setattr__(nobody, "email", email)
    with pytest.raises(InvalidCredentials):
        await platform.signed_in(nobody, password)


async def asked_to_change(platform: Platform, email: str) -> None:
    person = await platform.person()
    await platform.ask_email(caller(person), RIGHT, email, ORIGIN)


FLOWS: dict[str, Callable[[Platform, str], Awaitable[None]]] = {
    "registering": lambda platform, email: platform.ask(email, ANOTHER),
    "having the confirmation sent again": lambda platform, email: platform.resend(email, ORIGIN),
    "asking for a new password": lambda platform, email: platform.forgot(email, ORIGIN),
    "signing in": lambda platform, email: signed_in(platform, email, ANOTHER),
    "changing to that address": asked_to_change,
}

ACCOUNTS: dict[str, dict[str, Any]] = {
    "an account": {},
    "one whose address is not confirmed": {"email_verified_at": None},
    "one that is off": {"is_active": False},
    "one without a password": {"password_hash": ""},
}


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("flow", FLOWS)
async def test_the_same_is_done_for_an_address_with_an_account_and_for_one_without(
    platform: Platform, notes: Notes, flow: str, account: str
) -> None:
    hashed = await platform.hasher.hash(PASSWORD)
    known = await keep_user(platform.uow, **{"password_hash": hashed, **ACCOUNTS[account]})
    done = []
    for email in (known.email, address()):
        notes.clear()
        await FLOWS[flow](platform, email)
        done.append(list(notes))
    assert done[0] == done[1]
    assert {kind for kind, _ in done[0]} >= {"statement", "transaction", "limits"}
    hashes = done[0].count(("password", "hashed"))
    asks_for_one = flow in ("registering", "signing in", "changing to that address")
    assert hashes >= 1 if asks_for_one else hashes == 0


async def test_the_right_password_of_an_account_that_is_off_makes_no_difference(
    platform: Platform, notes: Notes
) -> None:
    hashed = await platform.hasher.hash(PASSWORD)
    known = await keep_user(platform.uow, password_hash=hashed, is_active=False)
    done = []
    for email in (known.email, address()):
        notes.clear()
        await signed_in(platform, email, PASSWORD)
        done.append(list(notes))
    assert done[0] == done[1]


async def test_what_is_done_differs_where_it_should(platform: Platform, notes: Notes) -> None:
    """Else nothing that is noted here could tell two things apart."""
    known = await platform.person()
    notes.clear()
    await platform.signed_in(known)
    right = list(notes)
    notes.clear()
    await signed_in(platform, known.email, ANOTHER)
    assert notes != right
