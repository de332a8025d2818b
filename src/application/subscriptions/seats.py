"""Give the seats of a subscription to people, and take them back."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.identity.register_user import normalised_email
from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.persistence import UnitOfWork
from application.subscriptions.manage_subscription import standing
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.seats import Seat, SeatTaken, free_number
from domain.billing.subscriptions.subscription import Subscription
from domain.shared.errors import NotFound
from domain.shared.ids import SeatId, UserId


@dataclass(frozen=True, slots=True)
class ManageSeats:
    """The buyer's side of seats."""

    uow: UnitOfWork
    clock: Clock
    ids: IdMaker

    async def list(self, user_id: UserId) -> tuple[Subscription, Sequence[Seat]]:
        """The subscription and the seats that are given, by number.

        Raises:
            NoSubscription: there is none.
        """
        async with self.uow.begin(user_id) as tx:
            subscription = await standing(tx)
            return subscription, await tx.seats.of(subscription.id)

    async def assign(
        self,
        user_id: UserId,
        email: str,
        *,
        origin: Origin,
        once: Completion[Seat] | None = None,
    ) -> Seat:
        """Give the lowest free seat to whoever has, or will have, the account of an email.

        They have the plan's limits within seconds, and the seat's credits unless somebody
        had them this period.

        Raises:
            InvalidValue: it is not an email address.
            NoSubscription: there is none.
            SeatTaken: that person has a seat already.
            NoFreeSeat: every seat is given.
            KeyClaimLost: another request with the same key came first.
        """
        address = normalised_email(email)
        async with self.uow.begin(user_id) as tx:
            subscription = await standing(tx, lock=True)
            given = await tx.seats.of(subscription.id)
            if any(seat.email == address for seat in given):
                raise SeatTaken(f"{address} has a seat of this subscription already.")
            holder = await tx.users.by_email(address)
            seat = Seat(
                id=SeatId(self.ids.new()),
                subscription_id=subscription.id,
                user_id=user_id,
                number=free_number(given, subscription.seats),
                email=address,
                # Only who has proved to have the address; others are bound once they have.
                holder_id=holder.id if holder and holder.email_verified_at else None,
                assigned_at=self.clock.now(),
            )
            await tx.seats.add(seat)
            await tx.audit.record(origin, acted(AuditAction.SEAT_ASSIGNED, seat.id, after=seat))
            if once is not None:
                await once.store(tx.idempotency, seat)
        return seat

    async def withdraw(self, user_id: UserId, number: int, *, origin: Origin) -> None:
        """Take a seat back. What its holder was given stays theirs until it lapses.

        Raises:
            NoSubscription: there is none.
            NotFound: the seat is given to nobody.
        """
        async with self.uow.begin(user_id) as tx:
            subscription = await standing(tx, lock=True)
            for seat in await tx.seats.of(subscription.id):
                if seat.number == number:
                    await tx.seats.withdraw(seat.id, self.clock.now())
                    await tx.audit.record(
                        origin, acted(AuditAction.SEAT_WITHDRAWN, seat.id, before=seat)
                    )
                    return
        raise NotFound("seat", number)
