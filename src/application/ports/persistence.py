"""The truth: what is kept in the database, and the transactions it changes in.

A transaction belongs to one person (its tenant) and sees only what is theirs; the
database enforces that again below. A block that ends normally is committed, one that
raises is rolled back, and a commit that fails raises.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from application.ports.audit import AuditTrail
from application.ports.erasure import Erasures
from application.ports.idempotency import IdempotencyKeys
from application.ports.identity_provider import LinkedIdentities
from application.ports.invoices import BillingProfiles, InvoiceRepository
from application.ports.keys import ApiKeyRepository
from application.ports.language_model import StopReason
from application.ports.mail import LinkRepository, MailRepository
from application.ports.paging import Page as Page
from application.ports.payments import CouponRepository, OrderRepository, PaymentRepository
from application.ports.people import AdjustmentRepository
from application.ports.prices import PriceRecords
from application.ports.second_factor import ChallengeRepository, SecondFactorRepository
from application.ports.sessions import SessionRepository
from application.ports.subscriptions import (
    EntitlementRepository,
    NoticeRepository,
    PlanRepository,
    RetentionRepository,
    SeatRepository,
    SubscriptionRepository,
)
from application.ports.usage import UsageRecords
from application.ports.usage_log import UsageLog
from application.ports.webhooks import Webhooks
from domain.agents.pipelines import DocumentType
from domain.billing.days import ALWAYS, Days
from domain.billing.ledger import (
    AccountKind,
    Balance,
    ClawBack,
    ClawedBack,
    EntryKind,
    Grant,
    HouseCost,
    Lot,
    Reservation,
    Settlement,
)
from domain.billing.usage import NO_USAGE, TokenUsage
from domain.identity.user import Role, User
from domain.projects.agent_task import AgentTask
from domain.projects.document import Document
from domain.projects.project import Project, ProjectStatus
from domain.projects.run import Claim, Run, RunStatus
from domain.shared.errors import DomainError
from domain.shared.events import EventType, RunEvent
from domain.shared.ids import (
    DocumentId,
    ModelCallId,
    ProjectId,
    RunId,
    UserId,
)


class DatabaseUnavailable(DomainError):
    """The database did not answer within its bounded retries. Nothing was changed."""

    code = "database_unavailable"


class LeaseLost(Exception):
    """Another worker holds the run now, or it has ended. Nothing was changed."""


class RunUnreadable(Exception):
    """A claim was made, and counted, on a run whose row says nothing that this code knows.

    It carries what is needed to put the run off, or to end it, without reading it.
    """

    def __init__(
        self,
        run_id: RunId,
        project_id: ProjectId,
        user_id: UserId,
        *,
        fence: int,
        attempts: int,
        reason: str,
    ) -> None:
        super().__init__(reason)
        self.run_id = run_id
        self.project_id = project_id
        self.user_id = user_id
        self.fence = fence
        self.attempts = attempts


class UserRepository(Protocol):
    """People: the transaction's own person, and whoever is named by their email."""

    async def add(self, user: User) -> None:
        """Keep a new user.

        Raises:
            EmailTaken: an account with that email exists.
        """
        ...

    async def get(self, user_id: UserId) -> User | None:
        """The user with that id, if it is the transaction's person, or None."""
        ...

    async def by_email(self, email: str) -> User | None:
        """The user with that normalised email, or None."""
        ...

    async def set_password_hash(self, user_id: UserId, password_hash: str) -> None:
        """Replace the hash of the transaction's own person."""
        ...

    async def set_email(self, user_id: UserId, email: str) -> None:
        """Give the transaction's own person an address that was proved to be theirs.

        Raises:
            EmailTaken: another account has it.
        """
        ...

    async def keep_an_admin(self, user_id: UserId) -> None:
        """Have everybody else who takes an admin away wait until the commit.

        Call it before anything else is locked.

        Raises:
            LastAdmin: without that person no active admin would be left.
        """
        ...

    async def erase(self, user_id: UserId) -> None:
        """Switch the transaction's own person off, and forget name, address and password.

        Raises:
            LastAdmin: without that person no active admin would be left.
        """
        ...

    async def set_standing(
        self, by: UserId, *, role: Role | None = None, is_active: bool | None = None
    ) -> User:
        """Change the role of the transaction's person, or whether they may act; None keeps it.

        Raises:
            OwnStanding: ``by`` is the same person.
            PermissionDenied: ``by`` is no active admin. Of two who demote one another, one is.
            LastAdmin: no active admin would be left.
            NotFound: there is no such person.
        """
        ...


