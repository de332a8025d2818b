"""Sessions go on while their tokens are used as they should be, and end at once when not."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.security import OneTimeSecrets, Peppers, generate_pepper
from application.identity.attempts import AttemptThrottle
from application.identity.authenticate_session import AuthenticateSession, SessionCache
from application.identity.end_sessions import RevokeSession, SignOut, SignOutEverywhere
from application.identity.open_session import SessionOpener, SignedIn
from application.identity.pass_first_factor import PassFirstFactor
from application.identity.refresh_session import RefreshSession
from application.identity.sign_in import Credentials, SignIn
from application.identity.watch_access import WatchAccess
from application.keys.local_rate_limiter import LocalRateLimiter
from application.ports.live import StreamHolder
from application.ports.security import Principal
from domain.audit.act import AuditAction
from domain.identity.session import (
    GRACE,
    IDLE,
    LONGEST,
    Device,
    RefreshRefused,
    SessionEnd,
    SignInMethod,
)
from domain.identity.user import InvalidCredentials, NotAuthenticated, Role, User
from domain.shared.errors import NotFound
from tests.contracts.samples import ORIGIN, keep_user
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.keys import InMemoryKeyChanges
from tests.fakes.known_places import InMemoryKnownPlaces
from tests.fakes.persistence import InMemoryDatabase
from tests.fakes.security import CountingRefreshTokens, OpaqueAccessTokens, PlainPasswordHasher
from tests.unit.keys.world import CountingUnitOfWork

PASSWORD = "correct horse battery staple"
PHONE = Device(address="203.0.113.5", agent="A phone")
THIEF = Device(address="198.51.100.66", agent="A thief")


class World:
    """A platform in memory, as far as sessions are concerned."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.database = InMemoryDatabase(self.clock)
        self.uow = CountingUnitOfWork(self.database)
        self.changes = InMemoryKeyChanges()
        self.tokens = OpaqueAccessTokens(self.clock)
        self.secrets = CountingRefreshTokens()
        self.hasher = PlainPasswordHasher()
        opener = SessionOpener(self.tokens, self.secrets, self.clock, CountingIds())
        secrets = OneTimeSecrets(Peppers.parse(generate_pepper()))
        first_factor = PassFirstFactor(opener, secrets, self.clock)
        self.sign_in = SignIn(
            self.uow,
            self.hasher,
            first_factor,
            AttemptThrottle(LocalRateLimiter(), InMemoryKnownPlaces(self.clock)),
        )
        self.refresh = RefreshSession(self.uow, self.secrets, self.tokens, self.changes)
        self.sign_out = SignOut(self.uow, self.secrets, self.changes)
        self.revoke = RevokeSession(self.uow, self.changes)
        self.everywhere = SignOutEverywhere(self.uow, self.changes)
        self.process = self.another_process()

    def another_process(self) -> AuthenticateSession:
        cache = SessionCache(self.changes, lambda: self.clock.now().timestamp())
        return AuthenticateSession(self.uow, cache, self.clock)

    async def person(self, **changes: object) -> User:
        return await keep_user(self.uow, password_hash=await self.hasher.hash(PASSWORD), **changes)

    async def signed_in(self, owner: User | None = None) -> SignedIn:
        owner = owner or await self.person()
        opened = await self.sign_in(
            Credentials(email=owner.email, password=PASSWORD, origin=ORIGIN), PHONE
        )
        assert isinstance(opened, SignedIn)
        return opened

    async def caller(self, token: str, process: AuthenticateSession | None = None) -> Principal:
        asked = process or self.process
        claimed = self.tokens.verify(token)
        return asked.remembered(claimed) or await asked(claimed)

    async def over(self, signed_in: SignedIn) -> bool:
        try:
            await self.caller(signed_in.access.token)
        except NotAuthenticated:
            return True
        return False

    def ended_by(self, signed_in: SignedIn) -> SessionEnd | None:
        return self.database.tables.sessions[signed_in.session.id].ended_by


