"""Signing in with a provider: for whom it vouches, in the browser that began, and once."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.identity.external_sign_in import (
    FLOW_SECONDS,
    LINK_SECONDS,
    Finished,
    IdentityProviders,
    Linked,
    LinkNeeded,
    Trouble,
)
from application.identity.open_session import SignedIn
from application.identity.pass_first_factor import SecondFactorNeeded
from application.identity.reauthenticate import Proof, ReauthenticationFailed
from application.ports.persistence import Transaction
from domain.audit.act import AuditAction
from domain.identity.linked_identity import (
    IdentityTaken,
    LastWayIn,
    ProviderNotConfigured,
    ProviderUnavailable,
)
from domain.identity.mail import MailKind
from domain.identity.return_address import check_return_address, with_mark
from domain.identity.second_factor import ChallengeOver
from domain.identity.session import SessionEnd, SignInMethod
from domain.identity.user import InvalidCredentials, User
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import UserId
from tests.unit.identity.world import GOOGLE, GRANT, HERE, PASSWORD, PHONE, World


@pytest.fixture
def world() -> World:
    return World()


def opened(finished: Finished) -> SignedIn:
    assert isinstance(finished.outcome, SignedIn), finished
    return finished.outcome


def token_of(finished: Finished) -> str:
    assert isinstance(finished.outcome, LinkNeeded), finished
    return finished.outcome.token


async def linked_person(world: World, name: str = "asha") -> User:
    """Somebody with a password, and an identity linked to their account."""
    person = await world.person(email=f"{name}@example.com")
    token = token_of(await world.there_and_back(name))
    await world.confirm_link(token, Proof(password=PASSWORD), PHONE, HERE)
    return person


# Newcomers


async def test_a_newcomer_gets_an_account_with_what_every_account_has(world: World) -> None:
    finished = await world.there_and_back("asha")
    user = opened(finished).user
    assert finished.return_to == "/projects"
    assert (user.email, user.name, user.has_password) == ("asha@example.com", "Asha", False)
    assert opened(finished).session.methods == {SignInMethod.GOOGLE}
    assert world.database.tables.balances[user.id].available == GRANT
    assert world.acts() == [
        AuditAction.REGISTERED,
        AuditAction.IDENTITY_LINKED,
        AuditAction.SIGNED_IN,
    ]


async def test_and_the_same_account_the_next_time(world: World) -> None:
    first = opened(await world.there_and_back("asha")).user
    world.there.person("asha", email="asha.rao@example.com")
    assert opened(await world.there_and_back("asha")).user.id == first.id
    (identity,) = await world.identities(first.id)
    assert identity.email == "asha.rao@example.com"


async def test_the_subject_decides_and_not_the_email(world: World) -> None:
    """An address that goes to somebody else does not bring the account with it."""
    first = opened(await world.there_and_back("asha")).user
    world.there.person("heir", email="asha@example.com")
    finished = await world.there_and_back("heir")
    assert isinstance(finished.outcome, LinkNeeded)
    with pytest.raises(LastWayIn):
        await world.confirm_link(finished.outcome.token, Proof(), PHONE, HERE)
    assert [each.user_id for each in world.database.tables.linked_identities.values()] == [first.id]


async def test_of_two_callbacks_of_a_newcomer_at_once_one_opens_the_account(world: World) -> None:
    departures = [await world.depart(GOOGLE, "/") for _ in range(4)]
    finished = await asyncio.gather(
        *(world.there_and_back("asha", departure=departure) for departure in departures)
    )
    assert len({opened(each).user.id for each in finished}) == 1
    assert len(world.database.tables.users) == 1


async def test_an_email_that_is_not_verified_opens_no_account(world: World) -> None:
    world.there.person("asha", email_verified=False)
    assert (await world.there_and_back("asha")).outcome is Trouble.EMAIL_UNVERIFIED
    world.there.person("asha", email="no address")
    assert (await world.there_and_back("asha")).outcome is Trouble.EMAIL_UNVERIFIED
    assert not world.database.tables.users


async def test_an_email_that_is_not_verified_is_looked_up_nowhere(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So neither the answer nor its time tells whether the address has an account."""
    await world.person(email="known@example.com")
    begun: list[UserId | None] = []
    begin = world.uow.begin

    def noted(user_id: UserId | None) -> AbstractAsyncContextManager[Transaction]:
        begun.append(user_id)
        return begin(user_id)

    monkeypatch.setattr(world.uow, "begin", noted)
    seen = []
    for email in ("known@example.com", "unknown@example.com"):
        begun.clear()
        world.there.person("asha", email=email, email_verified=False)
        finished = await world.there_and_back("asha")
        seen.append((finished.outcome, list(begun)))
    assert seen[0] == seen[1] == (Trouble.EMAIL_UNVERIFIED, [None])