class ProjectRepository(Protocol):
    """The person's projects."""

    async def add(self, project: Project) -> None:
        """Keep a new project."""
        ...

    async def get(self, project_id: ProjectId, *, lock: bool = False) -> Project | None:
        """The project, or None. ``lock`` makes other writers wait until the commit."""
        ...

    async def page(
        self, page: Page, *, status: ProjectStatus | None, search: str
    ) -> Sequence[Project]:
        """Projects, newest first, optionally of one status or with words in the title."""
        ...

    async def save(self, project: Project) -> None:
        """Write back a changed project."""
        ...

    async def delete(self, project_id: ProjectId) -> None:
        """Remove the project with its runs, tasks, events and documents.

        Model calls and the ledger stay, because what was spent was spent; the calls' texts
        go, because they are the person's.
        """
        ...


class RunRepository(Protocol):
    """The person's runs and their event logs."""

    async def add(self, run: Run) -> None:
        """Keep a new run, due at once.

        Raises:
            RunInProgress: the project has a live run already.
        """
        ...

    async def get(self, run_id: RunId) -> Run | None:
        """The run, or None."""
        ...

    async def live(self, project_id: ProjectId) -> Run | None:
        """The project's live run, if it has one."""
        ...

    async def live_ids(self) -> Sequence[RunId]:
        """The person's live runs, in whatever project."""
        ...

    async def live_count(self) -> int:
        """How many live runs the person has, in whatever project."""
        ...

    async def of_project(self, project_id: ProjectId, page: Page) -> Sequence[Run]:
        """The project's runs, newest first."""
        ...

    async def lock(self, run_id: RunId, fence: int) -> Run:
        """Lock the run for this commit if the caller's claim still holds.

        Raises:
            LeaseLost: another claim came, or the run has ended.
        """
        ...

    async def set_progress(self, run_id: RunId, progress: int) -> None:
        """Write the share of work done, and forget the claims made since the last step."""
        ...

    async def finish(
        self, run_id: RunId, status: RunStatus, *, error_code: str = "", error: str = ""
    ) -> None:
        """Move a live run to a terminal state and drop its lease.

        Raises:
            LeaseLost: it has ended already.
            ValueError: ``status`` is not terminal.
        """
        ...

    async def request_cancel(self, run_id: RunId) -> Run:
        """Ask for a live run's end; one that waits becomes due at once.

        Raises:
            RunNotLive: it has ended.
            NotFound: there is none.
        """
        ...

    async def append_event(
        self, run_id: RunId, type_: EventType, data: Mapping[str, object]
    ) -> RunEvent:
        """Append to the run's log and return the entry, with its number and time."""
        ...

    async def events(self, run_id: RunId, after: int, limit: int) -> Sequence[RunEvent]:
        """The log's entries with numbers above ``after``, in order."""
        ...


class AgentTaskRepository(Protocol):
    """The steps of the person's runs."""

    async def put(self, task: AgentTask) -> None:
        """Keep the task of a (run, step), in place of what was there."""
        ...

    async def of_run(self, run_id: RunId) -> Sequence[AgentTask]:
        """The run's tasks, in the order they were begun."""
        ...

    async def checkpoint(self, project_id: ProjectId, input_hash: str) -> AgentTask | None:
        """The newest task of the project that succeeded on exactly these inputs."""
        ...


class DocumentRepository(Protocol):
    """The person's documents."""

    async def add(self, documents: Iterable[Document]) -> None:
        """Keep new documents."""
        ...

    async def get(self, document_id: DocumentId) -> Document | None:
        """The document, or None."""
        ...

    async def latest(
        self, project_id: ProjectId, *, type_: DocumentType | None = None
    ) -> Sequence[Document]:
        """The newest version of each type and format."""
        ...

    async def of_step(self, run_id: RunId, step: str) -> Sequence[Document]:
        """What one step of one run published."""
        ...