@pytest.fixture
def world() -> World:
    return World()


# Signing in


async def test_signing_in_opens_a_session(world: World) -> None:
    owner = await world.person(role=Role.PARTNER)
    opened = await world.signed_in(owner)
    principal = await world.caller(opened.access.token)
    assert (principal.user_id, principal.role) == (owner.id, Role.PARTNER)
    assert principal.session is not None
    assert principal.session.methods == {SignInMethod.PASSWORD}
    assert principal.session.authenticated_at == world.clock.now()


async def test_a_wrong_password_opens_none(world: World) -> None:
    owner = await world.person()
    with pytest.raises(InvalidCredentials):
        await world.sign_in(Credentials(email=owner.email, password="x" * 20, origin=ORIGIN), PHONE)
    assert not world.database.tables.sessions


# Refreshing


async def test_a_session_goes_on_from_token_to_token(world: World) -> None:
    opened = await world.signed_in()
    going_on = opened
    for _ in range(5):
        world.clock.move(timedelta(minutes=9))
        going_on = await world.refresh(going_on.refresh, PHONE, ORIGIN)
    assert going_on.session.id == opened.session.id
    assert (await world.caller(going_on.access.token)).user_id == opened.user.id


async def test_only_hashes_of_refresh_tokens_are_kept(world: World) -> None:
    opened = await world.signed_in()
    going_on = await world.refresh(opened.refresh, PHONE, ORIGIN)
    kept = str(world.database.tables)
    assert opened.refresh not in kept
    assert going_on.refresh not in kept


async def test_a_token_used_again_later_ends_the_session(world: World) -> None:
    opened = await world.signed_in()
    going_on = await world.refresh(opened.refresh, PHONE, ORIGIN)
    world.clock.move(GRACE + timedelta(seconds=1))
    with pytest.raises(RefreshRefused):
        await world.refresh(opened.refresh, THIEF, ORIGIN)
    assert world.ended_by(opened) is SessionEnd.REUSED
    assert await world.over(going_on)
    with pytest.raises(RefreshRefused):
        await world.refresh(going_on.refresh, PHONE, ORIGIN)


async def test_a_lost_answer_is_given_again_within_the_grace(world: World) -> None:
    opened = await world.signed_in()
    lost = await world.refresh(opened.refresh, PHONE, ORIGIN)
    world.clock.move(GRACE)
    again = await world.refresh(opened.refresh, PHONE, ORIGIN)
    assert again.refresh == lost.refresh
    assert (await world.refresh(again.refresh, PHONE, ORIGIN)).session.id == opened.session.id


async def test_the_grace_ends_with_the_use_of_what_was_given(world: World) -> None:
    opened = await world.signed_in()
    going_on = await world.refresh(opened.refresh, PHONE, ORIGIN)
    await world.refresh(going_on.refresh, PHONE, ORIGIN)
    with pytest.raises(RefreshRefused):
        await world.refresh(opened.refresh, THIEF, ORIGIN)
    assert world.ended_by(opened) is SessionEnd.REUSED


async def test_a_thief_within_the_grace_gets_no_line_of_their_own(world: World) -> None:
    opened = await world.signed_in()
    owners = await world.refresh(opened.refresh, PHONE, ORIGIN)
    thiefs = await world.refresh(opened.refresh, THIEF, ORIGIN)
    assert thiefs.refresh == owners.refresh
    await world.refresh(thiefs.refresh, THIEF, ORIGIN)
    world.clock.move(timedelta(minutes=9))
    with pytest.raises(RefreshRefused):
        await world.refresh(owners.refresh, PHONE, ORIGIN)
    assert await world.over(thiefs)


