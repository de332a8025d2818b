"""What every ``UserRepository`` keeps."""

import pytest

from application.ports.persistence import UnitOfWork
from domain.identity.user import EmailTaken, Role
from domain.shared.ids import UserId
from tests.contracts.samples import keep_user, make_user, new_id


class UsersContract:
    async def test_a_user_comes_back_as_kept(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, name="आशा राव", role=Role.PARTNER, is_active=False)
        async with uow.begin(user.id) as tx:
            assert await tx.users.get(user.id) == user

    async def test_a_user_is_found_by_email_before_sign_in(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        async with uow.begin(None) as tx:
            assert await tx.users.by_email(user.email) == user

    async def test_an_unknown_id_is_nobody(self, uow: UnitOfWork) -> None:
        async with uow.begin(None) as tx:
            assert await tx.users.get(UserId(new_id())) is None

    async def test_an_unknown_email_is_nobody(self, uow: UnitOfWork) -> None:
        async with uow.begin(None) as tx:
            assert await tx.users.by_email(f"{new_id()}@example.org") is None

    async def test_an_email_is_taken_once(self, uow: UnitOfWork) -> None:
        first = await keep_user(uow)
        second = make_user(email=first.email)
        with pytest.raises(EmailTaken):
            async with uow.begin(second.id) as tx:
                await tx.users.add(second)

    async def test_who_came_second_for_an_email_is_not_kept(self, uow: UnitOfWork) -> None:
        first = await keep_user(uow)
        second = make_user(email=first.email)
        with pytest.raises(EmailTaken):
            async with uow.begin(second.id) as tx:
                await tx.users.add(second)
        async with uow.begin(second.id) as tx:
            assert await tx.users.get(second.id) is None

    async def test_a_new_hash_is_kept_and_the_rest_stays(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow)
        async with uow.begin(user.id) as tx:
            await tx.users.set_password_hash(user.id, "$argon2id$v=19$new")
        async with uow.begin(user.id) as tx:
            changed = await tx.users.get(user.id)
        assert changed == make_user(
            id=user.id,
            email=user.email,
            created_at=user.created_at,
            password_hash="$argon2id$v=19$new",
            email_verified_at=user.email_verified_at,
        )

    async def test_a_proved_address_takes_the_place_of_the_one_before(
        self, uow: UnitOfWork
    ) -> None:
        user, new = await keep_user(uow, email_verified_at=None), f"{new_id()}@example.org"
        async with uow.begin(user.id) as tx:
            await tx.users.set_email(user.id, new)
        async with uow.begin(None) as tx:
            found = await tx.users.by_email(new)
            assert await tx.users.by_email(user.email) is None
        assert found is not None
        assert (found.id, found.email_verified_at is not None) == (user.id, True)

    async def test_an_address_is_not_taken_from_anybody(self, uow: UnitOfWork) -> None:
        user, other = await keep_user(uow), await keep_user(uow)
        with pytest.raises(EmailTaken):
            async with uow.begin(user.id) as tx:
                await tx.users.set_email(user.id, other.email)

    async def test_who_is_erased_leaves_no_name_and_no_way_in(self, uow: UnitOfWork) -> None:
        user, other = await keep_user(uow), await keep_user(uow)
        async with uow.begin(user.id) as tx:
            await tx.users.erase(user.id)
            await tx.users.erase(other.id)
        async with uow.begin(other.id) as tx:
            assert await tx.users.get(other.id) == other
        async with uow.begin(user.id) as tx:
            left = await tx.users.get(user.id)
        assert left is not None
        assert not left.is_active
        for told in (user.email, user.name, user.password_hash):
            assert told not in str(left)

    async def test_a_new_hash_of_one_is_not_anothers(self, uow: UnitOfWork) -> None:
        user, other = await keep_user(uow), await keep_user(uow)
        async with uow.begin(user.id) as tx:
            await tx.users.set_password_hash(user.id, "$argon2id$v=19$new")
        async with uow.begin(other.id) as tx:
            assert await tx.users.get(other.id) == other
