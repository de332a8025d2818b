"""How a person wants to be named on invoices."""

from typing import Any

import pytest

from application.billing.billing_profile import (
    NewBillingProfile,
    SaveBillingProfile,
    ShowBillingProfile,
)
from application.ports.persistence import UnitOfWork
from domain.billing.parties import Buyer
from domain.identity.user import User
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import UserId
from tests.contracts.invoice_samples import GSTIN_KARNATAKA, GSTIN_MAHARASHTRA
from tests.contracts.samples import keep_user, new_id
from tests.fakes.clock import MovableClock
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork

GOOD = {"name": "Asha Rao", "address": "", "state": "29", "country": "IN", "gstin": ""}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def uow(clock: MovableClock) -> UnitOfWork:
    return InMemoryUnitOfWork(InMemoryDatabase(clock))


@pytest.fixture
async def user(uow: UnitOfWork) -> User:
    return await keep_user(uow)


async def saved(uow: UnitOfWork, user: User, **changes: str) -> Buyer:
    values: dict[str, Any] = {**GOOD, **changes}
    save = SaveBillingProfile(uow, MovableClock())
    profile = await save(NewBillingProfile(user_id=user.id, **values))
    shown, kept = await ShowBillingProfile(uow)(user.id)
    assert kept == profile
    assert shown == profile.buyer
    return shown


async def test_without_a_profile_the_accounts_name_is_billed(uow: UnitOfWork, user: User) -> None:
    assert await ShowBillingProfile(uow)(user.id) == (Buyer(name=user.name), None)


async def test_a_person_who_is_none_has_no_profile(uow: UnitOfWork) -> None:
    with pytest.raises(NotFound):
        await ShowBillingProfile(uow)(UserId(new_id()))


async def test_a_name_and_a_state_are_enough(uow: UnitOfWork, user: User) -> None:
    assert await saved(uow, user) == Buyer(name="Asha Rao", state="29")


async def test_text_is_kept_without_control_characters_and_empty_lines(
    uow: UnitOfWork, user: User
) -> None:
    buyer = await saved(uow, user, name=" आशा \t राव\x00", address="\n 7  Lake View \r\n\nMysuru\n")
    assert (buyer.name, buyer.address) == ("आशा राव", "7 Lake View\nMysuru")


async def test_a_gstin_tells_its_state(uow: UnitOfWork, user: User) -> None:
    buyer = await saved(uow, user, state="", gstin=GSTIN_MAHARASHTRA.lower(), address="Mumbai")
    assert (buyer.state, buyer.gstin) == ("27", GSTIN_MAHARASHTRA)


async def test_outside_india_there_is_neither_state_nor_gstin(uow: UnitOfWork, user: User) -> None:
    assert await saved(uow, user, country="us", state="") == Buyer(name="Asha Rao", country="US")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " \n"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"address": "x" * 501}, "address"),
        ({"address": "\n".join("abcdefg")}, "address"),
        ({"state": ""}, "state"),
        ({"state": "99"}, "state"),
        ({"state": "Karnataka"}, "state"),
        ({"state": "27", "gstin": GSTIN_KARNATAKA, "address": "a"}, "state"),
        ({"gstin": GSTIN_KARNATAKA}, "address"),
        ({"gstin": "29AAGCB7383J1Z5", "address": "a"}, "gstin"),
        ({"country": "IND"}, "country"),
        ({"country": "XX"}, "country"),
        ({"country": "US"}, "state"),
        ({"country": "US", "state": "", "gstin": GSTIN_KARNATAKA, "address": "a"}, "gstin"),
    ],
)
async def test_what_does_not_fit_is_named(
    uow: UnitOfWork, user: User, changes: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        await saved(uow, user, **changes)
    assert refusal.value.field == field
    assert refusal.value.message
    assert (await ShowBillingProfile(uow)(user.id))[1] is None