CUT_OFF = "cancelled"
"""The failure of a call that we ended ourselves: nothing that the provider did wrong."""


OUTAGE = "outage"
"""How the failure of a call begins that found the provider's circuit open, or opened it:
nothing that the question did wrong."""


class CallState(StrEnum):
    """The states of a model call. ``lost``: an intent whose answer never came back."""

    INTENT = "intent"
    REPLIED = "replied"
    FAILED = "failed"
    LOST = "lost"


class BorneBy(StrEnum):
    """Who pays for a call."""

    USER = "user"
    HOUSE = "house"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One provider call in the journal: its intent, and what came of it.

    ``request_hash`` and ``part`` say which question, and which continuation of its
    answer. ``bound_nano_usd`` is its dearest outcome; ``held`` are the credits by which its
    step's hold was raised for it, for what other calls left over is used first. One that was
    cut off while it was under way has failed as :data:`CUT_OFF`.
    """

    id: ModelCallId
    user_id: UserId
    run_id: RunId
    step: str
    request_hash: str
    part: int
    purpose: str
    borne_by: BorneBy
    state: CallState
    held: int
    bound_nano_usd: int = 0
    model: str = ""
    text: str = ""
    stop: StopReason | None = None
    usage: TokenUsage = NO_USAGE
    cost_nano_usd: int = 0
    estimated: bool = False
    failure: str = ""
    provider_request_id: str = ""


MENDING = frozenset({"review", "repair"})
"""The purposes of calls that mend our own faults, for which the house pays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MendingCost:
    """What mending cost the house, in nano-dollars: of a run, and of a person lately."""

    run_nano_usd: int
    day_nano_usd: int


class ModelCallRepository(Protocol):
    """The journal of model calls: intents before, raw replies before they are read."""

    async def add(self, call: ModelCall) -> None:
        """Record an intent."""
        ...

    async def conclude(self, call: ModelCall) -> bool:
        """Record what came of an intent, or of a lost one whose answer came late after all.

        Such a late answer is on the house, whatever ``borne_by`` says; True tells that this
        is one. A call that replied or failed is never changed again.
        """
        ...

    async def give_up(self, run_id: RunId, step: str, request_hash: str | None = None) -> None:
        """Make every open intent of a step, or of one question in it, lost and the house's.

        For who has locked the run, and before the calls are read: an answer that is being
        recorded comes before this, and is read, or after it, and is the house's.
        """
        ...

    async def of_request(self, run_id: RunId, step: str, request_hash: str) -> Sequence[ModelCall]:
        """Every call made for one question in this run's step, oldest first."""
        ...

    async def of_step(self, run_id: RunId, step: str) -> Sequence[ModelCall]:
        """Every call of a step, without its text: for settling."""
        ...

    async def committed(self, run_id: RunId, step: str) -> int:
        """What the step's calls may cost the person, in nano-dollars.

        Those concluded count with their cost, those under way with their bound.
        """
        ...

    async def mending(self, run_id: RunId, day_seconds: float) -> MendingCost:
        """What mending our own faults cost the house so far, for the run and for its person.

        Calls without an answer count with their bound. Other transactions of the person
        that ask wait until the commit, so that no two count on the same room.
        """
        ...

    async def failed(self, run_id: RunId, limit: int) -> Sequence[ModelCall]:
        """The run's last failed calls, newest first, without their text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryQuery:
    """Which entries: the newest with numbers below ``before``, of a kind, a run or some days."""

    limit: int
    before: int | None = None
    kind: EntryKind | None = None
    run_id: RunId | None = None
    days: Days = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedEntry:
    """An entry as it is booked: its number, its moment, and its postings by account."""

    number: int
    at: datetime
    kind: EntryKind
    run_id: RunId | None
    step: str
    sums: Mapping[AccountKind, int]


class LapsedCredits(Protocol):
    """Whose credits have lapsed, looked up across all people: for the dispatcher."""

    async def owners(self, limit: int) -> Sequence[UserId]:
        """Some of the people with free credits whose time is over.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...