async def test_a_password_opens_no_account_that_has_none(world: World) -> None:
    user = opened(await world.there_and_back("asha")).user
    for password in ("", PASSWORD):
        with pytest.raises(InvalidCredentials):
            await world.by_password(user, password)
    assert world.hasher.wasted == 2


# The state


async def test_a_state_is_used_once(world: World) -> None:
    departure = await world.depart(GOOGLE, "/")
    arrivals = [world.arrival(departure, "asha") for _ in range(10)]
    finished = await asyncio.gather(*(world.arrive(each, PHONE, HERE) for each in arrivals))
    outcomes = [each.outcome for each in finished]
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert outcomes.count(Trouble.STATE) == 9


@pytest.mark.parametrize("binding", ["", "another", "\ud800"])
async def test_a_state_of_another_browser_is_refused_and_used_up(
    world: World, binding: str
) -> None:
    departure = await world.depart(GOOGLE, "/")
    stolen = world.arrival(departure, "asha", binding=binding)
    finished = await world.arrive(stolen, PHONE, HERE)
    assert (finished.outcome, finished.return_to) == (Trouble.STATE, None)
    assert (await world.there_and_back("asha", departure=departure)).outcome is Trouble.STATE
    assert not world.database.tables.users


async def test_a_state_that_is_unknown_or_too_old_is_refused(world: World) -> None:
    departure = await world.depart(GOOGLE, "/")
    for state in ("", "made-up", "\ud800"):
        arrival = world.arrival(departure, "asha", state=state)
        assert (await world.arrive(arrival, PHONE, HERE)).outcome is Trouble.STATE
    world.clock.move(timedelta(seconds=FLOW_SECONDS))
    assert (await world.there_and_back("asha", departure=departure)).outcome is Trouble.STATE


async def test_two_sign_ins_have_nothing_in_common(world: World) -> None:
    first, second = await world.depart(GOOGLE, "/"), await world.depart(GOOGLE, "/")
    crossed = world.arrival(first, "asha", binding=second.binding)
    assert (await world.arrive(crossed, PHONE, HERE)).outcome is Trouble.STATE
    other_code = world.arrival(second, "asha").code
    second_arrival = world.arrival(await world.depart(GOOGLE, "/"), "asha", code=other_code)
    assert (await world.arrive(second_arrival, PHONE, HERE)).outcome is Trouble.REJECTED


# What the provider says


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        ("access_denied", Trouble.DENIED),
        ("temporarily_unavailable", Trouble.UNAVAILABLE),
        ("", Trouble.UNAVAILABLE),
        ("\x00💥" * 99, Trouble.UNAVAILABLE),
    ],
)
async def test_its_errors_are_states_of_ours(world: World, error: str, trouble: Trouble) -> None:
    arrival = world.arrival(await world.depart(GOOGLE, "/x"), "asha", error=error)
    finished = await world.arrive(arrival, PHONE, HERE)
    assert (finished.outcome, finished.return_to) == (trouble, "/x")


async def test_without_a_code_nobody_is_signed_in(world: World) -> None:
    arrival = world.arrival(await world.depart(GOOGLE, "/"), "asha", code=None)
    assert (await world.arrive(arrival, PHONE, HERE)).outcome is Trouble.UNAVAILABLE


async def test_its_outage_is_a_state_of_ours(world: World) -> None:
    departure = await world.depart(GOOGLE, "/x")
    arrival = world.arrival(departure, "asha")
    world.there.away = True
    finished = await world.arrive(arrival, PHONE, HERE)
    assert (finished.outcome, finished.return_to) == (Trouble.UNAVAILABLE, "/x")
    with pytest.raises(ProviderUnavailable):
        await world.depart(GOOGLE, "/")


async def test_a_code_that_is_not_its_own_or_from_elsewhere_is_rejected(world: World) -> None:
    made_up = world.arrival(await world.depart(GOOGLE, "/"), "asha", code="made-up")
    assert (await world.arrive(made_up, PHONE, HERE)).outcome is Trouble.REJECTED
    elsewhere = world.arrival(await world.depart(GOOGLE, "/"), "asha", issuer="https://evil.test")
    assert (await world.arrive(elsewhere, PHONE, HERE)).outcome is Trouble.REJECTED


async def test_where_it_is_not_set_up_the_answer_says_so(world: World) -> None:
    nobody = IdentityProviders({})
    with pytest.raises(ProviderNotConfigured, match="Google is not set up"):
        nobody.named("google")
    with pytest.raises(NotFound):
        nobody.named("nowhere")


