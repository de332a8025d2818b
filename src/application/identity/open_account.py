"""Open an account for somebody new, however they came."""

from dataclasses import dataclass

from application.ports.clock import Clock, IdMaker
from application.ports.persistence import Transaction
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.ledger import Grant, LotKind
from domain.identity.user import Role, User, clean_name
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True)
class AccountOpener:
    """Keeps a new person with an open account and its starting grant, in one transaction.

    ``starting_grant`` is in credits.
    """

    clock: Clock
    ids: IdMaker
    starting_grant: int

    def member(self, *, email: str, name: str, password_hash: str = "") -> User:
        """Somebody new, whose address is known to be theirs. No role: that is the operator's.

        Raises:
            InvalidValue: the name does not fit.
        """
        now = self.clock.now()
        return User(
            id=UserId(self.ids.new()),
            email=email,
            name=clean_name(name),
            password_hash=password_hash,
            role=Role.MEMBER,
            is_active=True,
            created_at=now,
            email_verified_at=now,
        )

    async def __call__(self, tx: Transaction, user: User, origin: Origin) -> None:
        """Keep them, in a transaction of theirs.

        Raises:
            EmailTaken: an account with that email exists.
        """
        await tx.users.add(user)
        await tx.audit.record(
            origin.as_person(user.id), acted(AuditAction.REGISTERED, user.id, after=user)
        )
        await tx.ledger.open(user.id)
        await tx.entitlements.open_free(user.created_at)
        if self.starting_grant:
            await tx.ledger.grant(
                Grant(
                    user_id=user.id,
                    key=f"start:{user.id}",
                    credits=self.starting_grant,
                    kind=LotKind.PROMOTION,
                    reference="start",
                )
            )
