"""Delete an account, at once."""

from dataclasses import dataclass

from application.identity.mail_desk import MailDesk
from application.identity.own_account import own_account
from application.identity.reauthenticate import Proof, Reauthenticate
from application.ports.clock import Clock
from application.ports.keys import KeyChanges, KeyFilter
from application.ports.paging import Page
from application.ports.persistence import Transaction, UnitOfWork
from application.ports.security import Principal
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.identity.mail import MailKind
from domain.identity.session import SessionEnd
from domain.identity.user import Role, User
from domain.shared.errors import Conflict

BATCH = 100


class AccountInUse(Conflict):
    """Something of the account goes on that must be ended first."""

    code = "account_in_use"


@dataclass(frozen=True, slots=True)
class DeleteAccount:
    """Takes away what is personal, and keeps what the law has kept.

    Gone at once, in one transaction: name, address, password and other ways in, links that were
    sent, sessions, projects with their runs and documents, webhook endpoints, the billing profile,
    notices of projects, and the use of every key; seats that others gave are free again. Stored
    objects follow: that they are to be deleted is a due row of the same transaction. The ledger,
    orders, payments, invoices with their buyer, and the audit log stay, under an account without
    a name: section 36 of the CGST Act, 2017, has accounts kept for 72 months, and section 17(3)(b)
    of the GDPR and section 8(7) of the DPDP Act, 2023, let them be. There is no way back, hence no
    grace, but a proof.
    """

    uow: UnitOfWork
    proved: Reauthenticate
    desk: MailDesk
    clock: Clock
    changes: KeyChanges

    async def __call__(self, principal: Principal, proof: Proof, origin: Origin) -> None:
        """Delete it.

        Raises:
            NotAuthenticated: the account is off.
            ReauthenticationFailed: something is missing or wrong.
            RateLimited: too many have failed; it says for how long to wait.
            AccountInUse: a run goes on, or a subscription does.
            LastAdmin: no active admin would be left.
        """
        await self.proved(principal, proof, origin)
        user_id = principal.user_id
        async with self.uow.begin(user_id) as tx:
            user = await own_account(tx, user_id)
            if user.role is Role.ADMIN:
                await tx.users.keep_an_admin(user_id)
            if await tx.runs.live_count():
                raise AccountInUse("A run of yours goes on. Cancel it, then delete the account.")
            if await tx.subscriptions.current() is not None:
                raise AccountInUse(
                    "You have a subscription. Cancel it, and delete the account when it has ended."
                )
            await self._let_go(tx, user)
            await tx.sessions.end_all(SessionEnd.ACCOUNT_DELETED)
            await tx.audit.record(
                origin.as_person(user_id), acted(AuditAction.ACCOUNT_DELETED, user_id)
            )
            await self.desk(tx, MailKind.ACCOUNT_DELETED, {"to": user.email}, user_id=user_id)
            await tx.users.erase(user_id)
        await self.changes.announce(user_id)

    async def _let_go(self, tx: Transaction, user: User) -> None:
        now = self.clock.now()
        await tx.erasures.add()
        await tx.links.forget(user.id, user.email)
        await tx.billing_profiles.delete()
        await tx.seats.leave(user.email, now)
        await tx.notices.forget()
        for identity in await tx.linked_identities.all():
            await tx.linked_identities.remove(identity.provider)
        await tx.second_factor.remove()
        while projects := await tx.projects.page(Page(limit=BATCH), status=None, search=""):
            for project in projects:
                await tx.projects.delete(project.id)
        after = None
        while keys := await tx.keys.page(KeyFilter(limit=BATCH, after=after)):
            for key in keys:
                if key.revoked_at is None:
                    await tx.keys.save(key.revoked(now))
            after = keys[-1].id
        while endpoints := await tx.webhooks.page(Page(limit=BATCH)):
            for endpoint in endpoints:
                await tx.webhooks.delete(endpoint.id)