async def test_an_account_that_is_off_stays_closed(world: World) -> None:
    user = opened(await world.there_and_back("asha")).user
    world.database.tables.users[user.id] = replace(user, is_active=False)
    await world.person(email="ravi@example.com", is_active=False)
    assert (await world.there_and_back("asha")).outcome is Trouble.ACCOUNT_OFF
    assert (await world.there_and_back("ravi")).outcome is Trouble.ACCOUNT_OFF


# With a second factor


async def test_it_does_not_stand_in_for_the_second_factor(world: World) -> None:
    protected = await world.protected(email="asha@example.com")
    token = token_of(await world.there_and_back("asha"))
    await world.confirm_link(token, protected.proof, PHONE, HERE)
    world.next_step()
    finished = await world.there_and_back("asha")
    assert isinstance(finished.outcome, SecondFactorNeeded)
    challenge = finished.outcome.challenge
    session = (await world.meet(challenge, protected.code, PHONE, HERE)).session
    assert session.methods == {SignInMethod.GOOGLE, SignInMethod.TOTP}


# Linking


async def test_a_verified_email_links_nothing_by_itself(world: World) -> None:
    person = await world.person(email="asha@example.com")
    token = token_of(await world.there_and_back("asha"))
    assert not world.database.tables.linked_identities
    assert not world.database.tables.sessions
    for proof in (Proof(), Proof(password="wrong")):
        with pytest.raises(ReauthenticationFailed):
            await world.confirm_link(token, proof, PHONE, HERE)
    signed_in = await world.confirm_link(token, Proof(password=PASSWORD), PHONE, HERE)
    assert signed_in.user.id == person.id
    assert opened(await world.there_and_back("asha")).user.id == person.id


async def test_linking_takes_the_second_factor_too(world: World) -> None:
    protected = await world.protected(email="asha@example.com")
    token = token_of(await world.there_and_back("asha"))
    with pytest.raises(ReauthenticationFailed):
        await world.confirm_link(token, Proof(password=PASSWORD), PHONE, HERE)
    signed_in = await world.confirm_link(token, protected.proof, PHONE, HERE)
    assert signed_in.session.methods >= {SignInMethod.PASSWORD, SignInMethod.TOTP}


