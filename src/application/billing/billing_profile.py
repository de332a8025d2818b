"""How a person wants to be named on invoices."""

from dataclasses import dataclass

from application.billing.gstin import checked_gstin
from application.ports.clock import Clock
from application.ports.persistence import Transaction, UnitOfWork
from domain.billing.parties import BillingProfile, Buyer, checked_buyer
from domain.shared.errors import NotFound
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBillingProfile:
    """The particulars. ``state`` may be empty where the GSTIN tells it, or outside India."""

    user_id: UserId
    name: str
    address: str
    state: str
    country: str
    gstin: str


@dataclass(frozen=True, slots=True)
class SaveBillingProfile:
    """Saves the profile that invoices bear from now on; issued ones stay as they are."""

    uow: UnitOfWork
    clock: Clock

    async def __call__(self, command: NewBillingProfile) -> BillingProfile:
        """Keep the profile.

        Raises:
            InvalidValue: a value does not fit, or two contradict each other.
        """
        gstin = checked_gstin("gstin", command.gstin) if command.gstin.strip() else ""
        profile = BillingProfile(
            user_id=command.user_id,
            buyer=checked_buyer(
                name=command.name,
                address=command.address,
                state=command.state,
                country=command.country,
                gstin=gstin,
            ),
            updated_at=self.clock.now(),
        )
        async with self.uow.begin(command.user_id) as tx:
            await tx.billing_profiles.put(profile)
        return profile


@dataclass(frozen=True, slots=True)
class ShowBillingProfile:
    """Shows the profile, or what an invoice would bear without one."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId) -> tuple[Buyer, BillingProfile | None]:
        """Who an invoice would name, and the saved profile if there is one.

        Raises:
            NotFound: no such user.
        """
        async with self.uow.begin(user_id) as tx:
            profile = await tx.billing_profiles.get()
            return profile.buyer if profile else await _by_account(tx, user_id), profile


async def buyer_of(tx: Transaction, user_id: UserId) -> Buyer:
    """Who an invoice names: by the profile, else by the account's name alone.

    Raises:
        NotFound: no such user.
    """
    profile = await tx.billing_profiles.get()
    return profile.buyer if profile else await _by_account(tx, user_id)


async def _by_account(tx: Transaction, user_id: UserId) -> Buyer:
    user = await tx.users.get(user_id)
    if user is None:
        raise NotFound("user", user_id)
    return Buyer(name=user.name)
