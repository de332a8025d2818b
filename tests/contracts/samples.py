"""Data for tests: valid, told apart by random identifiers, and cheap to vary.

``make_…`` builds a value, any field of which may be named; ``keep_…`` also stores it
with all it hangs on. Nothing is shared between two tests, so a suite may run on a
database that others use too.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from application.ports.claims import RunClaims
from application.ports.model_calls import BorneBy, CallState, ModelCall
from application.ports.persistence import Transaction, UnitOfWork
from domain.agents.artifacts import Mode
from domain.agents.pipelines import DocumentType
from domain.audit.origin import Origin
from domain.billing.coupons import Coupon
from domain.billing.ledger import Grant, LotKind, Reservation
from domain.billing.orders import Order, OrderPurpose, OrderStatus
from domain.billing.payments import Payment, Refund, TransactionKind, TransactionStatus
from domain.billing.usage import TokenUsage
from domain.identity.session import ActingSession, Device, Session, SignInMethod
from domain.identity.user import Role, User
from domain.projects.agent_task import AgentTask, AgentTaskStatus, ArtifactRef
from domain.projects.document import Document
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Claim, Run, RunStatus
from domain.shared.ids import (
    AgentTaskId,
    CouponId,
    DocumentId,
    ModelCallId,
    OrderId,
    ProjectId,
    RunId,
    SessionId,
    TransactionId,
    UserId,
)

T = TypeVar("T")

ORIGIN = Origin.of_system("tests")
"""Who acts where it does not matter."""

LONG_LEASE = 3600.0
"""Seconds. Does not end within any test."""

SHORT_LEASE = 0.2
"""Seconds. Ends within :data:`PAST_SHORT_LEASE`."""

PAST_SHORT_LEASE = 0.3

# Ahead of nobody's clock, and later at each use: ids sort in the order they were made.
_milliseconds = itertools.count(time.time_ns() // 1_000_000 - 3_600_000)


def new_id() -> UUID:
    """A UUID of version 7, later than every one made before in this process."""
    stamp = next(_milliseconds) << 80
    high = 0x7 << 76 | secrets.randbits(12) << 64
    return UUID(int=stamp | high | 0b10 << 62 | secrets.randbits(62))


def made_at(identifier: UUID) -> datetime:
    """The moment a version 7 id carries."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=identifier.int >> 80)


def make_user(**changes: Any) -> User:
    """An active member, whose address is proved to be theirs."""
    id_ = new_id()
    user = User(
        id=UserId(id_),
        email=f"{id_}@example.org",
        name="Asha Rao",
        password_hash="$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        role=Role.MEMBER,
        is_active=True,
        created_at=made_at(id_),
        email_verified_at=made_at(id_),
    )
    return replace(user, **changes)


def make_grant(user_id: UserId, credits: int, **changes: Any) -> Grant:
    """A gift with a key of its own, that never lapses."""
    gift = Grant(user_id=user_id, key=f"gift:{new_id()}", credits=credits, kind=LotKind.PROMOTION)
    return replace(gift, **changes)


def make_reservation(run: Run, credits: int, step: str = "idea", **changes: Any) -> Reservation:
    """A reservation with a key of its own."""
    wanted = Reservation(
        user_id=run.user_id,
        key=f"reserve:{new_id()}",
        run_id=run.id,
        step=step,
        credits=credits,
    )
    return replace(wanted, **changes)


def make_project(user_id: UserId, **changes: Any) -> Project:
    """A draft."""
    id_ = new_id()
    project = Project(
        id=ProjectId(id_),
        user_id=user_id,
        title="College library",
        idea="Members borrow books, librarians manage copies, and overdue loans are fined.",
        mode=Mode.DEVELOPER,
        status=ProjectStatus.DRAFT,
        progress=0,
        created_at=made_at(id_),
        updated_at=made_at(id_),
    )
    return replace(project, **changes)


