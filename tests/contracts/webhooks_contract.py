"""What every store of webhooks keeps: events as durable as their effect, one attempt at a time."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from application.ports.webhooks import DeliveryClaim, DeliveryFilter, Verdict, WebhookClaims
from domain.identity.user import Role
from domain.shared.ids import UserId, WebhookEndpointId, WebhookEventId
from domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from domain.webhooks.endpoint import DisabledReason, WebhookEndpoint
from tests.contracts.samples import (
    LONG_LEASE,
    PAST_SHORT_LEASE,
    SHORT_LEASE,
    all_at_once,
    keep_user,
    made_at,
    new_id,
)

Wait = Callable[[float], Awaitable[None]]

DELIVERED = Verdict(state=DeliveryState.DELIVERED)
FAILED = Verdict(state=DeliveryState.FAILED)
LATER = Verdict(state=DeliveryState.PENDING, wait_seconds=LONG_LEASE)


def make_endpoint(user_id: UserId, **changes: object) -> WebhookEndpoint:
    id_ = WebhookEndpointId(new_id())
    endpoint = WebhookEndpoint(
        id=id_,
        user_id=user_id,
        url="https://hooks.example.com/in?a=1",
        description="orders",
        events=(),
        disabled_reason=DisabledReason.NONE,
        disabled_at=None,
        secret=b"\x00sealed",
        previous_secret=None,
        previous_until=None,
        failing_since=None,
        failed_events=0,
        created_at=made_at(id_),
        updated_at=made_at(id_),
    )
    return replace(endpoint, **changes)  # type: ignore[arg-type]  # checked by use


async def keep_endpoint(uow: UnitOfWork, user_id: UserId, **changes: object) -> WebhookEndpoint:
    endpoint = make_endpoint(user_id, **changes)
    async with uow.begin(user_id) as tx:
        await tx.webhooks.add(endpoint)
    return endpoint


async def emit(uow: UnitOfWork, user_id: UserId, type_: str = "run.succeeded", n: int = 1) -> int:
    async with uow.begin(user_id) as tx:
        return await tx.webhooks.emit(type_, {"n": n})


async def listed(uow: UnitOfWork, endpoint: WebhookEndpoint, **filters: object) -> list[Delivery]:
    chosen = DeliveryFilter(**{"limit": 100, **filters})  # type: ignore[arg-type]  # by use
    async with uow.begin(endpoint.user_id) as tx:
        return list(await tx.webhooks.deliveries(endpoint.id, chosen))


async def take(
    claims: WebhookClaims, endpoint: WebhookEndpoint, lease: float = LONG_LEASE, at_once: int = 50
) -> DeliveryClaim:
    claim = await claims.claim(endpoint.id, lease, at_once=at_once)
    assert claim is not None, "something should have been due"
    return claim


def attempt_of(claim: DeliveryClaim, **changes: object) -> Attempt:
    attempt = Attempt(
        number=claim.fence,
        at=datetime(2026, 11, 2, 9, 0, tzinfo=UTC),
        duration_ms=12,
        status=200,
        error="",
        excerpt="öl\ufffd",
        address="203.0.113.9",
    )
    return replace(attempt, **changes)  # type: ignore[arg-type]  # checked by use


async def record(uow: UnitOfWork, claim: DeliveryClaim, verdict: Verdict) -> bool:
    async with uow.begin(claim.user_id) as tx:
        return await tx.webhooks.record(claim, attempt_of(claim), verdict)


class WebhooksContract:
    """Fixtures: ``uow``, ``webhook_claims`` and ``wait``."""

    async def test_an_endpoint_is_kept_as_it_is(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        moment = datetime(2026, 11, 3, tzinfo=UTC)
        endpoint = await keep_endpoint(uow, user.id, events=("run.*", "payment.captured"))
        changed = replace(
            endpoint.rotated(b"\xff new", timedelta(hours=1), moment),
            url="https://other.example.com",
            disabled_reason=DisabledReason.GONE,
            disabled_at=moment,
        )
        async with uow.begin(user.id) as tx:
            assert await tx.webhooks.get(endpoint.id, lock=True) == endpoint
            await tx.webhooks.save(changed)
            assert await tx.webhooks.get(endpoint.id) == changed

    async def test_endpoints_are_paged_newest_first(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        kept = [await keep_endpoint(uow, user.id) for _ in range(3)]
        async with uow.begin(user.id) as tx:
            first = await tx.webhooks.page(Page(limit=2))
            rest = await tx.webhooks.page(Page(limit=2, after=first[-1].id))
            assert await tx.webhooks.count() == 3
        assert [*first, *rest] == kept[::-1]

    async def test_another_persons_endpoint_is_not_there(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        owner, other = [await keep_user(uow, role=Role.PARTNER) for _ in range(2)]
        endpoint = await keep_endpoint(uow, owner.id)
        assert await emit(uow, owner.id) == 1
        (delivery,) = await listed(uow, endpoint)
        async with uow.begin(other.id) as tx:
            hooks = tx.webhooks
            assert await hooks.get(endpoint.id) is None
            assert list(await hooks.page(Page(limit=5))) == []
            await hooks.save(replace(endpoint, user_id=other.id, url="https://evil.example.com"))
            await hooks.delete(endpoint.id)
            assert await hooks.emit("run.failed", {}) == 0
            assert await hooks.emit_to(endpoint.id, "webhook.test", {}) is None
            assert list(await hooks.deliveries(endpoint.id, DeliveryFilter(limit=5))) == []
            assert await hooks.delivery(endpoint.id, delivery.event_id) is None
            assert await hooks.body(delivery.event_id) is None
            assert await hooks.replay(endpoint.id, delivery.event_id) is None
            assert await hooks.abandon(endpoint.id, "x") == 0
            await hooks.failed(endpoint.id, for_good=True)
        async with uow.begin(owner.id) as tx:
            assert await tx.webhooks.get(endpoint.id) == endpoint
        assert await listed(uow, endpoint) == [delivery]

    async def test_who_may_have_no_webhooks_any_more_is_told_nothing(self, uow: UnitOfWork) -> None:
        admin = await keep_user(uow, role=Role.ADMIN)
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        told = []
        for role in (Role.MEMBER, Role.PARTNER):
            async with uow.begin(user.id) as tx:
                await tx.users.set_standing(admin.id, role=role)
            told.append(await emit(uow, user.id))
        assert told == [0, 1]
        assert len(await listed(uow, endpoint)) == 1

    async def test_an_event_is_told_to_those_who_listen(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        everything = await keep_endpoint(uow, user.id)
        runs = await keep_endpoint(uow, user.id, events=("run.*",))
        ends = await keep_endpoint(uow, user.id, events=("run.failed", "run.succeeded"))
        paid = await keep_endpoint(uow, user.id, events=("payment.*",))
        off = await keep_endpoint(uow, user.id, disabled_reason=DisabledReason.OWNER)
        assert await emit(uow, user.id, "run.accepted") == 2
        assert await emit(uow, user.id, "run.succeeded") == 3
        heard = {
            endpoint.id: [each.type for each in await listed(uow, endpoint)]
            for endpoint in (everything, runs, ends, paid, off)
        }
        both = ["run.succeeded", "run.accepted"]
        assert heard == {
            everything.id: both,
            runs.id: both,
            ends.id: ["run.succeeded"],
            paid.id: [],
            off.id: [],
        }

    async def test_the_bytes_of_an_event_stay_as_they_were_said(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        at = datetime(2026, 11, 2, 9, 30, 1, 250_000, tzinfo=UTC)
        async with uow.begin(user.id) as tx:
            await tx.webhooks.emit("run.failed", {"error": "₹ \u2028 é", "n": 1}, at=at)
        (delivery,) = await listed(uow, endpoint)
        async with uow.begin(user.id) as tx:
            body = await tx.webhooks.body(delivery.event_id)
        assert body is not None
        assert json.loads(body) == {
            "id": str(delivery.event_id),
            "type": "run.failed",
            "timestamp": "2026-11-02T09:30:01.250Z",
            "data": {"error": "₹ \u2028 é", "n": 1},
        }

    async def test_an_event_that_is_rolled_back_was_never_told(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        with pytest.raises(ZeroDivisionError):
            async with uow.begin(user.id) as tx:
                assert await tx.webhooks.emit("run.failed", {}) == 1
                raise ZeroDivisionError
        assert await listed(uow, endpoint) == []

    async def test_an_unknown_type_is_a_fault(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        with pytest.raises(ValueError, match=r"run\.exploded"):
            async with uow.begin(user.id) as tx:
                await tx.webhooks.emit("run.exploded", {})

    async def test_one_endpoint_is_told_whatever_it_listens_to(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id, events=("payment.*",))
        other = await keep_endpoint(uow, user.id)
        async with uow.begin(user.id) as tx:
            event_id = await tx.webhooks.emit_to(endpoint.id, "webhook.test", {"a": 1})
        assert [each.event_id for each in await listed(uow, endpoint)] == [event_id]
        assert await listed(uow, other) == []

    async def test_a_deleted_endpoint_takes_its_deliveries(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id)
        claim = await take(webhook_claims, endpoint)
        async with uow.begin(user.id) as tx:
            await tx.webhooks.delete(endpoint.id)
        assert await listed(uow, endpoint) == []
        assert not await record(uow, claim, DELIVERED)
        assert await webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=5) is None

    async def test_telling_and_deleting_at_once_breaks_neither(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        for _ in range(5):
            endpoint = await keep_endpoint(uow, user.id)

            async def remove(id_: WebhookEndpointId = endpoint.id) -> None:
                async with uow.begin(user.id) as tx:
                    await tx.webhooks.delete(id_)

            await asyncio.gather(*(emit(uow, user.id) for _ in range(4)), remove())
            assert await listed(uow, endpoint) == []

    async def test_deliveries_are_paged_and_filtered(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims, wait: Wait
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id, "run.accepted")
        await wait(0.05)
        await emit(uow, user.id, "run.failed")
        await wait(0.05)
        await emit(uow, user.id, "run.accepted")
        newest, middle, oldest = await listed(uow, endpoint)
        assert [newest, middle, oldest] == sorted(
            [newest, middle, oldest], key=lambda each: each.event_id, reverse=True
        )
        first = await listed(uow, endpoint, limit=2)
        assert first == [newest, middle]
        assert await listed(uow, endpoint, after=middle.event_id) == [oldest]
        assert await listed(uow, endpoint, type="run.failed") == [middle]
        claim = await take(webhook_claims, endpoint)
        assert claim.event_id == oldest.event_id
        await record(uow, claim, DELIVERED)
        (done,) = await listed(uow, endpoint, state=DeliveryState.DELIVERED)
        assert done.event_id == oldest.event_id
        assert done.finished_at is not None
        assert done.next_attempt_at is None
        assert await listed(uow, endpoint, since=middle.created_at) == [newest, middle]
        assert [each.event_id for each in await listed(uow, endpoint, until=middle.created_at)] == [
            oldest.event_id
        ]

    async def test_what_is_due_is_claimed_by_one(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        for n in range(5):
            await emit(uow, user.id, n=n)

        async def attempt() -> WebhookEventId | None:
            claim = await webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=50)
            return claim.event_id if claim else None

        claimed = [event for event in await all_at_once(12, attempt) if event]
        assert sorted(claimed) == sorted(each.event_id for each in await listed(uow, endpoint))

    async def test_no_more_are_under_way_to_an_endpoint_than_may_be(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        for n in range(6):
            await emit(uow, user.id, n=n)
        claimed = await all_at_once(
            10, lambda: webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=3)
        )
        held = [claim for claim in claimed if claim]
        assert len(held) == 3
        await record(uow, held[0], DELIVERED)
        assert await webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=3) is not None

    async def test_one_at_a_time_goes_to_an_endpoint_that_fails(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        for n in range(3):
            await emit(uow, user.id, n=n)
        first = await take(webhook_claims, endpoint)
        assert not first.troubled
        async with uow.begin(user.id) as tx:
            await tx.webhooks.failed(endpoint.id, for_good=False)
            await tx.webhooks.record(first, attempt_of(first), LATER)
        second = await take(webhook_claims, endpoint)
        assert second.troubled
        assert await webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=50) is None
        async with uow.begin(user.id) as tx:
            await tx.webhooks.succeeded(endpoint.id)
        assert not (await take(webhook_claims, endpoint)).troubled

    async def test_nothing_is_claimed_for_an_endpoint_that_is_off(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id)
        async with uow.begin(user.id) as tx:
            await tx.webhooks.save(endpoint.switched(DisabledReason.OWNER, endpoint.created_at))
        assert await webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=5) is None
        assert endpoint.id not in await _all_due(webhook_claims)

    async def test_a_claim_whose_lease_ran_out_comes_again_and_the_late_one_is_refused(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims, wait: Wait
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id)
        slow = await take(webhook_claims, endpoint, SHORT_LEASE)
        assert await webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=5) is None
        await wait(PAST_SHORT_LEASE)
        quick = await take(webhook_claims, endpoint)
        assert (quick.event_id, quick.attempt) == (slow.event_id, 2)
        assert quick.fence > slow.fence
        assert not await record(uow, slow, FAILED)
        assert await record(uow, quick, DELIVERED)
        assert not await record(uow, quick, DELIVERED)
        async with uow.begin(user.id) as tx:
            assert list(await tx.webhooks.attempts(endpoint.id, quick.event_id)) == [
                attempt_of(quick)
            ]

    async def test_a_failed_attempt_waits_for_its_turn(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims, wait: Wait
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id)
        claim = await take(webhook_claims, endpoint)
        soon = Verdict(state=DeliveryState.PENDING, wait_seconds=SHORT_LEASE)
        await record(uow, claim, soon)
        assert await webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=5) is None
        await wait(PAST_SHORT_LEASE)
        assert (await take(webhook_claims, endpoint)).attempt == 2

    async def test_a_claim_handed_back_is_due_and_counts_nothing(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id)
        await webhook_claims.hand_back(await take(webhook_claims, endpoint))
        assert (await take(webhook_claims, endpoint)).attempt == 1

    async def test_of_many_dispatchers_one_is_told_that_an_endpoint_has_something_due(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims, wait: Wait
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        assert endpoint.id not in await _all_due(webhook_claims)
        for n in range(3):
            await emit(uow, user.id, n=n)
        # Longer than seven looks take, also where a commit takes its time.
        lease = 2.0
        looks = await all_at_once(6, lambda: webhook_claims.due(1000, lease))
        assert sum(endpoint.id in found for found in looks) == 1
        assert endpoint.id not in await webhook_claims.due(1000, lease)
        await wait(lease + 0.5)
        assert endpoint.id in await webhook_claims.due(1000, LONG_LEASE)

    async def test_failures_are_counted_until_a_success(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        async with uow.begin(user.id) as tx:
            first = await tx.webhooks.failed(endpoint.id, for_good=False)
        async with uow.begin(user.id) as tx:
            second = await tx.webhooks.failed(endpoint.id, for_good=True)
        assert (first.failed_events, second.failed_events) == (0, 1)
        assert first.failing_since == second.failing_since is not None
        async with uow.begin(user.id) as tx:
            await tx.webhooks.succeeded(endpoint.id)
            assert await tx.webhooks.get(endpoint.id) == endpoint

    async def test_what_is_pending_can_be_ended_and_replayed(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id, n=1)
        await record(uow, await take(webhook_claims, endpoint), DELIVERED)
        await emit(uow, user.id, n=2)
        await emit(uow, user.id, n=3)
        async with uow.begin(user.id) as tx:
            assert await tx.webhooks.abandon(endpoint.id, "endpoint_disabled") == 2
        third, second, first = await listed(uow, endpoint)
        assert [each.error for each in (third, second, first)] == [
            "endpoint_disabled",
            "endpoint_disabled",
            "",
        ]
        async with uow.begin(user.id) as tx:
            assert await tx.webhooks.replay_failed(endpoint.id, second.created_at, 1) == 1
            again = await tx.webhooks.replay(endpoint.id, first.event_id)
        assert again is not None
        assert (again.state, again.replays, again.attempts) == (DeliveryState.PENDING, 1, 0)
        states = [each.state for each in await listed(uow, endpoint)]
        assert states == [DeliveryState.FAILED, DeliveryState.PENDING, DeliveryState.PENDING]
        claims = [await take(webhook_claims, endpoint) for _ in range(2)]
        assert {claim.event_id for claim in claims} == {first.event_id, second.event_id}

    async def test_a_replay_during_the_last_attempt_is_not_ended_by_it(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id)
        claim = await take(webhook_claims, endpoint)
        async with uow.begin(user.id) as tx:
            await tx.webhooks.replay(endpoint.id, claim.event_id)
        assert await webhook_claims.claim(endpoint.id, LONG_LEASE, at_once=5) is None
        assert await record(uow, claim, FAILED)
        assert (await take(webhook_claims, endpoint)).attempt == 1

    async def test_events_are_not_forgotten_before_their_time(
        self, uow: UnitOfWork, webhook_claims: WebhookClaims
    ) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        endpoint = await keep_endpoint(uow, user.id)
        await emit(uow, user.id)
        await record(uow, await take(webhook_claims, endpoint), DELIVERED)
        await webhook_claims.forget(24 * 365 * LONG_LEASE, 10)
        assert len(await listed(uow, endpoint)) == 1

    async def test_nobody_has_no_webhooks(self, uow: UnitOfWork) -> None:
        user = await keep_user(uow, role=Role.PARTNER)
        with pytest.raises(Exception):  # noqa: B017 - however the database says so
            async with uow.begin(None) as tx:
                await tx.webhooks.add(make_endpoint(user.id))


async def _all_due(claims: WebhookClaims) -> list[WebhookEndpointId]:
    return list(await claims.due(1000, SHORT_LEASE))
