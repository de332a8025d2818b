"""Sign in with another provider's account: there, and back again."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from application.identity.mail_desk import MailDesk
from application.identity.open_account import AccountOpener
from application.identity.open_session import SignedIn
from application.identity.pass_first_factor import PassFirstFactor, SecondFactorNeeded
from application.identity.register_user import normalised_email
from application.ports.clock import Clock
from application.ports.identity_provider import (
    AuthorizationRequest,
    CodeGrant,
    IdentityProvider,
    OneTimeValues,
)
from application.ports.persistence import UnitOfWork
from domain.audit.act import Act, AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.linked_identity import (
    ExternalIdentity,
    IdentityRejected,
    IdentityTaken,
    LinkedIdentity,
    ProviderName,
    ProviderNotConfigured,
    ProviderRefused,
    ProviderUnavailable,
)
from domain.identity.mail import MailKind
from domain.identity.return_address import check_return_address
from domain.identity.session import ActingSession, Device, SignInMethod
from domain.identity.user import EmailTaken, User, clean_name
from domain.shared.errors import InvalidValue, NotFound
from domain.shared.ids import UserId

FLOW_SECONDS = 600
"""How long one may take at the provider."""

LINK_SECONDS = 600
"""How long one may take to prove that the account of an email is one's own."""

_TRIES = 3
_DENIED = "access_denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A sign-in that is under way at a provider.

    ``binding`` is the hash of what only the browser that began it has. ``link_to`` is whose
    account the identity is to open from now on, where somebody signed in asked for that, and
    ``session`` the session they asked in.
    """

    provider: ProviderName
    nonce: str
    verifier: str
    binding: str
    return_to: str
    link_to: UserId | None = None
    session: ActingSession | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLink:
    """An identity whose verified email is an account's: whose, it is to be proved there."""

    user_id: UserId
    provider: ProviderName
    subject: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Where to send the browser, and what it is to keep until it comes back: a secret."""

    url: str
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a browser comes back with. What it does not have is None."""

    provider: ProviderName
    state: str
    code: str | None
    error: str | None
    issuer: str | None
    binding: str


class Trouble(StrEnum):
    """Why nobody was signed in, in words for a page to branch on."""

    STATE = "state"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    EMAIL_UNVERIFIED = "email_unverified"
    ACCOUNT_OFF = "account_off"
    IDENTITY_TAKEN = "identity_taken"
    SESSION_OVER = "session_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkNeeded:
    """The email is an account's: ``token``, a secret, is good once with that account's proof."""

    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """The identity opens the account of whoever asked for that."""