class Ledger(Protocol):
    """The person's account, and the house's side of it."""

    async def open(self, user_id: UserId) -> None:
        """Open the account with a balance of zero."""
        ...

    async def balance(self, user_id: UserId) -> Balance:
        """What is free and what is held."""
        ...

    async def owed(self) -> int:
        """What the transaction's person owes: clawed back, and spent by then."""
        ...

    async def grant(self, grant: Grant) -> bool:
        """Give credits as a lot, once: False when its key was booked before.

        What is owed is paid from it first.
        """
        ...

    async def claw_back(self, claw: ClawBack) -> ClawedBack | None:
        """Take credits back, once: None when its key was booked before.

        What is free is taken, of the lot with its reference first; the rest is owed.
        """
        ...

    async def reserve(self, wanted: Reservation) -> bool:
        """Hold credits for a step, once: False when its key was booked before.

        Raises:
            CapReached: the run's steps would hold more than its room.
            InsufficientCredits: less is free. Nothing was changed, and the block may go on.
        """
        ...

    async def lock(self) -> None:
        """Keep everybody else from the person's account until the commit.

        What is read by statements after this one is what the account's last change left.
        """
        ...

    async def bear(self, cost: HouseCost) -> bool:
        """Book what the house bears of a settled step, once: False when its key was before.

        Holds and balance are left as they are.
        """
        ...

    async def settle(self, settled: Settlement) -> int:
        """End a step's hold, and note on its run what it was charged; returns that.

        Once: a settlement whose key was booked before changes nothing, and what it charged
        then is returned.
        """
        ...

    async def expire(self) -> int:
        """Let lapse what is free of lots whose time is over; returns how many credits."""
        ...

    async def lots(self) -> Sequence[Lot]:
        """The person's lots with anything free that has not lapsed, in the order of spending."""
        ...

    async def account(self) -> tuple[Balance, Sequence[Lot]]:
        """:meth:`balance` and :meth:`lots` of one moment, whatever moves meanwhile.

        What has lapsed is no longer free, even before it is booked.
        """
        ...

    async def entries(self, query: EntryQuery) -> Sequence[BookedEntry]:
        """The person's entries that fit, newest first."""
        ...

    async def held(self, run_id: RunId, step: str) -> int:
        """What the step holds."""
        ...

    async def held_steps(self, run_id: RunId) -> Sequence[str]:
        """The run's steps that hold anything."""
        ...


class Transaction(Protocol):
    """One database transaction and the repositories that speak through it."""

    def speaking_for(self, user_id: UserId) -> AbstractAsyncContextManager["Transaction"]:
        """The same transaction as somebody else, within the block: for what two people's rows say
        together. What it does is kept or undone with the rest."""
        ...

    @property
    def users(self) -> UserRepository: ...
    @property
    def projects(self) -> ProjectRepository: ...
    @property
    def runs(self) -> RunRepository: ...
    @property
    def tasks(self) -> AgentTaskRepository: ...
    @property
    def documents(self) -> DocumentRepository: ...
    @property
    def calls(self) -> ModelCallRepository: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def idempotency(self) -> IdempotencyKeys: ...
    @property
    def erasures(self) -> Erasures: ...
    @property
    def billing_profiles(self) -> BillingProfiles: ...
    @property
    def invoices(self) -> InvoiceRepository: ...
    @property
    def orders(self) -> OrderRepository: ...
    @property
    def payments(self) -> PaymentRepository: ...
    @property
    def coupons(self) -> CouponRepository: ...
    @property
    def prices(self) -> PriceRecords: ...
    @property
    def usage(self) -> UsageRecords: ...
    @property
    def plans(self) -> PlanRepository: ...
    @property
    def subscriptions(self) -> SubscriptionRepository: ...
    @property
    def seats(self) -> SeatRepository: ...
    @property
    def entitlements(self) -> EntitlementRepository: ...
    @property
    def notices(self) -> NoticeRepository: ...
    @property
    def retention(self) -> RetentionRepository: ...
    @property
    def keys(self) -> ApiKeyRepository: ...
    @property
    def mails(self) -> MailRepository: ...
    @property
    def links(self) -> LinkRepository: ...
    @property
    def usage_log(self) -> UsageLog: ...
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def adjustments(self) -> AdjustmentRepository: ...
    @property
    def linked_identities(self) -> LinkedIdentities: ...
    @property
    def second_factor(self) -> SecondFactorRepository: ...
    @property
    def challenges(self) -> ChallengeRepository: ...
    @property
    def audit(self) -> AuditTrail: ...


