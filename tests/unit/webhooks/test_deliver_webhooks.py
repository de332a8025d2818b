"""Delivering in memory: what an attempt leads to, and who waits for whom."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from application.ports.persistence import UnitOfWork
from application.ports.webhooks import (
    DeliveryClaim,
    DeliveryFilter,
    WebhookAnswer,
    WebhookClaims,
    WebhookRequest,
)
from application.webhooks.add_endpoint import AddEndpoint, EndpointWithSecret, NewEndpoint
from application.webhooks.attempt_delivery import AttemptDelivery
from application.webhooks.delete_endpoint import DeleteEndpoint
from application.webhooks.deliver_webhooks import DeliverWebhooks
from application.webhooks.dispatch_webhooks import DispatchWebhooks, ForgetWebhooks
from application.webhooks.edit_endpoint import EditEndpoint, EndpointEdit
from application.webhooks.read_deliveries import ShowDelivery
from application.webhooks.replay_deliveries import KEEP, ReplayDelivery, ReplayFailed
from application.webhooks.rotate_secret import RotateSecret, SecretRotation
from application.webhooks.send_test import SendTest, TestPending
from domain.identity.user import Role
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import UserId, WebhookEndpointId
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.destination import DestinationRules
from domain.webhooks.endpoint import (
    MAX_ENDPOINTS,
    DisabledReason,
    EndpointDisabled,
    TooManyEndpoints,
    WebhookEndpoint,
)
from domain.webhooks.schedule import GIVE_UP_AFTER, MAX_ATTEMPTS, RETRY_SECONDS
from tests.contracts.samples import ORIGIN, keep_user
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork, InMemoryWebhookClaims
from tests.fakes.queue import RecordingJobQueue
from tests.fakes.security import TransparentSecretBox
from tests.fakes.webhooks import RecordingWebhookMetrics, ScriptedWebhookSender

URL = "https://hooks.example.com/in"
OK = WebhookAnswer(status=204, address="203.0.113.9")
BROKEN = WebhookAnswer(status=500, excerpt="boom\x00", address="203.0.113.9")


@dataclass
class Post:
    """Everything that delivers, with nothing outside of memory."""

    clock: MovableClock
    uow: UnitOfWork
    claims: WebhookClaims
    sender: ScriptedWebhookSender
    metrics: RecordingWebhookMetrics
    user_id: UserId
    box: TransparentSecretBox
    ids: CountingIds

    @property
    def attempt(self) -> AttemptDelivery:
        return AttemptDelivery(
            self.uow, self.box, self.sender, self.clock, self.metrics, lambda: 0.5
        )

    @property
    def add(self) -> AddEndpoint:
        return AddEndpoint(self.uow, self.box, DestinationRules(), self.clock, self.ids)

    async def endpoint(self, url: str = URL, **more: object) -> EndpointWithSecret:
        command = NewEndpoint(origin=ORIGIN, user_id=self.user_id, url=url)
        return await self.add(replace(command, **more))  # type: ignore[arg-type]  # by use

    async def emit(self, type_: str = "run.succeeded", **data: object) -> None:
        async with self.uow.begin(self.user_id) as tx:
            await tx.webhooks.emit(type_, data)

    async def deliver(self) -> None:
        """What is due now, as dispatcher and worker do it."""
        queue = RecordingJobQueue()
        worker = DeliverWebhooks(self.claims, self.attempt)
        await DispatchWebhooks(self.claims, queue)()
        for endpoint_id in queue.endpoints:
            worker.hint(endpoint_id)
        await worker.idle()

    async def deliveries(self, endpoint_id: WebhookEndpointId) -> list[Delivery]:
        async with self.uow.begin(self.user_id) as tx:
            return list(await tx.webhooks.deliveries(endpoint_id, DeliveryFilter(limit=100)))

    async def now(self, endpoint_id: WebhookEndpointId) -> WebhookEndpoint:
        async with self.uow.begin(self.user_id) as tx:
            found = await tx.webhooks.get(endpoint_id)
        assert found is not None
        return found


@pytest.fixture
async def post() -> Post:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    uow = InMemoryUnitOfWork(database)
    return Post(
        clock=clock,
        uow=uow,
        claims=InMemoryWebhookClaims(database),
        sender=ScriptedWebhookSender(),
        metrics=RecordingWebhookMetrics(),
        user_id=(await keep_user(uow, role=Role.PARTNER)).id,
        box=TransparentSecretBox(),
        ids=CountingIds(),
    )


def verified(request: WebhookRequest, secret: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """What an independent library reads, whatever time it is here."""
    monkeypatch.setattr(Webhook, "_Webhook__verify_timestamp", lambda _, text: _at(text))
    return Webhook(secret).verify(request.body, dict(request.headers))


def _at(text: str) -> datetime:
    return datetime.fromtimestamp(int(text), tz=UTC)


async def test_a_delivery_is_signed_sent_and_done(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = await post.endpoint()
    post.sender.on(URL, OK)
    await post.emit(run_id="r")
    await post.deliver()
    (request,) = post.sender.sent
    (delivery,) = await post.deliveries(added.endpoint.id)
    said = verified(request, added.secret, monkeypatch)
    assert said["data"] == {"run_id": "r"}  # type: ignore[index]  # it is an object
    assert request.headers["webhook-id"] == str(delivery.event_id)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 1)
    assert post.metrics.outcomes == ["delivered"]


async def test_both_secrets_sign_until_the_overlap_ends(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = await post.endpoint()
    post.sender.on(URL, OK)
    rotate = RotateSecret(post.uow, post.box, post.clock)
    rotated = await rotate(
        SecretRotation(
            origin=ORIGIN, user_id=post.user_id, endpoint_id=added.endpoint.id, overlap_seconds=60
        )
    )
    assert rotated.secret != added.secret
    await post.emit()
    await post.deliver()
    for secret in (added.secret, rotated.secret):
        verified(post.sender.sent[0], secret, monkeypatch)
    post.clock.move(timedelta(seconds=60))
    await post.emit()
    await post.deliver()
    verified(post.sender.sent[1], rotated.secret, monkeypatch)
    assert len(post.sender.sent[1].headers["webhook-signature"].split()) == 1
    with pytest.raises(InvalidValue):
        await rotate(
            SecretRotation(
                origin=ORIGIN,
                user_id=post.user_id,
                endpoint_id=added.endpoint.id,
                overlap_seconds=-1,
            )
        )


async def test_failures_are_tried_for_three_days_with_the_same_id_and_bytes(post: Post) -> None:
    added = await post.endpoint()
    post.sender.on(URL, BROKEN)
    await post.emit()
    await post.deliver()
    for wait in RETRY_SECONDS:
        post.clock.move(timedelta(seconds=wait - 1))
        sent = len(post.sender.sent)
        await post.deliver()
        assert len(post.sender.sent) == sent
        post.clock.move(timedelta(seconds=1))
        await post.deliver()
        assert len(post.sender.sent) == sent + 1
    post.clock.move(timedelta(days=30))
    await post.deliver()
    assert len(post.sender.sent) == MAX_ATTEMPTS
    assert len({request.headers["webhook-id"] for request in post.sender.sent}) == 1
    assert len({request.headers["webhook-timestamp"] for request in post.sender.sent}) > 1
    assert len({request.body for request in post.sender.sent}) == 1
    (delivery,) = await post.deliveries(added.endpoint.id)
    assert (delivery.state, delivery.error, delivery.last_status) == (
        DeliveryState.FAILED,
        "http_500",
        500,
    )
    record = await ShowDelivery(post.uow)(post.user_id, added.endpoint.id, delivery.event_id)
    assert [attempt.excerpt for attempt in record.attempts] == ["boom\ufffd"] * MAX_ATTEMPTS
    assert post.sender.sent[0].body.decode() == record.payload


async def test_retry_after_is_honoured(post: Post) -> None:
    added = await post.endpoint()
    post.sender.on(URL, replace(BROKEN, status=429, retry_after=900.0))
    await post.emit()
    await post.deliver()
    (delivery,) = await post.deliveries(added.endpoint.id)
    assert delivery.next_attempt_at == post.clock.now() + timedelta(seconds=900)


async def test_who_is_gone_is_switched_off_and_the_others_are_told(post: Post) -> None:
    gone = await post.endpoint()
    other = await post.endpoint("https://other.example.com/")
    post.sender.on(URL, WebhookAnswer(status=410))
    post.sender.on("https://other.example.com/", OK)
    await post.emit()
    await post.deliver()
    endpoint = await post.now(gone.endpoint.id)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, DisabledReason.GONE)
    assert post.metrics.disabled == ["gone"]
    assert [each.type for each in await post.deliveries(other.endpoint.id)] == [
        "webhook.disabled",
        "run.succeeded",
    ]
    assert len(await post.deliveries(gone.endpoint.id)) == 1
    await post.emit()
    assert len(await post.deliveries(gone.endpoint.id)) == 1


async def test_days_of_nothing_but_failures_switch_an_endpoint_off(post: Post) -> None:
    added = await post.endpoint()
    post.sender.on(URL, BROKEN)
    await post.emit()
    await post.deliver()
    assert (await post.now(added.endpoint.id)).failing_since == post.clock.now()
    post.clock.move(GIVE_UP_AFTER)
    await post.emit()
    await post.emit()
    await post.deliver()
    endpoint = await post.now(added.endpoint.id)
    assert endpoint.disabled_reason is DisabledReason.FAILING
    assert {each.state for each in await post.deliveries(endpoint.id)} == {DeliveryState.FAILED}
    edit = EditEndpoint(post.uow, DestinationRules(), post.clock)
    on = await edit(
        EndpointEdit(origin=ORIGIN, user_id=post.user_id, endpoint_id=endpoint.id, enabled=True)
    )
    assert (on.enabled, on.failing_since, on.failed_events) == (True, None, 0)


async def test_a_success_forgets_the_failures(post: Post) -> None:
    added = await post.endpoint()
    post.sender.on(URL, BROKEN)
    await post.emit()
    await post.deliver()
    post.sender.on(URL, OK)
    post.clock.move(timedelta(seconds=5))
    await post.deliver()
    endpoint = await post.now(added.endpoint.id)
    assert (endpoint.failing_since, endpoint.failed_events) == (None, 0)


async def test_a_test_is_sent_once_and_proves_nothing_about_health(post: Post) -> None:
    added = await post.endpoint(events=("payment.*",))
    post.sender.on(URL, BROKEN)
    send = SendTest(post.uow)
    made = await send(post.user_id, added.endpoint.id)
    assert made.type == "webhook.test"
    with pytest.raises(TestPending):
        await send(post.user_id, added.endpoint.id)
    await post.deliver()
    (delivery,) = await post.deliveries(added.endpoint.id)
    assert delivery.state is DeliveryState.FAILED
    assert (await post.now(added.endpoint.id)).failing_since is None
    await send(post.user_id, added.endpoint.id)


async def test_what_failed_is_replayed_and_what_is_off_is_not(post: Post) -> None:
    added = await post.endpoint()
    start, id_ = post.clock.now(), added.endpoint.id
    await post.emit(n=1)
    await post.emit(n=2)
    edit = EditEndpoint(post.uow, DestinationRules(), post.clock)
    await edit(EndpointEdit(origin=ORIGIN, user_id=post.user_id, endpoint_id=id_, enabled=False))
    failed = await post.deliveries(id_)
    assert [each.error for each in failed] == ["endpoint_disabled"] * 2
    replay, replay_failed = ReplayDelivery(post.uow), ReplayFailed(post.uow, post.clock)
    with pytest.raises(EndpointDisabled):
        await replay(post.user_id, id_, failed[0].event_id)
    with pytest.raises(EndpointDisabled):
        await SendTest(post.uow)(post.user_id, id_)
    await edit(EndpointEdit(origin=ORIGIN, user_id=post.user_id, endpoint_id=id_, enabled=True))
    with pytest.raises(InvalidValue):
        await replay_failed(post.user_id, id_, start.replace(tzinfo=None))
    assert await replay_failed(post.user_id, id_, start) == 2
    post.sender.on(URL, OK)
    await post.deliver()
    assert {each.state for each in await post.deliveries(id_)} == {DeliveryState.DELIVERED}
    again = await replay(post.user_id, id_, failed[0].event_id)
    assert (again.state, again.replays) == (DeliveryState.PENDING, 2)


async def test_a_worker_that_died_each_time_is_not_followed_for_ever(post: Post) -> None:
    added = await post.endpoint()
    post.sender.on(URL, OK)
    await post.emit()
    for _ in range(MAX_ATTEMPTS):
        assert await post.claims.claim(added.endpoint.id, 1.0, at_once=1)
        post.clock.move(timedelta(seconds=1))
    await post.deliver()
    (delivery,) = await post.deliveries(added.endpoint.id)
    assert (delivery.state, delivery.error) == (DeliveryState.FAILED, "worker_lost")
    assert post.sender.sent == []
    assert (await post.now(added.endpoint.id)).failed_events == 0


async def test_nothing_goes_out_that_cannot_be_signed(post: Post) -> None:
    added = await post.endpoint()
    post.sender.on(URL, OK)
    await post.emit()
    post.box.lose_key()
    await post.deliver()
    (delivery,) = await post.deliveries(added.endpoint.id)
    assert (post.sender.sent, delivery.error) == ([], "secret_unreadable")
    assert delivery.state is DeliveryState.PENDING


async def test_there_are_so_many_endpoints_and_no_more(post: Post) -> None:
    for _ in range(MAX_ENDPOINTS):
        last = await post.endpoint()
    with pytest.raises(TooManyEndpoints):
        await post.endpoint()
    await DeleteEndpoint(post.uow)(post.user_id, last.endpoint.id, origin=ORIGIN)
    await post.endpoint()
    with pytest.raises(NotFound):
        await DeleteEndpoint(post.uow)(post.user_id, last.endpoint.id, origin=ORIGIN)


async def test_dead_endpoints_delay_nobody_else(post: Post) -> None:
    dead = [(await post.endpoint(f"https://dead{n}.example.com/")).endpoint.id for n in range(6)]
    alive = (await post.endpoint("https://alive.example.com/")).endpoint.id
    for n in range(20):
        await post.emit(n=n)
    stuck = asyncio.Event()
    at_once: dict[WebhookEndpointId, int] = dict.fromkeys(dead, 0)
    most = dict(at_once)
    reached: list[DeliveryClaim] = []

    async def attempt(claim: DeliveryClaim) -> None:
        if claim.endpoint_id == alive:
            reached.append(claim)
            await post.attempt(claim)
            return
        at_once[claim.endpoint_id] += 1
        most[claim.endpoint_id] = max(most[claim.endpoint_id], at_once[claim.endpoint_id])
        await stuck.wait()

    post.sender.on("https://alive.example.com/", OK)
    worker = DeliverWebhooks(post.claims, attempt, lanes=2, places=16, patient_places=2)
    for endpoint_id in (*dead, alive):
        worker.hint(endpoint_id)
    await _until(lambda: len(reached) == 20)
    assert max(most.values()) == 2
    stuck.set()
    await worker.close()


async def test_those_that_fail_share_a_part_of_the_places(post: Post) -> None:
    dead = [(await post.endpoint(f"https://dead{n}.example.com/")).endpoint.id for n in range(8)]
    alive = (await post.endpoint("https://alive.example.com/")).endpoint.id
    await post.emit()
    async with post.uow.begin(post.user_id) as tx:
        for endpoint_id in dead:
            await tx.webhooks.failed(endpoint_id, for_good=False)
    stuck, waiting, reached = asyncio.Event(), set(), []

    async def attempt(claim: DeliveryClaim) -> None:
        if claim.endpoint_id == alive:
            reached.append(claim)
            await post.attempt(claim)
            return
        waiting.add(claim.endpoint_id)
        await stuck.wait()

    post.sender.on("https://alive.example.com/", OK)
    worker = DeliverWebhooks(post.claims, attempt, lanes=2, places=4, patient_places=2)
    for endpoint_id in dead:
        worker.hint(endpoint_id)
    await _until(lambda: len(waiting) == 2)
    worker.hint(alive)
    await _until(lambda: len(reached) == 1)
    assert len(waiting) == 2
    stuck.set()
    await worker.close()


async def test_what_is_old_and_done_is_forgotten(post: Post) -> None:
    added = await post.endpoint()
    post.sender.on(URL, OK)
    await post.emit(n=1)
    await post.deliver()
    forget = ForgetWebhooks(post.claims)
    post.clock.move(KEEP)
    assert await forget() == 0
    await post.emit(n=2)
    post.clock.move(timedelta(seconds=1))
    assert await forget() == 1
    post.clock.move(KEEP)
    assert await forget() == 0
    (left,) = await post.deliveries(added.endpoint.id)
    assert left.state is DeliveryState.PENDING


async def test_an_attempt_that_breaks_is_left_to_its_lease(post: Post) -> None:
    added = await post.endpoint()
    await post.emit()

    async def attempt(claim: DeliveryClaim) -> None:
        raise ZeroDivisionError

    worker = DeliverWebhooks(post.claims, attempt, lease_seconds=30)
    worker.hint(added.endpoint.id)
    await worker.idle()
    post.sender.on(URL, OK)
    await post.deliver()
    assert post.sender.sent == []
    post.clock.move(timedelta(seconds=30))
    await post.deliver()
    assert len(post.sender.sent) == 1


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)