def make_run(project: Project, **changes: Any) -> Run:
    """A queued run."""
    id_ = new_id()
    run = Run(
        id=RunId(id_),
        project_id=project.id,
        user_id=project.user_id,
        mode=project.mode,
        pipeline_version=1,
        status=RunStatus.QUEUED,
        progress=0,
        reuse=True,
        retry_of=None,
        attempts=0,
        fence=0,
        cancel_requested=False,
        event_seq=0,
        error_code="",
        error="",
        created_at=made_at(id_),
        started_at=None,
        finished_at=None,
    )
    return replace(run, **changes)


def make_task(run: Run, **changes: Any) -> AgentTask:
    """The first step, done."""
    id_ = new_id()
    task = AgentTask(
        id=AgentTaskId(id_),
        run_id=run.id,
        project_id=run.project_id,
        user_id=run.user_id,
        step="idea",
        agent_type="idea",
        status=AgentTaskStatus.SUCCEEDED,
        attempt=1,
        input_hash=secrets.token_hex(32),
        output=ArtifactRef(type="IdeaBrief", object_key=f"{run.user_id}/a", sha256="a" * 64),
        findings=(),
        usage=TokenUsage(input=900, output=400, cache_write=20, cache_read=10),
        model="model-a",
        cost_nano_usd=5_800_000,
        house_nano_usd=70_000,
        credits=52,
        error_code="",
        error="",
        started_at=made_at(id_),
        finished_at=made_at(id_) + timedelta(seconds=8),
    )
    return replace(task, **changes)


def make_document(run: Run, **changes: Any) -> Document:
    """Version 1 of an idea brief in Markdown."""
    id_ = new_id()
    document = Document(
        id=DocumentId(id_),
        project_id=run.project_id,
        run_id=run.id,
        user_id=run.user_id,
        step="idea",
        type=DocumentType.IDEA_BRIEF,
        format="md",
        version=1,
        title="Idea brief",
        filename="idea-brief.md",
        media_type="text/markdown",
        object_key=f"{run.user_id}/{'b' * 64}",
        sha256="b" * 64,
        size=2_048,
        created_at=made_at(id_),
    )
    return replace(document, **changes)


def make_call(run: Run, **changes: Any) -> ModelCall:
    """An intent that the person pays for."""
    call = ModelCall(
        id=ModelCallId(new_id()),
        user_id=run.user_id,
        run_id=run.id,
        step="idea",
        request_hash="c" * 64,
        part=0,
        purpose="ask",
        borne_by=BorneBy.USER,
        state=CallState.INTENT,
        held=120,
    )
    return replace(call, **changes)


def make_order(user_id: UserId, **changes: Any) -> Order:
    """An open order of 20,000 credits for ₹236."""
    id_ = new_id()
    order = Order(
        id=OrderId(id_),
        user_id=user_id,
        purpose=OrderPurpose.TOP_UP,
        reference="starter",
        amount_paise=23_600,
        description="Starter pack: 20000 credits",
        credits=20_000,
        status=OrderStatus.OPEN,
        created_at=made_at(id_),
        expires_at=made_at(id_) + timedelta(minutes=30),
    )
    return replace(order, **changes)


def make_payment(order: Order, **changes: Any) -> Payment:
    """The order's captured payment."""
    id_ = new_id()
    payment = Payment(
        id=TransactionId(id_),
        user_id=order.user_id,
        order_id=order.id,
        gateway_payment_id=f"pay_{id_.hex}",
        status=TransactionStatus.CAPTURED,
        amount_paise=order.amount_paise,
        currency=order.currency,
        created_at=made_at(id_),
        method="upi",
        captured_at=made_at(id_),
    )
    return replace(payment, **changes)


def make_refund(payment: Payment, **changes: Any) -> Refund:
    """A refund of all of a payment that the gateway is to be asked for."""
    id_ = new_id()
    refund = Refund(
        id=TransactionId(id_),
        user_id=payment.user_id,
        order_id=payment.order_id,
        payment_id=payment.id,
        gateway_payment_id=payment.gateway_payment_id,
        amount_paise=payment.amount_paise,
        currency=payment.currency,
        kind=TransactionKind.REFUND,
        status=TransactionStatus.REQUESTED,
        created_at=made_at(id_),
        reason="asked for",
    )
    return replace(refund, **changes)


