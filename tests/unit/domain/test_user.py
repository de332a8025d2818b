"""Users: the password policy, names, and what a role allows."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.identity.user import (
    MAX_NAME_LENGTH,
    MAX_PASSWORD_LENGTH,
    MIN_PASSWORD_LENGTH,
    PERMISSIONS,
    Permission,
    Role,
    User,
    check_password,
    clean_name,
)
from domain.shared.errors import InvalidValue
from domain.shared.ids import UserId

USER = User(
    id=UserId(UUID(int=1)),
    email="asha@example.org",
    name="Asha",
    password_hash="$argon2id$",
    role=Role.MEMBER,
    is_active=True,
    created_at=datetime(2026, 11, 2, tzinfo=UTC),
)


class TestPasswords:
    @given(st.text(min_size=MIN_PASSWORD_LENGTH, max_size=MAX_PASSWORD_LENGTH))
    def test_any_characters_will_do_at_a_good_length(self, password: str) -> None:
        check_password(password)

    @given(st.text(max_size=MIN_PASSWORD_LENGTH - 1))
    def test_one_too_short_is_refused_with_the_bound(self, password: str) -> None:
        with pytest.raises(InvalidValue, match=str(MIN_PASSWORD_LENGTH)) as refused:
            check_password(password)
        assert refused.value.field == "password"

    @pytest.mark.parametrize("excess", [1, 1_000_000])
    def test_one_too_long_is_refused_with_the_bound(self, excess: int) -> None:
        with pytest.raises(InvalidValue, match=str(MAX_PASSWORD_LENGTH)):
            check_password("x" * (MAX_PASSWORD_LENGTH + excess))

    @given(st.text(max_size=MIN_PASSWORD_LENGTH - 1))
    def test_a_refusal_does_not_repeat_the_password(self, password: str) -> None:
        assume(len(password) > 3)
        with pytest.raises(InvalidValue) as refused:
            check_password(f"\N{SNOWMAN}{password}"[: MIN_PASSWORD_LENGTH - 1])
        assert "\N{SNOWMAN}" not in f"{refused.value} {refused.value.params}"


class TestNames:
    @given(st.text())
    def test_a_clean_name_is_one_printable_line_of_fitting_length(self, name: str) -> None:
        try:
            cleaned = clean_name(name)
        except InvalidValue:
            return
        assert cleaned.isprintable()
        assert 1 <= len(cleaned) <= MAX_NAME_LENGTH

    @given(st.text())
    def test_a_clean_name_stays_as_it_is(self, name: str) -> None:
        try:
            cleaned = clean_name(name)
        except InvalidValue:
            return
        assert clean_name(cleaned) == cleaned

    @pytest.mark.parametrize(
        ("name", "cleaned"),
        [
            ("  Asha \t Rao\n", "Asha Rao"),
            ("Asha\x00Rao", "Asha Rao"),
            ("आशा राव", "आशा राव"),
            ("O'Neill-Müller", "O'Neill-Müller"),
        ],
    )
    def test_space_and_control_characters_become_one_space(self, name: str, cleaned: str) -> None:
        assert clean_name(name) == cleaned

    @pytest.mark.parametrize("name", ["", "   ", "\x00\n\t", "\u200b"])
    def test_a_name_of_nothing_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidValue):
            clean_name(name)

    def test_a_name_of_the_greatest_length_fits(self) -> None:
        assert clean_name("x" * MAX_NAME_LENGTH) == "x" * MAX_NAME_LENGTH

    def test_a_longer_name_is_refused(self) -> None:
        with pytest.raises(InvalidValue, match=str(MAX_NAME_LENGTH)):
            clean_name("x" * (MAX_NAME_LENGTH + 1))


class TestPermissions:
    @pytest.mark.parametrize("role", Role)
    def test_every_role_may_work_on_projects(self, role: Role) -> None:
        user = replace(USER, role=role)
        assert all(user.may(right) for right in Permission if right.startswith("projects:"))

    @pytest.mark.parametrize(
        ("role", "allowed"), [(Role.MEMBER, False), (Role.PARTNER, True), (Role.ADMIN, True)]
    )
    def test_only_partners_and_admins_issue_keys(self, role: Role, allowed: bool) -> None:
        assert replace(USER, role=role).may(Permission.KEYS_ISSUE) is allowed

    @pytest.mark.parametrize("right", [Permission.USERS_READ, Permission.RUNS_OPERATE])
    def test_only_admins_operate(self, right: Permission) -> None:
        assert [role for role in Role if replace(USER, role=role).may(right)] == [Role.ADMIN]

    @pytest.mark.parametrize("role", Role)
    def test_an_inactive_person_may_nothing(self, role: Role) -> None:
        user = replace(USER, role=role, is_active=False)
        assert not any(user.may(right) for right in Permission)

    def test_every_role_has_its_permissions_listed(self) -> None:
        assert set(PERMISSIONS) == set(Role)
