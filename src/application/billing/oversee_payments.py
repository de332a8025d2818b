"""What an operator sees of everybody's money, and may do about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from application.billing.refund_desk import RefundDesk, RefundOrder
from application.ports.clock import Clock, IdMaker
from application.ports.idempotency import Completion
from application.ports.paging import Page
from application.ports.payments import (
    Movement,
    MovementFilter,
    OrderFilter,
    PaymentSchedule,
    Webhook,
    WebhookStatus,
    WebhookWork,
)
from application.ports.persistence import UnitOfWork
from domain.audit.act import AuditAction, acted
from domain.audit.origin import Origin
from domain.billing.coupons import Coupon, normalised_code
from domain.billing.orders import Order, OrderPurpose
from domain.billing.payments import Refund
from domain.shared.errors import Conflict, InvalidValue, NotFound
from domain.shared.ids import CouponId, TransactionId, UserId
from domain.shared.moments import given_moment

MAX_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class OverseeMovements:
    """Lists everybody's movements of money, or one person's."""

    schedule: PaymentSchedule

    async def __call__(self, query: MovementFilter, user_id: UserId | None) -> Sequence[Movement]:
        """The page's movements, newest first."""
        return await self.schedule.movements(query, user_id)


@dataclass(frozen=True, slots=True)
class OverseeOrders:
    """Lists everybody's orders, or one person's."""

    schedule: PaymentSchedule

    async def __call__(self, query: OrderFilter, user_id: UserId | None) -> Sequence[Order]:
        """The page's orders, newest first."""
        return await self.schedule.orders(query, user_id)


@dataclass(frozen=True, slots=True)
class RefundAnyPayment:
    """Gives back anybody's payment, whole or in part."""

    schedule: PaymentSchedule
    refunds: RefundDesk

    async def owner_of(self, payment_id: TransactionId) -> UserId:
        """Whose payment it is.

        Raises:
            NotFound: no such payment.
        """
        owned = await self.schedule.owner_of(payment_id)
        if owned is None:
            raise NotFound("payment", payment_id)
        return owned.user_id

    async def __call__(
        self,
        operator: UserId,
        payment_id: TransactionId,
        *,
        amount_paise: int | None,
        reason: str,
        origin: Origin,
        once: Completion[Refund] | None = None,
    ) -> Refund:
        """The refund: processed, under way, or failed, as the gateway answered, or requested
        where it did not. The key of ``once`` is kept on the payer's account.

        Raises:
            NotFound: no such payment.
            InvalidValue: no reason, or no positive amount.
            NothingToRefund: more than is left of it.
            KeyClaimLost: another request with the same key came first.
        """
        if not 1 <= len(reason.strip()) <= MAX_REASON_LENGTH:
            raise InvalidValue("reason", f"Say why, in 1 to {MAX_REASON_LENGTH} characters.")
        return await self.refunds.request(
            RefundOrder(
                user_id=await self.owner_of(payment_id),
                payment_id=payment_id,
                amount_paise=amount_paise,
                reason=reason.strip(),
                requested_by=operator,
                origin=origin,
                once=once,
            )
        )

    async def retry(self, refund_id: TransactionId, *, origin: Origin) -> Refund:
        """Ask anew for a refund that has failed.

        Raises:
            NotFound: no such refund.
            Conflict: it has not failed.
        """
        owned = await self.schedule.owner_of(refund_id)
        if owned is None:
            raise NotFound("refund", refund_id)
        return await self.refunds.retry(owned.user_id, refund_id, origin=origin)


@dataclass(frozen=True, slots=True)
class OverseeWebhooks:
    """Lists the gateway's events, and has one that was set aside acted on again."""

    work: WebhookWork

    async def __call__(self, status: WebhookStatus, page: Page) -> Sequence[Webhook]:
        """The page's events, newest first."""
        return await self.work.page(status, limit=page.limit, after=page.after)

    async def retry(self, operator: UserId, webhook_id: UUID, *, origin: Origin) -> None:
        """Make an event due again.

        Raises:
            Conflict: there is no such event, or it was not set aside.
        """
        act = acted(AuditAction.GATEWAY_EVENT_RETRIED, webhook_id)
        if not await self.work.try_again(webhook_id, by=operator, origin=origin, act=act):
            raise Conflict("Only an event that was set aside can be tried again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCoupon:
    """A coupon to be made; see :class:`domain.billing.coupons.Coupon` for what fields mean."""

    code: str
    percent: int | None
    fixed_paise: int | None
    minimum_paise: int
    purposes: frozenset[OrderPurpose]
    valid_from: datetime | None
    valid_until: datetime | None
    max_redemptions: int | None


@dataclass(frozen=True, slots=True)
class ManageCoupons:
    """Makes coupons, lists them, and switches them on and off."""

    uow: UnitOfWork
    clock: Clock
    ids: IdMaker

    async def make(
        self,
        operator: UserId,
        command: NewCoupon,
        *,
        origin: Origin,
        once: Completion[Coupon] | None = None,
    ) -> Coupon:
        """Keep a new coupon, valid from now unless said otherwise.

        Raises:
            InvalidValue: a field does not fit; it is named.
            CouponCodeTaken: another coupon has the code.
        """
        now = self.clock.now()
        coupon = Coupon(
            id=CouponId(self.ids.new()),
            code=normalised_code(command.code),
            percent=command.percent,
            fixed_paise=command.fixed_paise,
            minimum_paise=command.minimum_paise,
            purposes=command.purposes,
            valid_from=given_moment("valid_from", command.valid_from or now),
            valid_until=None
            if command.valid_until is None
            else given_moment("valid_until", command.valid_until),
            max_redemptions=command.max_redemptions,
            created_at=now,
        )
        async with self.uow.begin(operator) as tx:
            await tx.coupons.add(coupon)
            await tx.audit.record(origin, acted(AuditAction.COUPON_MADE, coupon.id, after=coupon))
            if once is not None:
                await once.store(tx.idempotency, coupon)
        return coupon

    async def list(self, operator: UserId, page: Page) -> Sequence[Coupon]:
        """The page's coupons, newest first."""
        async with self.uow.begin(operator) as tx:
            return await tx.coupons.page(limit=page.limit, after=page.after)

    async def switch(
        self, operator: UserId, coupon_id: CouponId, *, active: bool, origin: Origin
    ) -> Coupon:
        """Switch a coupon on or off. Orders that hold it keep their price.

        Raises:
            NotFound: there is no such coupon.
        """
        async with self.uow.begin(operator) as tx:
            before = await tx.coupons.get(coupon_id)
            if before is None or not await tx.coupons.set_active(coupon_id, active=active):
                raise NotFound("coupon", coupon_id)
            coupon = replace(before, active=active)
            await tx.audit.record(
                origin,
                acted(AuditAction.COUPON_SWITCHED, coupon_id, before=before, after=coupon),
            )
        return coupon
