"""Who calls is found out once, and everybody is held to their limits."""

from datetime import timedelta

import pytest

from application.keys.admit_request import GATEWAY_PER_MINUTE, Admission, Presented
from application.keys.key_cache import REMEMBERED_SECONDS, KnownKey
from application.ports.security import Principal
from domain.identity.user import Role
from domain.keys.api_key import InvalidKey, KeyExpired
from domain.keys.key_text import KeyEnvironment, MalformedKey, compose
from domain.keys.rate_limit import RatePolicy
from tests.contracts.samples import ORIGIN, make_user
from tests.unit.keys.world import HERE, POLICIES, READ, World


def left(admission: Admission) -> dict[str, int]:
    return {each.policy.name: each.remaining for each in admission.verdict.standings}


# What a key costs to check


async def test_a_known_key_is_checked_without_the_database() -> None:
    world = World()
    issued = await world.issue(await world.partner())
    first = await world.call(issued.text)
    begun = world.uow.begun
    again = await world.call(issued.text)
    assert first.principal == again.principal
    assert first.principal is not None
    assert (first.principal.user_id, first.principal.permissions) == (issued.key.user_id, READ)
    assert world.uow.begun == begun


async def test_a_malformed_key_costs_no_look_up() -> None:
    world = World()
    admission = await world.call("bb_live_nonsense")
    assert isinstance(admission.rejected, MalformedKey)
    assert world.uow.begun == 0


async def test_what_must_not_be_told_apart_takes_the_same_look_ups() -> None:
    world = World()
    owner = await world.partner()
    revoked = await world.issue(owner)
    await world.revoke(Principal(user_id=owner.id, role=owner.role), revoked.key.id, origin=ORIGIN)
    elsewhere = await world.issue(owner, allowed_ips=("203.0.113.0/24",))
    # Remembered by this process, because it is used from where it may be.
    assert (await world.call(elsewhere.text, address="203.0.113.9")).principal
    unknown = compose(KeyEnvironment.LIVE, "0" * 36)
    seen = []
    for key in (revoked.text, elsewhere.text, unknown):
        begun = world.uow.begun
        admission = await world.call(key)
        assert isinstance(admission.rejected, InvalidKey)
        seen.append((world.uow.begun - begun, admission.rejected.message))
    assert len(set(seen)) == 1


# What a process remembers


async def test_a_revocation_reaches_every_process() -> None:
    world = World()
    owner = await world.partner()
    issued, other = await world.issue(owner), world.another_process()
    for process in (world.process, other):
        assert (await world.call(issued.text, process=process)).principal
    await world.revoke(Principal(user_id=owner.id, role=owner.role), issued.key.id, origin=ORIGIN)
    for process in (world.process, other):
        assert isinstance((await world.call(issued.text, process=process)).rejected, InvalidKey)


async def test_without_the_subscription_nothing_remembered_is_trusted() -> None:
    world = World()
    owner = await world.partner()
    issued = await world.issue(owner)
    assert (await world.call(issued.text)).principal
    world.changes.cut()
    await world.revoke(Principal(user_id=owner.id, role=owner.role), issued.key.id, origin=ORIGIN)
    assert isinstance((await world.call(issued.text)).rejected, InvalidKey)


async def test_what_was_missed_is_not_trusted_when_the_subscription_is_back() -> None:
    world = World()
    owner = await world.partner()
    issued = await world.issue(owner)
    assert (await world.call(issued.text)).principal
    world.changes.cut()
    await world.revoke(Principal(user_id=owner.id, role=owner.role), issued.key.id, origin=ORIGIN)
    world.changes.mend()
    assert isinstance((await world.call(issued.text)).rejected, InvalidKey)


async def test_a_change_during_a_look_up_is_not_overwritten_by_it() -> None:
    world = World()
    owner = await world.partner()
    issued = await world.issue(owner)
    cache = world.process.keys.cache
    read = cache.epoch
    known = KnownKey(key=issued.key, digest=issued.key.secret.digest, role=owner.role)
    await world.revoke(Principal(user_id=owner.id, role=owner.role), issued.key.id, origin=ORIGIN)
    cache.put(known.digest, known.key.user_id, known, read)
    assert world.process.keys.remembered(issued.text.text, HERE) is None
    cache.put(known.digest, known.key.user_id, known, cache.epoch)
    assert world.process.keys.remembered(issued.text.text, HERE) is not None


async def test_a_role_changed_past_the_platform_holds_soon() -> None:
    world = World()
    owner = await world.partner()
    issued = await world.issue(owner)
    assert (await world.call(issued.text)).principal
    fallen = make_user(id=owner.id, email=owner.email, role=Role.PARTNER, is_active=False)
    world.database.tables.users[owner.id] = fallen
    assert (await world.call(issued.text)).principal
    world.clock.move(timedelta(seconds=REMEMBERED_SECONDS))
    assert isinstance((await world.call(issued.text)).rejected, InvalidKey)


async def test_an_expiry_holds_to_the_moment_also_for_a_remembered_key() -> None:
    world = World()
    end = world.clock.now() + timedelta(seconds=3)
    issued = await world.issue(await world.partner(), expires_at=end)
    assert (await world.call(issued.text)).principal
    world.clock.set(end)
    assert isinstance((await world.call(issued.text)).rejected, KeyExpired)


async def test_a_key_of_an_older_pepper_is_remembered_too() -> None:
    world = World()
    issued = await world.issue(await world.partner())
    world.secrets._peppers = (2, 1)
    assert (await world.call(issued.text)).principal
    begun = world.uow.begun
    assert (await world.call(issued.text)).principal
    assert world.uow.begun == begun


