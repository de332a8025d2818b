"""What every ``SessionRepository`` keeps."""

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.persistence import UnitOfWork
from domain.identity.session import Device, Session, SessionEnd
from domain.identity.user import Role, User
from domain.shared.ids import SessionId
from tests.contracts.samples import keep_session, keep_user, make_session, new_id

ELSEWHERE = Device(address="198.51.100.9", agent="Another browser")
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def digest() -> str:
    return secrets.token_hex(32)


async def kept(uow: UnitOfWork, **changes: object) -> tuple[User, Session, str]:
    owner, first = await keep_user(uow), digest()
    return owner, await keep_session(uow, owner, first, **changes), first


async def rotated(uow: UnitOfWork, owner: User, presented: str, successor: str) -> Session | None:
    async with uow.begin(owner.id) as tx:
        return await tx.sessions.rotate(
            presented, salt=b"salt", successor=successor, device=ELSEWHERE
        )


class SessionsContract:
    """Subclasses provide ``uow``."""

    async def test_a_session_stands_with_its_account(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow, role=Role.PARTNER)
        session = await keep_session(uow, owner)
        async with uow.begin(owner.id) as tx:
            standing = await tx.sessions.standing(session.id)
        assert standing is not None
        assert standing.session == session
        assert (standing.role, standing.is_active, standing.account_version) == (
            Role.PARTNER,
            True,
            1,
        )

    async def test_another_persons_is_not_there(self, uow: UnitOfWork) -> None:
        _, session, first = await kept(uow)
        stranger = await keep_user(uow)
        async with uow.begin(stranger.id) as tx:
            assert await tx.sessions.standing(session.id) is None
            assert await tx.sessions.of_token(first) is None
            assert not await tx.sessions.end(session.id, SessionEnd.REVOKED)
            assert list(await tx.sessions.live()) == []
        assert await rotated(uow, stranger, first, digest()) is None

    async def test_who_holds_a_token_is_found_by_nobody_in_particular(
        self, uow: UnitOfWork
    ) -> None:
        owner, session, first = await kept(uow)
        async with uow.begin(None) as tx:
            assert await tx.sessions.holder(first) == owner.id
            assert await tx.sessions.holder(digest()) is None
        async with uow.begin(owner.id) as tx:
            assert await tx.sessions.of_token(first) == session.id

    async def test_a_token_is_used_once_and_followed_by_the_next(self, uow: UnitOfWork) -> None:
        owner, session, first = await kept(uow)
        second = digest()
        changed = await rotated(uow, owner, first, second)
        assert changed is not None
        assert (changed.id, changed.device) == (session.id, ELSEWHERE)
        assert await rotated(uow, owner, first, digest()) is None
        async with uow.begin(owner.id) as tx:
            used = await tx.sessions.used(first)
            assert used is not None
            assert (used.session_id, used.successor, used.salt) == (session.id, second, b"salt")
            assert not used.successor_used
            assert timedelta() <= used.used_for < timedelta(minutes=5)
            assert await tx.sessions.used(second) is None
        assert await rotated(uow, owner, second, digest()) is not None
        async with uow.begin(owner.id) as tx:
            used = await tx.sessions.used(first)
        assert used is not None
        assert used.successor_used

    async def test_of_many_at_once_one_uses_a_token(self, uow: UnitOfWork) -> None:
        owner, _, first = await kept(uow)
        successors = [digest() for _ in range(8)]
        outcomes = await asyncio.gather(*(rotated(uow, owner, first, each) for each in successors))
        assert sum(outcome is not None for outcome in outcomes) == 1
        async with uow.begin(owner.id) as tx:
            used = await tx.sessions.used(first)
        assert used is not None
        won = next(n for n, outcome in enumerate(outcomes) if outcome is not None)
        assert used.successor == successors[won]

    @pytest.mark.parametrize("why", ["ended", "expired", "everywhere"])
    async def test_a_session_that_is_over_gives_nothing_any_more(
        self, uow: UnitOfWork, why: str
    ) -> None:
        owner, session, first = await kept(
            uow, **({"expires_at": PAST} if why == "expired" else {})
        )
        async with uow.begin(owner.id) as tx:
            if why == "ended":
                assert await tx.sessions.end(session.id, SessionEnd.REVOKED)
            if why == "everywhere":
                assert await tx.sessions.end_all(SessionEnd.EVERYWHERE) == 1
        assert await rotated(uow, owner, first, digest()) is None
        async with uow.begin(owner.id) as tx:
            assert not await tx.sessions.end(session.id, SessionEnd.REVOKED)
            assert list(await tx.sessions.live()) == []
            standing = await tx.sessions.standing(session.id)
            assert standing is not None
            assert not standing.live(datetime.now(UTC))

    async def test_sessions_of_an_account_that_is_off_are_over(self, uow: UnitOfWork) -> None:
        owner, first = await keep_user(uow, is_active=False), digest()
        await keep_session(uow, owner, first)
        assert await rotated(uow, owner, first, digest()) is None

    async def test_the_last_used_comes_first(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        now = datetime.now(UTC)
        sessions = [
            await keep_session(uow, owner, last_used_at=now - timedelta(hours=hours))
            for hours in (2, 1, 3)
        ]
        async with uow.begin(owner.id) as tx:
            found = await tx.sessions.live()
        assert [each.id for each in found] == [sessions[n].id for n in (1, 0, 2)]

    async def test_ending_says_why_and_happens_once(self, uow: UnitOfWork) -> None:
        owner, session, _ = await kept(uow)
        async with uow.begin(owner.id) as tx:
            assert await tx.sessions.end(session.id, SessionEnd.REUSED)
            assert not await tx.sessions.end(session.id, SessionEnd.SIGNED_OUT)
            assert not await tx.sessions.end(SessionId(new_id()), SessionEnd.SIGNED_OUT)
        async with uow.begin(owner.id) as tx:
            standing = await tx.sessions.standing(session.id)
        assert standing is not None
        assert standing.session.ended_by is SessionEnd.REUSED

    async def test_all_but_one_can_be_ended(self, uow: UnitOfWork) -> None:
        owner, kept_one, token = await kept(uow)
        other = await keep_session(uow, owner)
        bystander, theirs, _ = await kept(uow)
        async with uow.begin(owner.id) as tx:
            ended = await tx.sessions.end_all(SessionEnd.CREDENTIALS_CHANGED, but=kept_one.id)
        assert ended == 1
        async with uow.begin(owner.id) as tx:
            found = list(await tx.sessions.live())
            assert [(each.id, each.version) for each in found] == [(kept_one.id, 2)]
            standing = await tx.sessions.standing(other.id)
        assert standing is not None
        assert standing.session.ended_by is SessionEnd.CREDENTIALS_CHANGED
        assert await rotated(uow, owner, token, digest()) is not None
        async with uow.begin(bystander.id) as tx:
            assert [each.id for each in await tx.sessions.live()] == [theirs.id]

    async def test_what_was_proved_before_all_were_ended_opens_nothing(
        self, uow: UnitOfWork
    ) -> None:
        owner = await keep_user(uow)
        async with uow.begin(owner.id) as tx:
            await tx.sessions.end_all(SessionEnd.EVERYWHERE)
        # Signed in with a password that was right a moment ago, in another request.
        late, token = make_session(owner), digest()
        async with uow.begin(owner.id) as tx:
            await tx.sessions.open(late, token)
        assert await rotated(uow, owner, token, digest()) is None
        async with uow.begin(owner.id) as tx:
            user = await tx.users.get(owner.id)
        assert user == replace(owner, session_version=2)
