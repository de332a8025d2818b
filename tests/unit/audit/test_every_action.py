"""Every action that the log knows is written by what it is named for.

Each story drives real use cases over the fakes and gives back what the log has then. An action that
no story writes fails here: it is one that nothing writes any more, or one that nobody has tried.
"""

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from adapters.mail import TemplatedLetterWriter
from application.billing.oversee_payments import ManageCoupons, NewCoupon
from application.billing.refund_desk import RefundOrder
from application.billing.set_prices import (
    AddExchangeRate,
    AddModelPrice,
    NewExchangeRate,
    NewModelPrice,
)
from application.identity.reauthenticate import Proof, ReauthenticationFailed
from application.keys.edit_key import KeyEdit
from application.keys.rotate_key import Rotation
from application.operations.adjust_credits import AdjustCredits, NewAdjustment
from application.operations.manage_people import ManagePeople
from application.ports.security import Principal
from application.projects.delete_project import DeleteProject
from application.projects.retry_run import RetryRun
from application.runs.cancel_run import CancelRun
from application.subscriptions.manage_subscription import Change, NewSubscription
from application.subscriptions.plans import NewPlanVersion, WritePlanVersion
from application.webhooks.add_endpoint import AddEndpoint, NewEndpoint
from application.webhooks.delete_endpoint import DeleteEndpoint
from application.webhooks.edit_endpoint import EditEndpoint, EndpointEdit
from application.webhooks.rotate_secret import RotateSecret, SecretRotation
from domain.audit.act import AuditAction
from domain.billing.orders import OrderPurpose
from domain.billing.payments import TransactionStatus
from domain.identity.session import RefreshRefused
from domain.identity.user import InvalidCredentials, Role
from domain.projects.run import RunStatus
from domain.webhooks.destination import DestinationRules
from tests.contracts.account_flow_contract import ANOTHER, RIGHT, Platform, address, caller
from tests.contracts.office import Office
from tests.contracts.payment_flow_contract import seen_refund
from tests.contracts.plan_samples import make_plan
from tests.contracts.samples import ORIGIN, keep_project, keep_run, keep_user
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.keys import InMemoryKeyChanges
from tests.fakes.live import InMemoryLiveUpdates
from tests.fakes.persistence import (
    InMemoryDatabase,
    InMemoryPeopleOversight,
    InMemorySubscriptionSchedule,
    InMemoryUnitOfWork,
)
from tests.fakes.persistence.mail import InMemoryMailQueue
from tests.fakes.persistence.payments import InMemoryPaymentSchedule, InMemoryWebhooks
from tests.fakes.queue import RecordingJobQueue
from tests.fakes.security import TransparentSecretBox
from tests.unit.billing.test_set_prices import NOW, bands
from tests.unit.identity.world import HERE, PASSWORD, PHONE
from tests.unit.identity.world import World as SigningIn
from tests.unit.keys.world import World as Keys

ELSEWHERE = {
    AuditAction.GATEWAY_EVENT_RETRIED: "tests/integration/postgres/test_audit_log.py",
    AuditAction.SECRETS_RESEALED: "tests/integration/postgres/test_reseal.py",
}
"""What a database's statement writes by itself, and the test that reads it there."""


def written(database: InMemoryDatabase) -> set[AuditAction]:
    return {entry.act.action for entry in database.tables.audit.values()}


async def accounts() -> set[AuditAction]:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    platform = Platform(
        uow=InMemoryUnitOfWork(database),
        queue=InMemoryMailQueue(database),
        writer=TemplatedLetterWriter(),
        clock=clock,
        ids=CountingIds(),
    )
    await platform.ask(email := address())
    await platform.confirm(await platform.token(email), RIGHT.password, ORIGIN)
    async with platform.uow.begin(None) as tx:
        user = await tx.users.by_email(email)
    assert user is not None
    await platform.change(caller(user), RIGHT, ANOTHER, ORIGIN)
    await platform.forgot(email, ORIGIN)
    await platform.reset(await platform.token(email), RIGHT.password, ORIGIN)
    await platform.ask_email(caller(user), RIGHT, new := address(), ORIGIN)
    await platform.confirm_email(await platform.token(new), ORIGIN)
    async for _ in await platform.export(user.id, ORIGIN):
        pass
    unverified = await platform.person(email_verified_at=None)
    await platform.ask(unverified.email)
    await platform.confirm(await platform.token(unverified.email), RIGHT.password, ORIGIN)
    await platform.delete(caller(user), RIGHT, ORIGIN)
    return written(database)


