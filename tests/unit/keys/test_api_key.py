"""What a key allows, and what becomes of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.agents.artifacts import Mode
from domain.identity.user import ADMINS_ALONE, PERMISSIONS, Permission, Role
from domain.keys.addresses import caller, clean_networks, within
from domain.keys.api_key import (
    InvalidKey,
    KeyExpired,
    KeyRevoked,
    KeyRotating,
    KeyStatus,
    ModeNotAllowed,
    check_expiry,
)
from domain.keys.key_text import KeyEnvironment
from domain.keys.rate_limit import RatePolicy
from domain.keys.scopes import InsufficientScope, effective, grantable
from domain.shared.errors import InvalidValue
from domain.shared.ids import ApiKeyId, UserId
from tests.contracts.keys_contract import make_key, make_secret
from tests.contracts.samples import new_id

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
KEY = make_key(UserId(new_id()), allowed_ips=(), modes=frozenset())
DIGEST = KEY.secret.digest
UNBOUNDED = replace(KEY, limits=())
TEN_A_MINUTE = RatePolicy(of="key", quota=10, window_seconds=60)
TEN_A_DAY = RatePolicy(of="key", quota=10, window_seconds=86_400)


def test_an_active_key_may_be_used() -> None:
    KEY.check_use(DIGEST, "198.51.100.7", NOW)
    assert KEY.status(NOW) is KeyStatus.ACTIVE


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"revoked_at": NOW}, InvalidKey),
        ({"allowed_ips": ("203.0.113.0/24",)}, InvalidKey),
        ({"expires_at": NOW}, KeyExpired),
        # Who is not let in for another reason does not learn that the key has expired.
        ({"expires_at": NOW, "revoked_at": NOW}, InvalidKey),
        ({"expires_at": NOW, "allowed_ips": ("203.0.113.0/24",)}, InvalidKey),
    ],
)
def test_what_ends_a_keys_use(changes: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        replace(KEY, **changes).check_use(DIGEST, "198.51.100.7", NOW)


def test_another_keys_digest_opens_nothing() -> None:
    with pytest.raises(InvalidKey):
        KEY.check_use("0" * 64, "198.51.100.7", NOW)


def test_after_a_rotation_the_old_secret_works_until_its_end() -> None:
    rotated = KEY.rotated(make_secret(), NOW, 60)
    rotated.check_use(rotated.secret.digest, "", NOW)
    rotated.check_use(DIGEST, "", NOW + timedelta(seconds=59))
    with pytest.raises(KeyExpired):
        rotated.check_use(DIGEST, "", NOW + timedelta(seconds=60))


def test_without_an_overlap_every_old_secret_ends_at_once() -> None:
    rotated = KEY.rotated(make_secret(), NOW, 60)
    again = rotated.rotated(make_secret(), NOW, 0)
    for digest in (DIGEST, rotated.secret.digest):
        with pytest.raises(InvalidKey):
            again.check_use(digest, "", NOW)


def test_a_rotation_waits_for_the_overlap_of_the_one_before() -> None:
    rotated = KEY.rotated(make_secret(), NOW, 60)
    with pytest.raises(KeyRotating):
        rotated.rotated(make_secret(), NOW + timedelta(seconds=59), 60)
    rotated.rotated(make_secret(), NOW + timedelta(seconds=60), 60)


@pytest.mark.parametrize("seconds", [-1, 30 * 86_400 + 1])
def test_an_overlap_is_bounded(seconds: int) -> None:
    with pytest.raises(InvalidValue, match="30 days"):
        KEY.rotated(make_secret(), NOW, seconds)


def test_a_revoked_key_stays_revoked() -> None:
    revoked = KEY.revoked(NOW)
    assert revoked.revoked(NOW + timedelta(days=1)) == revoked
    with pytest.raises(KeyRevoked):
        revoked.rotated(make_secret(), NOW, 0)


def test_a_keys_scopes_are_at_most_its_owners() -> None:
    wide = frozenset(Permission)
    live = KeyEnvironment.LIVE
    assert effective(wide, Role.MEMBER, live) == PERMISSIONS[Role.MEMBER]
    assert effective(frozenset({Permission.RUNS_OPERATE}), Role.PARTNER, live) == frozenset()
    for scope in PERMISSIONS[Role.PARTNER] - PERMISSIONS[Role.MEMBER]:
        assert grantable([scope], PERMISSIONS[Role.PARTNER], live) == {scope}
        with pytest.raises(InvalidValue, match=f"You do not hold {scope}"):
            grantable([scope], PERMISSIONS[Role.MEMBER], live)


@pytest.mark.parametrize("environment", KeyEnvironment)
@pytest.mark.parametrize("scope", sorted(ADMINS_ALONE))
def test_no_key_is_for_what_admins_alone_may_do(
    environment: KeyEnvironment, scope: Permission
) -> None:
    with pytest.raises(InvalidValue, match=f"No key can have {scope}"):
        grantable([Permission.PROJECTS_READ, scope], PERMISSIONS[Role.ADMIN], environment)
    with pytest.raises(InvalidValue) as nothing:
        grantable([], PERMISSIONS[Role.ADMIN], environment)
    assert scope not in nothing.value.message
    # Nor may one that was given it before there was this rule.
    assert scope not in effective(frozenset(Permission), Role.ADMIN, environment)


def test_a_test_key_moves_no_money() -> None:
    test, scope = KeyEnvironment.TEST, Permission.BILLING_BUY
    with pytest.raises(InvalidValue, match=f"A test key cannot have {scope}"):
        grantable([Permission.PROJECTS_READ, scope], PERMISSIONS[Role.ADMIN], test)
    assert scope not in effective(frozenset(Permission), Role.ADMIN, test)


def test_a_key_is_for_its_modes() -> None:
    acting = replace(KEY, modes=frozenset({Mode.STUDENT})).acting(Role.PARTNER)
    acting.check_mode(Mode.STUDENT)
    with pytest.raises(ModeNotAllowed, match="student"):
        acting.check_mode(Mode.DEVELOPER)
    KEY.acting(Role.PARTNER).check_mode(Mode.FOUNDER)


@pytest.mark.parametrize(
    ("manager", "managed"),
    [
        ({"scopes": frozenset({Permission.PROJECTS_READ})}, {}),
        ({"environment": KeyEnvironment.TEST}, {}),
        ({"modes": frozenset({Mode.STUDENT})}, {}),
        ({"modes": frozenset({Mode.STUDENT})}, {"modes": frozenset({Mode.DEVELOPER})}),
        ({"allowed_ips": ("203.0.113.0/24",)}, {}),
        ({"allowed_ips": ("203.0.113.0/24",)}, {"allowed_ips": ("203.0.113.0/24",)}),
        ({"credit_cap": 5}, {}),
        ({"credit_cap": 5}, {"credit_cap": 5}),
        ({"expires_at": NOW}, {}),
        ({"expires_at": NOW}, {"expires_at": NOW + timedelta(seconds=1)}),
        ({"limits": (TEN_A_MINUTE,)}, {}),
        ({"limits": (TEN_A_MINUTE,)}, {"limits": (replace(TEN_A_MINUTE, quota=11),)}),
        ({"limits": (TEN_A_MINUTE,)}, {"limits": (replace(TEN_A_MINUTE, window_seconds=59),)}),
    ],
)
def test_a_key_manages_none_that_is_wider(
    manager: dict[str, object], managed: dict[str, object]
) -> None:
    acting = replace(UNBOUNDED, **manager).acting(Role.PARTNER)
    other = replace(UNBOUNDED, **{"id": ApiKeyId(new_id()), **managed})
    with pytest.raises(InsufficientScope):
        acting.check_reach(other)
    UNBOUNDED.acting(Role.PARTNER).check_reach(other)


@pytest.mark.parametrize(
    ("manager", "managed"),
    [
        ({"modes": frozenset({Mode.STUDENT})}, {"modes": frozenset({Mode.STUDENT})}),
        ({"expires_at": NOW}, {"expires_at": NOW}),
        ({"limits": (TEN_A_MINUTE,)}, {"limits": (TEN_A_MINUTE, TEN_A_DAY)}),
        ({"limits": (TEN_A_MINUTE,)}, {"limits": (TEN_A_DAY,)}),
    ],
)
def test_a_bounded_key_manages_those_within_its_bounds(
    manager: dict[str, object], managed: dict[str, object]
) -> None:
    other = replace(UNBOUNDED, **{"id": ApiKeyId(new_id()), **managed})
    replace(UNBOUNDED, **manager).acting(Role.PARTNER).check_reach(other)


@pytest.mark.parametrize(
    ("bounds", "loosened"),
    [
        ({"allowed_ips": ("203.0.113.0/24",)}, {"allowed_ips": ()}),
        ({"allowed_ips": ("203.0.113.0/24",)}, {"allowed_ips": ("203.0.112.0/23",)}),
        ({"allowed_ips": ("203.0.113.0/24",)}, {"allowed_ips": ("203.0.113.0/24", "::/0")}),
        ({"credit_cap": 5}, {"credit_cap": None}),
        ({"credit_cap": 5}, {"credit_cap": 6}),
        ({"expires_at": NOW}, {"expires_at": None}),
        ({"limits": (TEN_A_MINUTE,)}, {"limits": ()}),
        ({"modes": frozenset({Mode.STUDENT})}, {"modes": frozenset()}),
    ],
)
def test_a_key_does_not_loosen_itself(
    bounds: dict[str, object], loosened: dict[str, object]
) -> None:
    key = replace(UNBOUNDED, **bounds)
    with pytest.raises(InsufficientScope):
        key.acting(Role.PARTNER).check_reach(replace(key, **loosened))
    key.acting(Role.PARTNER).check_reach(key)


def test_a_key_may_tighten_itself() -> None:
    key = replace(UNBOUNDED, allowed_ips=("203.0.113.0/24", "2001:db8::/32"), credit_cap=5)
    tighter = replace(key, allowed_ips=("203.0.113.7/32",), credit_cap=4, expires_at=NOW)
    key.acting(Role.PARTNER).check_reach(tighter)


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("203.0.113.9", ("203.0.113.0/24",), True),
        ("203.0.114.9", ("203.0.113.0/24",), False),
        ("::ffff:203.0.113.9", ("203.0.113.0/24",), True),
        ("2001:db8::1", ("203.0.113.0/24", "2001:db8::/32"), True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("203.0.113.9", ("::ffff:203.0.113.0/120",), True),
        ("203.0.113.9", ("::/0",), False),
        ("", ("0.0.0.0/0", "::/0"), False),
        ("unix", ("0.0.0.0/0",), False),
    ],
)
def test_addresses_in_networks(address: str, networks: tuple[str, ...], inside: bool) -> None:
    assert within(address, networks) is inside


def test_networks_are_kept_in_their_normal_form() -> None:
    given = [" 203.0.113.0/24 ", "2001:DB8::/32", "198.51.100.7", "203.0.113.0/24"]
    assert clean_networks(given) == ("203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32")
    with pytest.raises(InvalidValue):
        clean_networks(f"10.0.0.{n}" for n in range(51))


def test_ipv4_networks_in_the_clothes_of_ipv6_are_kept_as_what_they_are() -> None:
    given = ["::ffff:203.0.113.0/120", "::ffff:198.51.100.7", "::/0"]
    assert clean_networks(given) == ("203.0.113.0/24", "198.51.100.7/32", "::/0")


@pytest.mark.parametrize("given", ["fe80::1%eth0", "fe80::1%eth0\r\nX-Other: 1", "10.0.0.1%1"])
def test_a_network_with_a_zone_is_refused(given: str) -> None:
    with pytest.raises(InvalidValue, match="zone"):
        clean_networks([given])


def test_a_planned_end_is_kept_in_utc() -> None:
    india = datetime(2026, 11, 3, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    end = check_expiry(india, NOW)
    assert end is not None
    assert end.isoformat() == "2026-11-03T00:00:00+00:00"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 12, 1, 9, 0),  # noqa: DTZ001  # what is refused
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=UTC),
        datetime(9999, 1, 1, tzinfo=UTC),
    ],
)
def test_an_end_that_cannot_be_kept_is_refused(moment: datetime) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_expiry(moment, NOW)
    assert refused.value.field == "expires_at"


def test_one_caller_is_one_address_or_one_subscriber() -> None:
    assert caller("203.0.113.9") == caller("::ffff:203.0.113.9") == "203.0.113.9"
    assert caller("2001:db8:0:1::1") == caller("2001:db8:0:1:ffff::") == "2001:db8:0:1::/64"
    assert caller("2001:db8:0:2::1") != caller("2001:db8:0:1::1")
    assert caller("nonsense") == caller("") == "unknown"


@pytest.mark.parametrize(
    ("quota", "window"),
    [(0, 60), (1, 0), (1, 31 * 86_400 + 1), (2**53, 1), (60_000_000, 86_400)],
)
def test_a_policy_that_cannot_be_counted_exactly_is_refused(quota: int, window: int) -> None:
    with pytest.raises(InvalidValue):
        RatePolicy(of="key", quota=quota, window_seconds=window)


@pytest.mark.parametrize(
    ("window", "name"),
    [(60, "key-minute"), (3_600, "key-hour"), (86_400, "key-day"), (90, "key-90s")],
)
def test_a_policy_is_named_for_people(window: int, name: str) -> None:
    assert RatePolicy(of="key", quota=1, window_seconds=window).name == name