async def test_two_at_once_get_the_same_successor(world: World) -> None:
    opened = await world.signed_in()
    one, other = await asyncio.gather(
        *(world.refresh(opened.refresh, PHONE, ORIGIN) for _ in range(2))
    )
    assert one.refresh == other.refresh
    assert not await world.over(one)


async def test_a_lost_answer_is_found_after_the_secret_changed(world: World) -> None:
    opened = await world.signed_in()
    lost = await world.refresh(opened.refresh, PHONE, ORIGIN)
    world.secrets.secrets = ("newer", *world.secrets.secrets)
    assert (await world.refresh(opened.refresh, PHONE, ORIGIN)).refresh == lost.refresh


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 5000, "\ud800"])
async def test_what_is_no_refresh_token_is_refused(world: World, token: str) -> None:
    with pytest.raises(RefreshRefused):
        await world.refresh(token, PHONE, ORIGIN)


async def test_a_session_that_is_not_used_ends(world: World) -> None:
    opened = await world.signed_in()
    world.clock.move(IDLE)
    with pytest.raises(RefreshRefused):
        await world.refresh(opened.refresh, PHONE, ORIGIN)


async def test_no_use_keeps_a_session_for_ever(world: World) -> None:
    opened = going_on = await world.signed_in()
    began = world.clock.now()
    with pytest.raises(RefreshRefused):
        while True:
            world.clock.move(timedelta(days=13))
            going_on = await world.refresh(going_on.refresh, PHONE, ORIGIN)
    assert going_on.session.id == opened.session.id
    assert LONGEST - timedelta(days=13) < going_on.session.last_used_at - began < LONGEST


# Ending


async def test_signing_out_ends_the_session_of_the_access_token(world: World) -> None:
    opened, other = await world.signed_in(), await world.signed_in()
    await world.sign_out(await world.caller(opened.access.token), None, ORIGIN)
    assert await world.over(opened)
    assert not await world.over(other)


async def test_signing_out_ends_the_session_of_the_refresh_token(world: World) -> None:
    opened = await world.signed_in()
    await world.sign_out(None, "nonsense", ORIGIN)
    assert not await world.over(opened)
    await world.sign_out(None, opened.refresh, ORIGIN)
    assert await world.over(opened)


async def test_a_session_is_revoked_in_every_process_at_once(world: World) -> None:
    owner = await world.person()
    here, there = await world.signed_in(owner), await world.signed_in(owner)
    other = world.another_process()
    for process in (world.process, other):
        await world.caller(there.access.token, process)
    await world.revoke(owner.id, there.session.id, ORIGIN)
    for process in (world.process, other):
        with pytest.raises(NotAuthenticated):
            await world.caller(there.access.token, process)
    assert not await world.over(here)


async def test_nobody_revokes_anothers(world: World) -> None:
    opened, stranger = await world.signed_in(), await world.person()
    with pytest.raises(NotFound):
        await world.revoke(stranger.id, opened.session.id, ORIGIN)
    assert not await world.over(opened)


async def test_signing_out_everywhere_ends_all(world: World) -> None:
    owner = await world.person()
    sessions = [await world.signed_in(owner) for _ in range(3)]
    for each in sessions:
        assert not await world.over(each)
    assert await world.everywhere(owner.id, ORIGIN) == 3
    for each in sessions:
        assert await world.over(each)
    assert not await world.over(await world.signed_in(owner))


# What a process remembers


async def test_a_known_session_is_checked_without_the_database(world: World) -> None:
    opened = await world.signed_in()
    await world.caller(opened.access.token)
    begun = world.uow.begun
    await world.caller(opened.access.token)
    assert world.uow.begun == begun


async def test_without_news_the_truth_is_asked(world: World) -> None:
    opened = await world.signed_in()
    await world.caller(opened.access.token)
    world.changes.cut()
    await world.revoke(opened.user.id, opened.session.id, ORIGIN)
    assert await world.over(opened)