async def sessions() -> set[AuditAction]:
    world = SigningIn()
    person = await world.person()
    with pytest.raises(InvalidCredentials):
        await world.by_password(person, "not the password")
    one, two, three = [await world.session(person) for _ in range(3)]
    await world.sign_out(None, one.refresh, HERE)
    await world.revoke(person.id, two.session.id, HERE)
    going_on = await world.refresh(three.refresh, PHONE, HERE)
    await world.refresh(going_on.refresh, PHONE, HERE)
    with pytest.raises(RefreshRefused):
        await world.refresh(three.refresh, PHONE, HERE)
    await world.everywhere(person.id, HERE)
    return written(world.database)


async def second_factors() -> set[AuditAction]:
    world = SigningIn()
    protected = await world.protected()
    with pytest.raises(ReauthenticationFailed):
        await world.prove_again(protected.principal, Proof(password="no", code="000000"), HERE)
    challenge = await world.challenge(protected.person)
    await world.meet(challenge, protected.recovery[0], PHONE, HERE)
    await world.step_up(protected.principal, protected.code, HERE)
    world.next_step()
    await world.replace_codes(protected.principal, protected.proof, HERE)
    world.next_step()
    await world.remove(protected.principal, protected.proof, HERE)
    await world.there_and_back("somebody")
    person = await world.person()
    principal = await world.acting(await world.session(person))
    departure = await world.depart_to_link(principal, "google", "/", Proof(password=PASSWORD), HERE)
    await world.there_and_back("another", departure=departure)
    await world.unlink(principal, "google", Proof(password=PASSWORD), HERE)
    return written(world.database)


async def keys() -> set[AuditAction]:
    world = Keys()
    owner = await world.partner()
    by = Principal(user_id=owner.id, role=owner.role)
    key = (await world.issue(owner)).key
    await world.edit(KeyEdit(by=by, origin=ORIGIN, key_id=key.id, name="another name"))
    await world.rotate(Rotation(by=by, origin=ORIGIN, key_id=key.id))
    await world.revoke(by, key.id, origin=ORIGIN)
    return written(world.database)


async def admins() -> set[AuditAction]:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    uow, oversight = InMemoryUnitOfWork(database), InMemoryPeopleOversight(database)
    cancel = CancelRun(uow, InMemoryLiveUpdates(), clock, RecordingJobQueue())
    people = ManagePeople(uow, InMemoryKeyChanges(), cancel)
    adjust = AdjustCredits(uow, oversight, oversight, clock, CountingIds())
    admin, other = [await keep_user(uow, role=Role.ADMIN) for _ in range(2)]
    user = await keep_user(uow)
    await people.set_role(admin.id, user.id, Role.PARTNER, origin=ORIGIN)
    await people.suspend(admin.id, user.id, "abuse", origin=ORIGIN)
    await people.reinstate(admin.id, user.id, "a mix-up", origin=ORIGIN)
    new = NewAdjustment(
        by=admin.id, origin=ORIGIN, user_id=user.id, credits=5, reason="A run that broke."
    )
    first, second = [await adjust.propose(new) for _ in range(2)]
    await adjust.approve(other.id, first.id, origin=ORIGIN)
    await adjust.reject(other.id, second.id, origin=ORIGIN)
    coupons = ManageCoupons(uow, clock, CountingIds())
    coupon = await coupons.make(
        admin.id,
        NewCoupon(
            code="WELCOME10",
            percent=10,
            fixed_paise=None,
            minimum_paise=0,
            purposes=frozenset({OrderPurpose.TOP_UP}),
            valid_from=None,
            valid_until=None,
            max_redemptions=None,
        ),
        origin=ORIGIN,
    )
    await coupons.switch(admin.id, coupon.id, active=False, origin=ORIGIN)
    plan = make_plan("brand-new")
    fields = {
        name: getattr(plan, name)
        for name in NewPlanVersion.__dataclass_fields__
        if hasattr(plan, name)
    }
    await WritePlanVersion(uow, clock, CountingIds())(
        NewPlanVersion(by=admin.id, origin=ORIGIN, **fields)
    )
    return written(database)


async def prices() -> set[AuditAction]:
    clock = MovableClock(NOW)
    database = InMemoryDatabase(clock)
    uow = InMemoryUnitOfWork(database)
    admin = await keep_user(uow, role=Role.ADMIN)
    await AddModelPrice(uow, clock, CountingIds())(
        NewModelPrice(origin=ORIGIN, user_id=admin.id, bands=bands())
    )
    await AddExchangeRate(uow, clock, CountingIds())(
        NewExchangeRate(
            user_id=admin.id, origin=ORIGIN, paise_per_usd=9_100, source="https://rbi.org.in"
        )
    )
    return written(database)