def make_coupon(**changes: Any) -> Coupon:
    """Ten percent off, for everybody once, as often as anybody likes."""
    id_ = new_id()
    coupon = Coupon(
        id=CouponId(id_),
        code=f"C{id_.hex[:24]}".upper(),
        percent=10,
        fixed_paise=None,
        minimum_paise=0,
        purposes=frozenset(),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        valid_until=None,
        max_redemptions=None,
        created_at=made_at(id_),
    )
    return replace(coupon, **changes)


async def keep_order(uow: UnitOfWork, owner: User | None = None, **changes: Any) -> Order:
    """A stored order, of ``owner`` or of somebody new."""
    owner = owner or await keep_user(uow)
    order = make_order(owner.id, **changes)
    async with uow.begin(owner.id) as tx:
        await tx.orders.add(order)
    return order


async def keep_user(uow: UnitOfWork, *, credits: int = 0, **changes: Any) -> User:
    """A stored user with an open account that holds ``credits``."""
    user = make_user(**changes)
    async with uow.begin(user.id) as tx:
        await tx.users.add(user)
        await tx.ledger.open(user.id)
        if credits:
            await tx.ledger.grant(make_grant(user.id, credits))
    return user


def make_session(owner: User, **changes: Any) -> Session:
    """A session of now, by password."""
    now = datetime.now(UTC)
    session = Session(
        id=SessionId(new_id()),
        user_id=owner.id,
        version=owner.session_version,
        methods=frozenset({SignInMethod.PASSWORD}),
        device=Device(address="203.0.113.7", agent="A browser"),
        created_at=now,
        authenticated_at=now,
        last_used_at=now,
        expires_at=now + timedelta(days=14),
    )
    return replace(session, **changes)


async def keep_session(
    uow: UnitOfWork, owner: User | None = None, digest: str = "", **changes: Any
) -> Session:
    """A stored session with its first refresh token."""
    owner = owner or await keep_user(uow)
    session = make_session(owner, **changes)
    async with uow.begin(owner.id) as tx:
        await tx.sessions.open(session, digest or secrets.token_hex(32))
    return session


def make_acting() -> ActingSession:
    """A session, as a token names it."""
    return ActingSession(id=SessionId(new_id()), version=1)


async def keep_project(uow: UnitOfWork, owner: User | None = None, **changes: Any) -> Project:
    """A stored project, of ``owner`` or of somebody new."""
    owner = owner or await keep_user(uow)
    project = make_project(owner.id, **changes)
    async with uow.begin(owner.id) as tx:
        await tx.projects.add(project)
    return project


async def keep_run(uow: UnitOfWork, project: Project | None = None, **changes: Any) -> Run:
    """A stored run, of ``project`` or of a new one."""
    project = project or await keep_project(uow)
    run = make_run(project, **changes)
    async with uow.begin(project.user_id) as tx:
        await tx.runs.add(run)
    return run


async def take(claims: RunClaims, run: Run, lease_seconds: float = LONG_LEASE) -> Claim:
    """Claim a run that nobody holds."""
    claim = await claims.claim(run.id, lease_seconds)
    assert claim is not None, "the run should have been free"
    return claim


async def reread(uow: UnitOfWork, run: Run) -> Run:
    """The run as it is stored now."""
    async with uow.begin(run.user_id) as tx:
        stored = await tx.runs.get(run.id)
    assert stored is not None, "the run should be there"
    return stored


async def all_at_once(times: int, attempt: Callable[[], Awaitable[T]]) -> list[T]:
    """Do the same many times, concurrently; an error in one is an error here."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_awaited(attempt)) for _ in range(times)]
    return [task.result() for task in tasks]


async def intrude(
    uow: UnitOfWork, as_: UserId | None, write: Callable[[Transaction], Awaitable[object]]
) -> None:
    """Try to write where one may not. To refuse is as good as to change nothing."""
    with suppress(Exception):
        async with uow.begin(as_) as tx:
            await write(tx)


def ids(rows: Iterable[Any]) -> list[UUID]:
    """Their identifiers, in their order."""
    return [row.id for row in rows]


async def _awaited(attempt: Callable[[], Awaitable[T]]) -> T:
    return await attempt()