Outcome = SignedIn | SecondFactorNeeded | LinkNeeded | Linked | Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What came of it, and where the browser goes on: None if that is not known."""

    outcome: Outcome
    return_to: str | None = None


@dataclass(frozen=True, slots=True)
class IdentityProviders:
    """The providers that the operator has set up."""

    by_name: Mapping[ProviderName, IdentityProvider]

    def named(self, name: str) -> IdentityProvider:
        """The provider of that name.

        Raises:
            NotFound: there is no such provider.
            ProviderNotConfigured: there is, but not here.
        """
        try:
            known = ProviderName(name)
        except ValueError:
            raise NotFound("provider", name) from None
        if known not in self.by_name:
            raise ProviderNotConfigured(
                f"Signing in with {known.value.title()} is not set up here. Use your password."
            )
        return self.by_name[known]


@dataclass(frozen=True, slots=True)
class DepartToProvider:
    """Begins: keeps what is needed to believe whoever comes back.

    ``origins`` are those whose pages a browser may be sent back to, besides our own.
    """

    providers: IdentityProviders
    flows: OneTimeValues[Flow]
    origins: Sequence[str]

    async def __call__(
        self,
        provider: str,
        return_to: str,
        *,
        link_to: UserId | None = None,
        session: ActingSession | None = None,
    ) -> Departure:
        """Where to go.

        Raises:
            NotFound: there is no such provider.
            ProviderNotConfigured: it is not set up here.
            InvalidValue: the address to come back to is not one of ours.
            ProviderUnavailable: it does not answer.
            ValuesUnavailable: nothing can be kept now.
        """
        there = self.providers.named(provider)
        binding = secrets.token_urlsafe(32)
        flow = Flow(
            provider=there.name,
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(64),
            binding=_hash(binding),
            return_to=check_return_address(return_to, self.origins),
            link_to=link_to,
            session=session,
        )
        state = await self.flows.keep(flow, FLOW_SECONDS)
        url = await there.authorization_url(
            AuthorizationRequest(state=state, nonce=flow.nonce, verifier=flow.verifier)
        )
        return Departure(url=url, binding=binding)


@dataclass(frozen=True, slots=True)
class ArriveFromProvider:
    """Finishes: opens a session for whom the provider vouches for."""

    uow: UnitOfWork
    providers: IdentityProviders
    flows: OneTimeValues[Flow]
    links: OneTimeValues[PendingLink]
    first_factor: PassFirstFactor
    open_account: AccountOpener
    clock: Clock
    desk: MailDesk

    async def __call__(self, arrival: Arrival, device: Device, origin: Origin) -> Finished:
        """What came of it. Whatever that is, the state is used up.

        Raises:
            ValuesUnavailable: what was kept cannot be read now.
            DatabaseUnavailable: nothing can be looked up now.
        """
        flow = await self.flows.take(arrival.state) if arrival.state else None
        if flow is None or flow.provider is not arrival.provider or not _of(flow, arrival.binding):
            return Finished(outcome=Trouble.STATE)
        outcome = await self._outcome(flow, arrival, device, origin)
        return Finished(outcome=outcome, return_to=flow.return_to)

    async def _outcome(
        self, flow: Flow, arrival: Arrival, device: Device, origin: Origin
    ) -> Outcome:
        if arrival.code is None or arrival.error is not None:
            return Trouble.DENIED if arrival.error == _DENIED else Trouble.UNAVAILABLE
        grant = CodeGrant(
            code=arrival.code, nonce=flow.nonce, verifier=flow.verifier, issuer=arrival.issuer
        )
        try:
            identity = await self.providers.named(flow.provider.value).identity(grant)
        except (ProviderUnavailable, ProviderNotConfigured):
            return Trouble.UNAVAILABLE
        except (ProviderRefused, IdentityRejected):
            return Trouble.REJECTED
        if flow.link_to is not None:
            return await self._link(flow, flow.link_to, identity, origin)
        return await self._sign_in(identity, device, origin)

    async def _link(
        self, flow: Flow, user_id: UserId, identity: ExternalIdentity, origin: Origin
    ) -> Outcome:
        try:
            async with self.uow.begin(user_id) as tx:
                standing = flow.session and await tx.sessions.standing(flow.session.id)
                if not standing or not standing.live(self.clock.now()):
                    return Trouble.SESSION_OVER
                await tx.linked_identities.add(linked(user_id, identity, self.clock))
                await tx.audit.record(origin.as_person(user_id), link_act(user_id, identity))
                told = told_of(identity.provider, identity.email)
                await self.desk(tx, MailKind.IDENTITY_LINKED, told, user_id=user_id)
        except IdentityTaken:
            return Trouble.IDENTITY_TAKEN
        return Linked()

    async def _sign_in(self, identity: ExternalIdentity, device: Device, origin: Origin) -> Outcome:
        # A person whom two callbacks bring at once is found by one of them the second time.
        for _ in range(_TRIES):
            async with self.uow.begin(None) as tx:
                owner = await tx.linked_identities.owner(identity.provider, identity.subject)
            if owner is not None:
                return await self._as_owner(owner, identity, device, origin)
            email = _email(identity)
            if email is None:
                return Trouble.EMAIL_UNVERIFIED
            async with self.uow.begin(None) as tx:
                known = await tx.users.by_email(email)
            if known is not None:
                return await self._to_be_linked(known, identity)
            try:
                return await self._as_newcomer(email, identity, device, origin)
            except (EmailTaken, IdentityTaken):
                continue
        return Trouble.UNAVAILABLE

    async def _as_owner(
        self, owner: UserId, identity: ExternalIdentity, device: Device, origin: Origin
    ) -> Outcome:
        async with self.uow.begin(owner) as tx:
            user = await tx.users.get(owner)
            if user is None or not user.is_active:
                return Trouble.ACCOUNT_OFF
            await tx.linked_identities.note_use(identity.provider, identity.email)
            return await self.first_factor(
                tx, user, [SignInMethod(identity.provider.value)], device, origin
            )

    async def _to_be_linked(self, known: User, identity: ExternalIdentity) -> Outcome:
        if not known.is_active:
            return Trouble.ACCOUNT_OFF
        pending = PendingLink(
            user_id=known.id,
            provider=identity.provider,
            subject=identity.subject,
            email=identity.email,
        )
        return LinkNeeded(token=await self.links.keep(pending, LINK_SECONDS))

    async def _as_newcomer(
        self, email: str, identity: ExternalIdentity, device: Device, origin: Origin
    ) -> Outcome:
        user = self.open_account.member(email=email, name=_name(identity, email))
        async with self.uow.begin(user.id) as tx:
            await self.open_account(tx, user, origin)
            await tx.linked_identities.add(linked(user.id, identity, self.clock))
            await tx.audit.record(origin.as_person(user.id), link_act(user.id, identity))
            return await self.first_factor(
                tx, user, [SignInMethod(identity.provider.value)], device, origin
            )


def linked(user_id: UserId, identity: ExternalIdentity, clock: Clock) -> LinkedIdentity:
    """The identity as an account's, used now."""
    now = clock.now()
    return LinkedIdentity(
        user_id=user_id,
        provider=identity.provider,
        subject=identity.subject,
        email=identity.email,
        linked_at=now,
        last_used_at=now,
    )


def told_of(provider: ProviderName, email: str) -> dict[str, str | int]:
    """Which identity it is, for a mail to whose account it opens."""
    return {"provider": provider.value.title(), "email": email}


def link_act(user_id: UserId, identity: ExternalIdentity) -> Act:
    """That it was linked, for the audit log."""
    return acted(AuditAction.IDENTITY_LINKED, user_id, after={"method": identity.provider.value})


def _email(identity: ExternalIdentity) -> str | None:
    if not identity.email_verified:
        return None
    try:
        return normalised_email(identity.email)
    except InvalidValue:
        return None


def _name(identity: ExternalIdentity, email: str) -> str:
    try:
        return clean_name(identity.name)
    except InvalidValue:
        return email.partition("@")[0]


def _of(flow: Flow, binding: str) -> bool:
    return hmac.compare_digest(flow.binding, _hash(binding))


def _hash(binding: str) -> str:
    return hashlib.sha256(binding.encode("utf-8", "surrogatepass")).hexdigest()