class UnitOfWork(Protocol):
    """Opens transactions."""

    def begin(self, user_id: UserId | None) -> AbstractAsyncContextManager[Transaction]:
        """A transaction as one person, or as nobody for what comes before sign-in.

        Raises:
            DatabaseUnavailable: none could be opened, and nothing was changed; or it broke
                at its commit, and whether it counted must be looked up.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a renewal brought back: whether the person wants the run to stop."""

    cancel_requested: bool


class RunClaims(Protocol):
    """Who may work on which run, decided by the database on its own clock.

    A person's runs are held by at most so many workers at once as the adapter was told; 0
    is no limit. One whose end is asked for is outside of it: ending it is no work.
    """

    async def claim(self, run_id: RunId, lease_seconds: float) -> Claim | None:
        """Take the run if it is due and nobody holds it; each claim counts an attempt.

        Committed on its own, before any work. None: somebody else has it, it is not
        due yet, it has ended, or its person's other runs fill their limit. A run refused
        for the limit counts no attempt, and comes due as soon as there is room.

        Raises:
            RunUnreadable: the claim was made, but the row is not one of a run.
        """
        ...

    async def renew(self, run_id: RunId, fence: int, lease_seconds: float) -> Heartbeat | None:
        """Prolong the lease; None when it was lost."""
        ...

    async def hand_back(
        self, run_id: RunId, fence: int, *, delay_seconds: float, refund: bool = True
    ) -> bool:
        """Give the run up unfinished, to be claimed again after the delay.

        ``refund`` takes the claim's attempt off the count: parking and redeploying are
        nobody's fault. False when the lease was lost already.
        """
        ...

    async def outlived(self, run_id: RunId, fence: int) -> bool:
        """Take a claim's attempt off the count, for the worker that lost its lease and lives.

        Whoever has the run by now keeps it. False: the run has ended or finished a step
        since, so the attempt does not count any more, or it stalled too often
        (:data:`~domain.projects.run.MAX_STALLS`), and it goes on counting.
        """
        ...

    async def due(self, limit: int) -> Sequence[RunId]:
        """Runs that wait for a worker and that nobody announced lately.

        In the order of fairness: everybody's first, then everybody's second, and of each
        person no more than may be held or on their way to a worker at once.
        """
        ...

    async def put_off(self, run_ids: Sequence[RunId], defer_seconds: float) -> Sequence[RunId]:
        """Put off the next turn of those that are still due by the delay, and tell which.

        In the order they are given. Of many dispatchers with the same run, one is told it.
        """
        ...

    async def depth(self) -> int:
        """How many runs wait for a worker."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run's row as an operator sees it. Mode and status are told as they are written."""

    id: RunId
    project_id: ProjectId
    user_id: UserId
    mode: str
    status: str
    progress: int
    attempts: int
    retry_of: RunId | None
    event_seq: int
    error_code: str
    error: str
    created_at: datetime
    finished_at: datetime | None


class RunOversight(Protocol):
    """The rows of everybody's runs, to be read only: for operators."""

    async def of_status(self, status: RunStatus, page: Page) -> Sequence[RunSummary]:
        """Everybody's runs of that status, newest first.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...

    async def of_person(
        self, user_id: UserId, status: RunStatus | None, page: Page
    ) -> Sequence[RunSummary]:
        """That person's runs, newest first; of one status, if one is named.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...

    async def get(self, run_id: RunId) -> RunSummary | None:
        """Anybody's run, or None.

        Raises:
            DatabaseUnavailable: the database did not answer.
        """
        ...