async def test_what_waits_to_be_linked_is_linked_once_and_not_for_long(world: World) -> None:
    await world.person(email="asha@example.com")
    token = token_of(await world.there_and_back("asha"))
    proof = Proof(password=PASSWORD)
    outcomes = await asyncio.gather(
        *(world.confirm_link(token, proof, PHONE, HERE) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    await world.person(email="ravi@example.com")
    late = token_of(await world.there_and_back("ravi"))
    world.clock.move(timedelta(seconds=LINK_SECONDS))
    for unknown in (late, "", "made-up"):
        with pytest.raises(ChallengeOver):
            await world.confirm_link(unknown, proof, PHONE, HERE)


async def test_who_is_signed_in_links_whoever_they_are_there(world: World) -> None:
    person = await world.person()
    principal = await world.acting(await world.session(person))
    proof = Proof(password=PASSWORD)
    with pytest.raises(ReauthenticationFailed):
        await world.depart_to_link(principal, GOOGLE, "/account", Proof(), HERE)
    departure = await world.depart_to_link(principal, GOOGLE, "/account", proof, HERE)
    # Another address there, and not even a verified one: it is proved who asks.
    world.there.person("asha", email="other@example.com", email_verified=False)
    finished = await world.there_and_back("asha", departure=departure)
    assert (finished.outcome, finished.return_to) == (Linked(), "/account")
    assert opened(await world.there_and_back("asha")).user.id == person.id


async def test_an_identity_opens_one_account(world: World) -> None:
    await linked_person(world)
    other = await world.acting(await world.session(await world.person()))
    departure = await world.depart_to_link(other, GOOGLE, "/", Proof(password=PASSWORD), HERE)
    finished = await world.there_and_back("asha", departure=departure)
    assert finished.outcome is Trouble.IDENTITY_TAKEN


async def test_nothing_is_linked_once_the_session_is_over(world: World) -> None:
    principal = await world.acting(await world.session(await world.person()))
    departure = await world.depart_to_link(principal, GOOGLE, "/", Proof(password=PASSWORD), HERE)
    async with world.uow.begin(principal.user_id) as tx:
        await tx.sessions.end_all(SessionEnd.EVERYWHERE)
    finished = await world.there_and_back("asha", departure=departure)
    assert finished.outcome is Trouble.SESSION_OVER
    assert not world.database.tables.linked_identities


async def test_what_was_linked_elsewhere_meanwhile_is_not_linked(world: World) -> None:
    await world.person(email="asha@example.com")
    token = token_of(await world.there_and_back("asha"))
    other = await world.acting(await world.session(await world.person()))
    departure = await world.depart_to_link(other, GOOGLE, "/", Proof(password=PASSWORD), HERE)
    await world.there_and_back("asha", departure=departure)
    with pytest.raises(IdentityTaken):
        await world.confirm_link(token, Proof(password=PASSWORD), PHONE, HERE)


async def test_whose_account_it_is_hears_of_every_way_in_that_comes_and_goes(world: World) -> None:
    person = await world.person(email="asha@example.com")
    token = token_of(await world.there_and_back("asha"))
    assert world.mails(person) == []
    signed_in = await world.confirm_link(token, Proof(password=PASSWORD), PHONE, HERE)
    principal, proof = await world.acting(signed_in), Proof(password=PASSWORD)
    await world.unlink(principal, GOOGLE, proof, HERE)
    departure = await world.depart_to_link(principal, GOOGLE, "/account", proof, HERE)
    await world.there_and_back("ravi", departure=departure)
    assert world.mails(person) == [
        MailKind.IDENTITY_LINKED,
        MailKind.IDENTITY_UNLINKED,
        MailKind.IDENTITY_LINKED,
    ]


# Unlinking


async def test_unlinked_it_opens_nothing_any_more(world: World) -> None:
    person = await linked_person(world)
    principal = await world.acting(await world.session(person))
    with pytest.raises(ReauthenticationFailed):
        await world.unlink(principal, GOOGLE, Proof(), HERE)
    await world.unlink(principal, GOOGLE, Proof(password=PASSWORD), HERE)
    assert isinstance((await world.there_and_back("asha")).outcome, LinkNeeded)
    assert AuditAction.IDENTITY_UNLINKED in world.acts()
    for name in (GOOGLE, "nowhere"):
        with pytest.raises(NotFound):
            await world.unlink(principal, name, Proof(password=PASSWORD), HERE)


async def test_the_last_way_in_stays(world: World) -> None:
    signed_in = opened(await world.there_and_back("asha"))
    with pytest.raises(LastWayIn):
        await world.unlink(await world.acting(signed_in), GOOGLE, Proof(), HERE)
    assert opened(await world.there_and_back("asha")).user.id == signed_in.user.id


async def test_who_came_from_elsewhere_can_have_a_second_factor(world: World) -> None:
    signed_in = opened(await world.there_and_back("asha"))
    principal = await world.acting(signed_in)
    proposed = await world.propose(principal, Proof(), HERE)
    app = pyotp.TOTP(proposed.secret)
    await world.confirm(principal, app.at(world.clock.now()), HERE)
    assert isinstance((await world.there_and_back("asha")).outcome, SecondFactorNeeded)


# Where the browser is sent back to

ORIGINS = ("https://app.example.com", "http://localhost:3000")


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/projects?tab=1&x=%2F%2Fevil.example",
        "/a//b",
        "https://app.example.com",
        "https://app.example.com/projects",
        "https://app.example.com?x=1",
        "http://localhost:3000/",
    ],
)
def test_ones_own_pages_and_allowed_origins_may_be_come_back_to(address: str) -> None:
    assert check_return_address(address, ORIGINS) == address


OPEN_REDIRECTS = [
    "",
    "evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "HTTPS://app.example.com/",
    "https://app.example.com.evil.example/",
    "https://app.example.com@evil.example/",
    "https://app.example.com:443/",
    "https://app.example.com\\@evil.example/",
    "https://app.example.com#@evil.example/",
    "http://app.example.com/",
    "javascript:alert(1)",
    "data:text/html,x",
    "/x\r\nSet-Cookie: a=b",
    "/\u2215/evil.example",
    "/ünïcode",
    "/" + "x" * 512,
    "\x00/",
]


@pytest.mark.parametrize("address", OPEN_REDIRECTS)
async def test_nobody_is_sent_anywhere_else(world: World, address: str) -> None:
    with pytest.raises(InvalidValue):
        await world.depart(GOOGLE, address)


@given(st.text(max_size=80))
def test_whatever_passes_stays_with_us(address: str) -> None:
    """Read as a browser reads it (WHATWG URL): relative to our own page."""
    try:
        checked = check_return_address(address, ORIGINS)
    except InvalidValue:
        return
    assert checked[:1] == "/" or checked.startswith(ORIGINS)
    assert checked[1:2] not in ("/", "\\")


def test_a_mark_stands_in_the_query() -> None:
    assert with_mark("/a", "sign_in", "done") == "/a?sign_in=done"
    assert with_mark("/a?b=1", "sign_in", "done") == "/a?b=1&sign_in=done"