async def projects() -> set[AuditAction]:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    uow = InMemoryUnitOfWork(database)
    owner = await keep_user(uow, credits=100_000)
    run = await keep_run(uow, project := await keep_project(uow, owner))
    async with uow.begin(owner.id) as tx:
        await tx.runs.finish(run.id, RunStatus.DEAD, error_code="worker_lost", error="Lost.")
    retry = RetryRun(uow, RecordingJobQueue(), clock, CountingIds())
    again = await retry(owner.id, run.id, origin=ORIGIN)
    async with uow.begin(owner.id) as tx:
        await tx.runs.finish(again.id, RunStatus.DEAD, error_code="worker_lost", error="Lost.")
    await DeleteProject(uow)(owner.id, project.id, origin=ORIGIN)
    return written(database)


async def endpoints() -> set[AuditAction]:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    uow, box = InMemoryUnitOfWork(database), TransparentSecretBox()
    user_id = (await keep_user(uow)).id
    added = await AddEndpoint(uow, box, rules := DestinationRules(), clock, CountingIds())(
        NewEndpoint(user_id=user_id, origin=ORIGIN, url="https://example.com/hook")
    )
    endpoint_id = added.endpoint.id
    await EditEndpoint(uow, rules, clock)(
        EndpointEdit(user_id=user_id, origin=ORIGIN, endpoint_id=endpoint_id, description="another")
    )
    await RotateSecret(uow, box, clock)(
        SecretRotation(user_id=user_id, origin=ORIGIN, endpoint_id=endpoint_id, overlap_seconds=60)
    )
    await DeleteEndpoint(uow)(user_id, endpoint_id, origin=ORIGIN)
    return written(database)


async def subscriptions() -> set[AuditAction]:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    webhooks = InMemoryWebhooks(clock)
    office = Office(
        uow=InMemoryUnitOfWork(database),
        schedule=InMemoryPaymentSchedule(database),
        inbox=webhooks,
        work=webhooks,
        clock=clock,
        subscriptions=InMemorySubscriptionSchedule(database),
    )
    user = await office.person()
    await office.start(NewSubscription(origin=ORIGIN, user_id=user.id, plan="team", seats=3))
    await office.pay(user)
    seat = await office.seats.assign(user.id, "asha@example.org", origin=ORIGIN)
    await office.seats.withdraw(user.id, seat.number, origin=ORIGIN)
    await office.manage.change(Change(user_id=user.id, origin=ORIGIN, seats=2))
    await office.manage.cancel(user.id, origin=ORIGIN)
    await office.manage.resume(user.id, origin=ORIGIN)
    await office.manage.pause(user.id, origin=ORIGIN)
    return written(database)


async def refunds() -> set[AuditAction]:
    clock = MovableClock()
    database = InMemoryDatabase(clock)
    webhooks = InMemoryWebhooks(clock)
    office = Office(
        uow=InMemoryUnitOfWork(database),
        schedule=InMemoryPaymentSchedule(database),
        inbox=webhooks,
        work=webhooks,
        clock=clock,
        subscriptions=InMemorySubscriptionSchedule(database),
    )
    order, payment = await office.paid()
    office.gateway.refund_status = TransactionStatus.PENDING
    refund = await office.refunds.request(
        RefundOrder(
            user_id=order.user_id,
            payment_id=payment.id,
            amount_paise=100,
            reason="asked",
            requested_by=order.user_id,
            origin=ORIGIN,
        )
    )
    failed = seen_refund(refund.gateway_refund_id, payment, TransactionStatus.FAILED, 100)
    await office.refunds.record(order.user_id, payment.id, failed)
    await office.gateway.forget_refunds(order.gateway_order_id)
    await office.refunds.retry(order.user_id, refund.id, origin=ORIGIN)
    return written(database)


STORIES: Iterable[Callable[[], Awaitable[set[AuditAction]]]] = (
    accounts,
    sessions,
    second_factors,
    keys,
    admins,
    prices,
    projects,
    endpoints,
    subscriptions,
    refunds,
)


async def test_every_action_is_written_by_what_it_is_named_for() -> None:
    told: set[AuditAction] = set()
    for story in STORIES:
        told |= await story()
    assert set(AuditAction) - told == set(ELSEWHERE)


@pytest.mark.parametrize(("action", "test"), ELSEWHERE.items())
def test_what_a_statement_writes_is_read_by_a_test_on_the_database(
    action: AuditAction, test: str
) -> None:
    assert f"AuditAction.{action.name}" in Path(test).read_text()
