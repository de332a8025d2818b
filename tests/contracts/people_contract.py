"""What every ``PeopleOversight``, ``AdjustmentRepository`` and ``set_standing`` keeps."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.paging import Page
from application.ports.people import AdjustmentOversight, PeopleOversight, PeopleQuery
from application.ports.persistence import UnitOfWork
from domain.billing.adjustment import Adjustment, AdjustmentStatus
from domain.identity.user import OwnStanding, PermissionDenied, Role, User
from domain.shared.ids import AdjustmentId, UserId
from tests.contracts.samples import intrude, keep_user, new_id

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def make_adjustment(user_id: UserId, **changes: object) -> Adjustment:
    """A proposal of some credits by somebody."""
    proposed: dict[str, object] = {
        "id": AdjustmentId(new_id()),
        "user_id": user_id,
        "credits": 500,
        "reason": "A run that we had broken.",
        "proposed_by": UserId(new_id()),
        "proposed_at": NOW,
        "expires_at": NOW + timedelta(days=7),
    }
    return Adjustment(**{**proposed, **changes})  # type: ignore[arg-type]  # by the caller


async def set_role(uow: UnitOfWork, by: User, of: User, role: Role) -> User:
    async with uow.begin(of.id) as tx:
        return await tx.users.set_standing(by.id, role=role)


class PeopleContract:
    async def test_people_are_found_newest_first(
        self, uow: UnitOfWork, people: PeopleOversight
    ) -> None:
        word = f"word{new_id().hex}"
        older = await keep_user(uow, name=f"Asha {word}")
        newer = await keep_user(uow, email=f"{word}@example.org", role=Role.PARTNER)
        query = PeopleQuery(page=Page(limit=10), search=word.upper())
        assert [person.id for person in await people.people(query)] == [newer.id, older.id]
        paged = replace(query, page=Page(limit=10, after=newer.id))
        assert [person.id for person in await people.people(paged)] == [older.id]
        partners = replace(query, role=Role.PARTNER)
        assert [person.id for person in await people.people(partners)] == [newer.id]
        assert await people.people(replace(query, is_active=False)) == []
        percent = replace(query, search=f"{word}%")
        assert await people.people(percent) == []

    async def test_one_is_shown_and_nobody_is_none(
        self, uow: UnitOfWork, people: PeopleOversight
    ) -> None:
        user = await keep_user(uow)
        seen = await people.person(user.id)
        assert seen is not None
        assert (seen.email, seen.name, seen.role) == (user.email, user.name, user.role)
        assert await people.person(UserId(new_id())) is None

    async def test_an_admin_changes_anothers_standing(self, uow: UnitOfWork) -> None:
        admin, user = await keep_user(uow, role=Role.ADMIN), await keep_user(uow)
        assert await set_role(uow, admin, user, Role.PARTNER) == replace(user, role=Role.PARTNER)
        async with uow.begin(user.id) as tx:
            suspended = await tx.users.set_standing(admin.id, is_active=False)
        assert (suspended.role, suspended.is_active) == (Role.PARTNER, False)

    async def test_nobody_changes_their_own(self, uow: UnitOfWork) -> None:
        admin = await keep_user(uow, role=Role.ADMIN)
        with pytest.raises(OwnStanding):
            await set_role(uow, admin, admin, Role.MEMBER)

    @pytest.mark.parametrize(
        "who", [{"role": Role.PARTNER}, {"role": Role.ADMIN, "is_active": False}]
    )
    async def test_only_an_active_admin_does(self, uow: UnitOfWork, who: dict[str, object]) -> None:
        other, user = await keep_user(uow, **who), await keep_user(uow)
        with pytest.raises(PermissionDenied):
            await set_role(uow, other, user, Role.ADMIN)
        async with uow.begin(user.id) as tx:
            assert await tx.users.get(user.id) == user

    async def test_of_two_who_demote_one_another_one_is_left(self, uow: UnitOfWork) -> None:
        one, two = [await keep_user(uow, role=Role.ADMIN) for _ in range(2)]
        results = await asyncio.gather(
            set_role(uow, one, two, Role.MEMBER),
            set_role(uow, two, one, Role.MEMBER),
            return_exceptions=True,
        )
        refused = [each for each in results if isinstance(each, BaseException)]
        assert [type(each) for each in refused] == [PermissionDenied]

    async def test_a_person_is_seen_as_themselves_or_by_their_email(self, uow: UnitOfWork) -> None:
        user, stranger = await keep_user(uow), await keep_user(uow)
        async with uow.begin(stranger.id) as tx:
            assert await tx.users.get(user.id) is None
            assert await tx.users.by_email(user.email) == user
            assert await tx.users.get(user.id) is None


class AdjustmentsContract:
    async def test_a_proposal_comes_back_and_is_decided(
        self, uow: UnitOfWork, adjustment_oversight: AdjustmentOversight
    ) -> None:
        user, admin = await keep_user(uow), await keep_user(uow)
        proposed = make_adjustment(user.id)
        async with uow.begin(user.id) as tx:
            await tx.adjustments.add(proposed)
        assert await adjustment_oversight.adjustment(proposed.id) == proposed
        approved = proposed.approved(admin.id, NOW)
        async with uow.begin(user.id) as tx:
            assert await tx.adjustments.get(proposed.id) == proposed
            await tx.adjustments.decide(approved)
        assert await adjustment_oversight.adjustment(proposed.id) == approved

    async def test_anothers_is_none(self, uow: UnitOfWork) -> None:
        user, stranger = await keep_user(uow), await keep_user(uow)
        proposed = make_adjustment(user.id)
        async with uow.begin(user.id) as tx:
            await tx.adjustments.add(proposed)
        async with uow.begin(stranger.id) as tx:
            assert await tx.adjustments.get(proposed.id) is None
        theirs = make_adjustment(user.id)
        await intrude(uow, stranger.id, lambda tx: tx.adjustments.add(theirs))

    async def test_they_are_listed_newest_first_by_state(
        self, uow: UnitOfWork, adjustment_oversight: AdjustmentOversight
    ) -> None:
        user = await keep_user(uow)
        kept = [make_adjustment(user.id) for _ in range(3)]
        for each in kept:
            async with uow.begin(user.id) as tx:
                await tx.adjustments.add(each)
        page = Page(limit=2)
        newest = await adjustment_oversight.adjustments(page, AdjustmentStatus.PROPOSED)
        assert newest == [kept[2], kept[1]]
        behind = Page(limit=1, after=kept[1].id)
        assert await adjustment_oversight.adjustments(behind, None) == [kept[0]]
        assert kept[0] not in await adjustment_oversight.adjustments(
            Page(limit=100), AdjustmentStatus.APPROVED
        )