# Limits


async def test_a_key_is_counted_by_key_and_by_person() -> None:
    world = World()
    issued = await world.issue(await world.partner())
    admission = await world.call(issued.text)
    assert left(admission) == {"key-minute": 9, "key-day": 29, "user-minute": 39}


async def test_a_persons_keys_share_the_persons_limit() -> None:
    world = World()
    owner = await world.partner()
    for number in range(5):
        issued = await world.issue(owner, limits=(policy(100, 60),))
        for _ in range(9):
            admission = await world.call(issued.text)
        if number < 4:
            assert admission.limited is None
    assert admission.limited is not None
    assert admission.limited.params["violated_policies"] == ["user-minute"]
    assert world.metrics.refusals == ["user-minute"] * 5


def policy(quota: int, seconds: int) -> RatePolicy:
    return RatePolicy(of="key", quota=quota, window_seconds=seconds)


async def test_a_keys_own_limits_stand_in_place_of_the_platforms() -> None:
    world = World()
    issued = await world.issue(await world.partner(), limits=(policy(2, 3_600),))
    answers = [await world.call(issued.text) for _ in range(3)]
    assert [answer.limited is None for answer in answers] == [True, True, False]
    assert left(answers[0]) == {"key-hour": 1, "user-minute": 39}


async def test_a_rotation_buys_no_fresh_quota() -> None:
    world = World()
    owner = await world.partner()
    issued = await world.issue(owner, limits=(policy(2, 3_600),))
    for _ in range(2):
        await world.call(issued.text)
    from application.keys.rotate_key import Rotation

    by = Principal(user_id=owner.id, role=owner.role)
    rotated = await world.rotate(Rotation(by=by, origin=ORIGIN, key_id=issued.key.id))
    assert (await world.call(rotated.text)).limited is not None


async def test_a_weighty_call_counts_as_so_many() -> None:
    world = World()
    issued = await world.issue(await world.partner())
    assert left(await world.call(issued.text, cost=5))["key-minute"] == 5


async def test_looking_up_a_good_key_costs_its_sender_no_attempt() -> None:
    world = World()
    owner = await world.partner()
    for _ in range(POLICIES.unverified_per_minute * 3):
        issued = await world.issue(owner)
        assert (await world.call(issued.text)).principal


# Credentials that prove nothing


async def test_other_wrong_keys_buy_no_fresh_attempts() -> None:
    world = World()
    refused = 0
    for number in range(12):
        key = compose(KeyEnvironment.LIVE, f"{number:036}")
        begun = world.uow.begun
        admission = await world.call(key)
        if admission.limited is not None:
            refused += 1
            assert world.uow.begun == begun, "a refused attempt is not looked up"
    assert refused == 12 - POLICIES.unverified_per_minute


@pytest.mark.parametrize("sent", ["bb_live_nonsense", compose(KeyEnvironment.TEST, "7" * 36).text])
async def test_other_addresses_buy_no_fresh_attempts_for_the_same_key(sent: str) -> None:
    world = World()
    answers = [await world.call(sent, address=f"198.51.100.{host}") for host in range(12)]
    passed = sum(answer.limited is None for answer in answers)
    assert passed == POLICIES.unverified_per_minute


async def test_an_address_of_ipv6_is_a_whole_subscriber() -> None:
    world = World()
    answers = [
        await world.call(compose(KeyEnvironment.LIVE, f"{n:036}"), address=f"2001:db8::{n:x}")
        for n in range(12)
    ]
    assert sum(answer.limited is None for answer in answers) == POLICIES.unverified_per_minute


async def test_wrong_tokens_are_counted_as_attempts_and_good_ones_by_person() -> None:
    world = World()
    owner = await world.partner()
    wrong = [
        await world.process(Presented(address=HERE, token=f"token {number}")) for number in range(9)
    ]
    assert sum(answer.limited is None for answer in wrong) == POLICIES.unverified_per_minute
    good = await world.token(owner)
    admission = await world.process(Presented(address=HERE, token=good))
    assert admission.principal is not None
    assert left(admission) == {"user-minute": 39}


async def test_without_a_credential_an_address_is_counted() -> None:
    world = World()
    answers = [await world.process(Presented(address=HERE)) for _ in range(25)]
    assert sum(answer.limited is None for answer in answers) == POLICIES.address_per_minute
    other = await world.process(Presented(address="198.51.100.8"))
    assert left(other) == {"address-minute": 19}


async def test_operations_are_counted_by_each_process_for_itself() -> None:
    world = World()
    one = await world.process.to_operations(HERE)
    other = await world.another_process().to_operations(HERE)
    assert left(one) == left(other)
    assert one.limited is None


async def test_a_gateways_events_pass_at_any_pace_of_its_and_of_nobody_elses() -> None:
    world = World()
    # Whatever else came from there, and however often: the gateway has no credential of ours.
    for _ in range(25):
        await world.process(Presented(address=HERE))
    events = [await world.process.from_gateway(HERE) for _ in range(GATEWAY_PER_MINUTE)]
    assert all(event.limited is None for event in events)
    assert world.metrics.refusals == ["address-minute"] * 5
    beyond = await world.process.from_gateway(HERE)
    assert beyond.limited is not None
    assert world.metrics.refusals[5:] == ["gateway-minute"]
    assert (await world.process.from_gateway("198.51.100.8")).limited is None
    assert (await world.another_process().from_gateway(HERE)).limited is None
