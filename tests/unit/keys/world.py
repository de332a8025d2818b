"""A platform in memory, as far as keys and limits are concerned."""

from dataclasses import dataclass, field
from datetime import timedelta

from application.identity.authenticate_session import AuthenticateSession, SessionCache
from application.identity.open_session import acting
from application.keys.admit_request import Admission, AdmitRequest, LimitPolicies, Presented
from application.keys.authenticate_key import AuthenticateKey
from application.keys.edit_key import EditKey
from application.keys.issue_key import IssuedKey, IssueKey, NewKey
from application.keys.key_cache import KeyCache
from application.keys.local_rate_limiter import LocalRateLimiter
from application.keys.revoke_key import RevokeKey
from application.keys.rotate_key import RotateKey
from application.ports.security import Principal
from domain.identity.user import Permission, Role, User
from domain.keys.key_text import KeyEnvironment, KeyText
from tests.contracts.samples import ORIGIN, keep_session, keep_user
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.keys import CountingKeySecrets, InMemoryKeyChanges
from tests.fakes.metrics import RecordingLimitMetrics
from tests.fakes.persistence import InMemoryDatabase, InMemoryHotReads, InMemoryUnitOfWork
from tests.fakes.security import OpaqueAccessTokens

POLICIES = LimitPolicies(
    address_per_minute=20,
    unverified_per_minute=5,
    user_per_minute=40,
    key_per_minute=10,
    key_per_day=30,
)
HERE = "198.51.100.7"
READ = frozenset({Permission.PROJECTS_READ})


class CountingUnitOfWork(InMemoryUnitOfWork):
    """Counts the transactions that are opened."""

    begun = 0

    def begin(self, user_id):  # type: ignore[no-untyped-def]  # as it is above
        self.begun += 1
        return super().begin(user_id)


@dataclass
class World:
    """Everything a test may look at or break."""

    clock: MovableClock = field(default_factory=MovableClock)
    changes: InMemoryKeyChanges = field(default_factory=InMemoryKeyChanges)
    secrets: CountingKeySecrets = field(default_factory=CountingKeySecrets)
    metrics: RecordingLimitMetrics = field(default_factory=RecordingLimitMetrics)

    def __post_init__(self) -> None:
        self.database = InMemoryDatabase(self.clock)
        self.uow = CountingUnitOfWork(self.database)
        self.ids = CountingIds()
        self.limiter = LocalRateLimiter(self.milliseconds)
        self.process = self.another_process()
        self.tokens = self.process.tokens

    def milliseconds(self) -> int:
        return int(self.clock.now().timestamp() * 1_000)

    def another_process(self) -> AdmitRequest:
        """One more process of the platform: it shares all but its memory."""
        cache = KeyCache(self.changes, lambda: self.clock.now().timestamp())
        sessions = SessionCache(self.changes, lambda: self.clock.now().timestamp())
        return AdmitRequest(
            OpaqueAccessTokens(self.clock),
            AuthenticateKey(self.uow, InMemoryHotReads(self.uow), self.secrets, cache, self.clock),
            AuthenticateSession(self.uow, sessions, self.clock),
            self.limiter,
            POLICIES,
            self.metrics,
            LocalRateLimiter(self.milliseconds),
        )

    async def token(self, owner: User, **changes: object) -> str:
        """An access token of a new session."""
        session = await keep_session(
            self.uow, owner, expires_at=self.clock.now() + timedelta(days=14), **changes
        )
        return self.tokens.issue(owner, acting(session)).token

    async def partner(self) -> User:
        return await keep_user(self.uow, role=Role.PARTNER)

    async def issue(self, owner: User, **more: object) -> IssuedKey:
        issue = IssueKey(self.uow, self.secrets, self.clock, self.ids)
        wanted: dict[str, object] = {
            "by": Principal(user_id=owner.id, role=owner.role),
            "origin": ORIGIN,
            "name": "a program",
            "environment": KeyEnvironment.LIVE,
            "scopes": READ,
        }
        return await issue(NewKey(**{**wanted, **more}))  # type: ignore[arg-type]  # by the test

    @property
    def edit(self) -> EditKey:
        return EditKey(self.uow, self.clock, self.changes)

    @property
    def rotate(self) -> RotateKey:
        return RotateKey(self.uow, self.secrets, self.clock, self.changes)

    @property
    def revoke(self) -> RevokeKey:
        return RevokeKey(self.uow, self.clock, self.changes)

    async def call(
        self,
        key: KeyText | str,
        *,
        address: str = HERE,
        cost: int = 1,
        process: AdmitRequest | None = None,
    ) -> Admission:
        text = key.text if isinstance(key, KeyText) else key
        return await (process or self.process)(Presented(address=address, key=text), cost)
