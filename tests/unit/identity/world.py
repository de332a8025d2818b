"""A platform in memory, as far as signing in is concerned."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp

from adapters.security import OneTimeSecrets, Peppers, generate_pepper
from adapters.system import UuidMaker
from application.identity.attempts import AttemptThrottle
from application.identity.authenticate_session import AuthenticateSession, SessionCache
from application.identity.end_sessions import RevokeSession, SignOut, SignOutEverywhere
from application.identity.external_sign_in import (
    Arrival,
    ArriveFromProvider,
    DepartToProvider,
    Departure,
    Finished,
    Flow,
    IdentityProviders,
    PendingLink,
)
from application.identity.link_identities import (
    ConfirmLink,
    DepartToLink,
    ListIdentities,
    UnlinkIdentity,
)
from application.identity.mail_desk import MailDesk
from application.identity.manage_second_factor import (
    ConfirmSecondFactor,
    ProposeSecondFactor,
    ProveAgain,
    RemoveSecondFactor,
    ReplaceRecoveryCodes,
    ShowSecondFactor,
    StepUp,
)
from application.identity.meet_challenge import MeetChallenge
from application.identity.open_account import AccountOpener
from application.identity.open_session import SessionOpener, SignedIn
from application.identity.pass_first_factor import PassFirstFactor, SecondFactorNeeded
from application.identity.reauthenticate import Proof, Reauthenticate
from application.identity.refresh_session import RefreshSession
from application.identity.second_factor_codes import SecondFactorCodes
from application.identity.sign_in import Credentials, SignIn
from application.keys.local_rate_limiter import LocalRateLimiter
from application.ports.security import Principal
from domain.audit.act import AuditAction
from domain.audit.origin import ActorKind, Origin
from domain.identity.linked_identity import ProviderName
from domain.identity.mail import MailKind
from domain.identity.second_factor import STEP_SECONDS
from domain.identity.session import Device
from domain.identity.user import Role, User
from tests.contracts.samples import keep_user
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.identity_provider import InMemoryIdentityProvider, InMemoryOneTimeValues
from tests.fakes.keys import InMemoryKeyChanges
from tests.fakes.known_places import InMemoryKnownPlaces
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork
from tests.fakes.security import (
    CountingRefreshTokens,
    OpaqueAccessTokens,
    PlainPasswordHasher,
    TransparentSecretBox,
)

PASSWORD = "correct horse battery staple"
PHONE = Device(address="203.0.113.5", agent="A phone")
HERE = Origin(kind=ActorKind.NOBODY, address="203.0.113.5", request_id="request-1")
GOOGLE = ProviderName.GOOGLE.value
GRANT = 500


class World:
    """Everything a test may look at or break."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.database = InMemoryDatabase(self.clock)
        self.uow = InMemoryUnitOfWork(self.database)
        self.changes = InMemoryKeyChanges()
        self.tokens = OpaqueAccessTokens(self.clock)
        self.hasher = PlainPasswordHasher()
        self.secrets = OneTimeSecrets(Peppers.parse(generate_pepper()))
        self.there = InMemoryIdentityProvider()
        self.providers = IdentityProviders({ProviderName.GOOGLE: self.there})
        flows: InMemoryOneTimeValues[Flow] = InMemoryOneTimeValues(self.clock)
        links: InMemoryOneTimeValues[PendingLink] = InMemoryOneTimeValues(self.clock)
        ids = CountingIds()
        refresh = CountingRefreshTokens()
        opener = SessionOpener(self.tokens, refresh, self.clock, ids)
        self.refresh = RefreshSession(self.uow, refresh, self.tokens, self.changes)
        self.sign_out = SignOut(self.uow, refresh, self.changes)
        self.revoke = RevokeSession(self.uow, self.changes)
        self.everywhere = SignOutEverywhere(self.uow, self.changes)
        codes = SecondFactorCodes(self.secrets, TransparentSecretBox(), self.clock)
        first_factor = PassFirstFactor(opener, self.secrets, self.clock)
        admins = frozenset({Role.ADMIN})
        self.authenticate = AuthenticateSession(
            self.uow,
            SessionCache(self.changes, lambda: self.clock.now().timestamp()),
            self.clock,
            admins,
        )
        self.throttle = AttemptThrottle(LocalRateLimiter(), InMemoryKnownPlaces(self.clock))
        self.sign_in = SignIn(self.uow, self.hasher, first_factor, self.throttle)
        self.meet = MeetChallenge(self.uow, opener, codes, self.throttle)
        self.reauthenticate = Reauthenticate(
            self.uow, self.hasher, codes, self.clock, self.throttle
        )
        self.show = ShowSecondFactor(self.uow, admins)
        desk = MailDesk(TransparentSecretBox(), UuidMaker())
        self.propose = ProposeSecondFactor(self.uow, codes, self.reauthenticate)
        self.confirm = ConfirmSecondFactor(self.uow, codes, self.changes, self.throttle, desk)
        self.replace_codes = ReplaceRecoveryCodes(self.uow, codes, self.reauthenticate, desk)
        self.remove = RemoveSecondFactor(self.uow, self.reauthenticate, admins, self.changes, desk)
        self.step_up = StepUp(self.uow, codes, self.changes, self.throttle)
        self.prove_again = ProveAgain(self.uow, self.reauthenticate, self.changes)
        self.depart = DepartToProvider(self.providers, flows, ("https://app.example.com",))
        self.arrive = ArriveFromProvider(
            self.uow,
            self.providers,
            flows,
            links,
            first_factor,
            AccountOpener(self.clock, ids, GRANT),
            self.clock,
            desk,
        )
        self.confirm_link = ConfirmLink(
            self.uow, links, self.reauthenticate, opener, self.clock, desk
        )
        self.depart_to_link = DepartToLink(self.depart, self.reauthenticate)
        self.identities = ListIdentities(self.uow)
        self.unlink = UnlinkIdentity(self.uow, self.reauthenticate, desk)

    async def person(self, **changes: object) -> User:
        """Somebody with a password."""
        values = {"password_hash": await self.hasher.hash(PASSWORD), **changes}
        return await keep_user(self.uow, **values)

    async def by_password(
        self, person: User, password: str = PASSWORD
    ) -> SignedIn | SecondFactorNeeded:
        """What comes of a sign-in."""
        return await self.sign_in(
            Credentials(email=person.email, password=password, origin=HERE), PHONE
        )

    async def session(self, person: User) -> SignedIn:
        """A session of somebody without a second factor."""
        opened = await self.by_password(person)
        assert isinstance(opened, SignedIn)
        return opened

    async def challenge(self, person: User) -> str:
        """A challenge of somebody with one."""
        needed = await self.by_password(person)
        assert isinstance(needed, SecondFactorNeeded)
        return needed.challenge

    async def refreshed(self, opened: SignedIn) -> SignedIn:
        """The same session with its next tokens."""
        return await self.refresh(opened.refresh, PHONE, HERE)

    def mails(self, person: User) -> list[MailKind]:
        """What was to be sent to them, the oldest first."""
        mails = [row.mail for row in self.database.tables.mails.values()]
        return [mail.kind for mail in mails if mail.user_id == person.id]

    async def acting(self, opened: SignedIn) -> Principal:
        """Who acts in a session now."""
        return await self.authenticate(self.tokens.verify(opened.access.token))

    async def protected(self, **changes: object) -> "Protected":
        """Somebody with a second factor, signed in from before it."""
        person = await self.person(**changes)
        principal = await self.acting(await self.session(person))
        proposed = await self.propose(principal, Proof(password=PASSWORD), HERE)
        app = pyotp.TOTP(proposed.secret)
        recovery = await self.confirm(principal, app.at(self.clock.now()), HERE)
        self.next_step()
        return Protected(self, person, app, recovery, principal)

    def next_step(self) -> None:
        """Let the present code become an old one."""
        self.clock.move(timedelta(seconds=STEP_SECONDS))

    async def there_and_back(
        self, name: str, *, return_to: str = "/projects", departure: Departure | None = None
    ) -> Finished:
        """Sign in at the provider under a name there, in one browser."""
        departure = departure or await self.depart(GOOGLE, return_to)
        return await self.arrive(self.arrival(departure, name), PHONE, HERE)

    def arrival(self, departure: Departure, name: str, **changes: str | None) -> Arrival:
        """What the browser comes back with, but for the changes."""
        values: dict[str, object] = {
            "provider": ProviderName.GOOGLE,
            "state": parse_qs(urlsplit(departure.url).query)["state"][0],
            "code": self.there.approve(departure.url, name),
            "error": None,
            "issuer": None,
            "binding": departure.binding,
        }
        return Arrival(**values | changes)  # type: ignore[arg-type]  # by the test

    def acts(self) -> list[AuditAction]:
        """What was written down, oldest first."""
        return [entry.act.action for _, entry in sorted(self.database.tables.audit.items())]


class Protected:
    """Somebody with a second factor: their app, their recovery codes, and a session of theirs."""

    def __init__(
        self, world: World, person: User, app: pyotp.TOTP, recovery: list[str], by: Principal
    ) -> None:
        self._world = world
        self.person = person
        self.app = app
        self.recovery = recovery
        self.principal = by

    @property
    def code(self) -> str:
        """What the app shows now."""
        return self.app.at(self._world.clock.now())

    @property
    def proof(self) -> Proof:
        """Everything that proves who they are now."""
        return Proof(password=PASSWORD, code=self.code)
