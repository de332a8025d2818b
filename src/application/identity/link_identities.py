"""Identities that open an account: link one whose email it has, list them, unlink one."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.identity.external_sign_in import (
    DepartToProvider,
    Departure,
    PendingLink,
    link_act,
    linked,
    told_of,
)
from application.identity.mail_desk import MailDesk
from application.identity.open_session import SessionOpener, SignedIn
from application.identity.own_account import own_account
from application.identity.pass_first_factor import signed_in_act
from application.identity.reauthenticate import Proof, Reauthenticate
from application.ports.clock import Clock
from application.ports.identity_provider import OneTimeValues
from application.ports.persistence import UnitOfWork
from application.ports.security import Principal
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.linked_identity import (
    ExternalIdentity,
    LastWayIn,
    LinkedIdentity,
    ProviderName,
)
from domain.identity.mail import MailKind
from domain.identity.second_factor import ChallengeOver
from domain.identity.session import Device, SignInMethod
from domain.shared.errors import NotFound
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class ConfirmLink:
    """Links an identity to the account of its email, once it is proved whose that is.

    The person is told by mail: from now on there is another way into their account, which a new
    password does not take away.
    """

    uow: UnitOfWork
    links: OneTimeValues[PendingLink]
    reauthenticate: Reauthenticate
    opener: SessionOpener
    clock: Clock
    desk: MailDesk

    async def __call__(self, token: str, proof: Proof, device: Device, origin: Origin) -> SignedIn:
        """The account's session, proved by everything that it has.

        Raises:
            ChallengeOver: the link is unknown, used, or too old.
            ReauthenticationFailed: it was not proved whose the account is.
            IdentityTaken: it was linked elsewhere meanwhile.
            LastWayIn: the account has nothing to prove it by.
        """
        pending = await self.links.look(token)
        if pending is None:
            raise ChallengeOver(_OVER)
        async with self.uow.begin(pending.user_id) as tx:
            user = await tx.users.get(pending.user_id)
        if user is None or not user.is_active:
            raise ChallengeOver(_OVER)
        methods = await self.reauthenticate.of(user, proof, origin)
        if not methods:
            raise LastWayIn("Sign in the way you did before, and link it from your account.")
        if await self.links.take(token) is None:
            raise ChallengeOver(_OVER)
        identity = ExternalIdentity(
            provider=pending.provider,
            subject=pending.subject,
            email=pending.email,
            email_verified=True,
            name="",
        )
        async with self.uow.begin(user.id) as tx:
            await tx.linked_identities.add(linked(user.id, identity, self.clock))
            await tx.audit.record(origin.as_person(user.id), link_act(user.id, identity))
            told = told_of(identity.provider, identity.email)
            await self.desk(tx, MailKind.IDENTITY_LINKED, told, user_id=user.id)
            came_by = SignInMethod(pending.provider.value)
            opened = await self.opener(tx, user, methods | {came_by}, device)
            await tx.audit.record(origin.as_person(user.id), signed_in_act(opened))
            return opened


@dataclass(frozen=True, slots=True)
class DepartToLink:
    """Sends somebody signed in to a provider, to link whoever they are there."""

    depart: DepartToProvider
    reauthenticate: Reauthenticate

    async def __call__(
        self, principal: Principal, provider: str, return_to: str, proof: Proof, origin: Origin
    ) -> Departure:
        """Where to go.

        Raises:
            NotFound: there is no such provider.
            ProviderNotConfigured: it is not set up here.
            ReauthenticationFailed: it was not proved who asks.
            NotAuthenticated: the account is gone or off.
            InvalidValue: the address to come back to is not one of ours.
            ProviderUnavailable: it does not answer.
            ValuesUnavailable: nothing can be kept now.
        """
        self.depart.providers.named(provider)
        await self.reauthenticate(principal, proof, origin)
        return await self.depart(
            provider, return_to, link_to=principal.user_id, session=principal.session
        )


@dataclass(frozen=True, slots=True)
class ListIdentities:
    """Shows a person what else opens their account."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId) -> Sequence[LinkedIdentity]:
        """Their identities, the first linked first."""
        async with self.uow.begin(user_id) as tx:
            return await tx.linked_identities.all()


@dataclass(frozen=True, slots=True)
class UnlinkIdentity:
    """Unlinks an identity, unless nobody could sign in to the account any more then.

    The person is told by mail.
    """

    uow: UnitOfWork
    reauthenticate: Reauthenticate
    desk: MailDesk

    async def __call__(
        self, principal: Principal, provider: str, proof: Proof, origin: Origin
    ) -> None:
        """Unlink it.

        Raises:
            NotFound: none of that provider is linked.
            LastWayIn: there is no password, and no other identity.
            ReauthenticationFailed: it was not proved who asks.
        """
        await self.reauthenticate(principal, proof, origin)
        async with self.uow.begin(principal.user_id) as tx:
            mine = await tx.linked_identities.all(lock=True)
            named = [each for each in mine if each.provider.value == provider]
            if not named:
                raise NotFound("identity", provider)
            user = await own_account(tx, principal.user_id)
            if not user.has_password and len(mine) == len(named):
                raise LastWayIn("Set a password first: without one this is the only way in.")
            await tx.linked_identities.remove(ProviderName(provider))
            await tx.audit.record(
                origin,
                acted(AuditAction.IDENTITY_UNLINKED, user.id, before={"method": provider}),
            )
            told = told_of(named[0].provider, named[0].email)
            await self.desk(tx, MailKind.IDENTITY_UNLINKED, told, user_id=user.id)


_OVER = "This is over. Sign in with the other side again."