async def test_a_remembered_session_still_ends_in_time(world: World) -> None:
    opened = await world.signed_in()
    early = replace(
        world.database.tables.sessions[opened.session.id],
        expires_at=world.clock.now() + timedelta(seconds=5),
    )
    world.database.tables.sessions[opened.session.id] = early
    assert not await world.over(opened)
    world.clock.move(timedelta(seconds=5))
    assert await world.over(opened)


async def test_the_role_is_what_it_is_now_and_not_what_the_token_says(world: World) -> None:
    owner = await world.person(role=Role.ADMIN)
    opened = await world.signed_in(owner)
    world.database.tables.users[owner.id] = replace(owner, role=Role.MEMBER)
    assert (await world.caller(opened.access.token)).role is Role.MEMBER


async def test_an_account_that_is_off_is_not_let_in(world: World) -> None:
    owner = await world.person()
    opened = await world.signed_in(owner)
    world.database.tables.users[owner.id] = replace(owner, is_active=False)
    assert await world.over(opened)


# Open streams


async def watching(world: World, opened: SignedIn) -> "asyncio.Task[None]":
    watch = WatchAccess(world.uow, world.changes, world.clock, look_seconds=60, alone_seconds=0.01)
    holder = StreamHolder(user_id=opened.user.id, session_id=opened.session.id)
    task = asyncio.create_task(watch(holder))
    await asyncio.sleep(0.02)
    assert not task.done()
    return task


async def test_a_stream_is_over_with_its_session(world: World) -> None:
    opened = await world.signed_in()
    over = await watching(world, opened)
    await world.revoke(opened.user.id, opened.session.id, ORIGIN)
    await asyncio.wait_for(over, 5)


async def test_a_stream_is_over_with_its_account(world: World) -> None:
    owner = await world.person()
    over = await watching(world, await world.signed_in(owner))
    world.database.tables.users[owner.id] = replace(owner, is_active=False)
    await world.changes.announce(owner.id)
    await asyncio.wait_for(over, 5)


async def test_a_stream_is_over_though_no_news_arrive(world: World) -> None:
    opened = await world.signed_in()
    world.changes.cut()
    over = await watching(world, opened)
    await world.revoke(opened.user.id, opened.session.id, ORIGIN)
    await asyncio.wait_for(over, 5)


async def test_a_stream_goes_on_with_another_sessions_end(world: World) -> None:
    owner = await world.person()
    opened, other = await world.signed_in(owner), await world.signed_in(owner)
    over = await watching(world, opened)
    await world.revoke(owner.id, other.session.id, ORIGIN)
    await asyncio.sleep(0.05)
    assert not over.done()
    over.cancel()


# What is written down


async def test_every_end_of_a_session_is_written_down_once(world: World) -> None:
    owner = await world.person()
    one, two, three, four = [await world.signed_in(owner) for _ in range(4)]
    await world.sign_out(None, one.refresh, ORIGIN)
    await world.sign_out(None, one.refresh, ORIGIN)
    await world.revoke(owner.id, two.session.id, ORIGIN)
    going_on = await world.refresh(three.refresh, PHONE, ORIGIN)
    await world.refresh(going_on.refresh, PHONE, ORIGIN)
    for _ in range(3):
        with pytest.raises(RefreshRefused):
            await world.refresh(three.refresh, THIEF, ORIGIN)
    await world.everywhere(owner.id, ORIGIN)
    entries = list(world.database.tables.audit.values())[4:]
    assert [(entry.act.action, entry.act.subject_id) for entry in entries] == [
        (AuditAction.SIGNED_OUT, str(one.session.id)),
        (AuditAction.SESSION_REVOKED, str(two.session.id)),
        (AuditAction.REFRESH_TOKEN_REUSED, str(three.session.id)),
        (AuditAction.SIGNED_OUT_EVERYWHERE, str(owner.id)),
    ]
    assert {entry.user_id for entry in entries} == {owner.id}
    assert await world.over(four)
