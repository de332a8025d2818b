"""Coupons and their redemptions."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.constraints import violated
from adapters.postgres.tables import coupon_redemptions, coupons
from domain.billing.coupons import Coupon, CouponAlreadyUsed, CouponCodeTaken, CouponExhausted
from domain.billing.orders import OrderPurpose
from domain.shared.ids import CouponId, OrderId, UserId


class PostgresCoupons:
    """The ``CouponRepository`` of one transaction; redemptions under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    async def add(self, coupon: Coupon) -> None:
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(coupons).values(
                        id=coupon.id,
                        code=coupon.code,
                        percent=coupon.percent,
                        fixed_paise=coupon.fixed_paise,
                        minimum_paise=coupon.minimum_paise,
                        purposes=sorted(coupon.purposes),
                        valid_from=coupon.valid_from,
                        valid_until=coupon.valid_until,
                        max_redemptions=coupon.max_redemptions,
                        redeemed=coupon.redeemed,
                        active=coupon.active,
                        created_at=coupon.created_at,
                    )
                )
        except IntegrityError as error:
            if violated(error) != "coupons_code_key":
                raise
            raise CouponCodeTaken(coupon.code) from error

    async def by_code(self, code: str) -> Coupon | None:
        return await self._one(select(coupons).where(coupons.c.code == code))

    async def get(self, coupon_id: CouponId) -> Coupon | None:
        return await self._one(select(coupons).where(coupons.c.id == coupon_id))

    async def page(self, *, limit: int, after: UUID | None) -> Sequence[Coupon]:
        query = select(coupons).order_by(coupons.c.id.desc()).limit(limit)
        if after is not None:
            query = query.where(coupons.c.id < after)
        return [_coupon(row) for row in await self._connection.execute(query)]

    async def set_active(self, coupon_id: CouponId, *, active: bool) -> bool:
        changed = await self._connection.scalar(
            update(coupons)
            .where(coupons.c.id == coupon_id)
            .values(active=active)
            .returning(coupons.c.id)
        )
        return changed is not None

    async def redeem(self, coupon_id: CouponId, order_id: OrderId) -> None:
        # The person's own first: whoever of two comes second waits here, then finds it taken.
        mine = await self._connection.scalar(
            upsert(coupon_redemptions)
            .values(coupon_id=coupon_id, user_id=self._user_id, order_id=order_id)
            .on_conflict_do_nothing(constraint="coupon_redemptions_pkey")
            .returning(coupon_redemptions.c.coupon_id)
        )
        if mine is None:
            raise CouponAlreadyUsed
        taken = await self._connection.scalar(
            update(coupons)
            .where(
                coupons.c.id == coupon_id,
                coupons.c.active,
                coupons.c.max_redemptions.is_(None)
                | (coupons.c.redeemed < coupons.c.max_redemptions),
            )
            .values(redeemed=coupons.c.redeemed + 1)
            .returning(coupons.c.id)
        )
        if taken is None:
            # The caller may go on without it: the transaction must not keep the first half.
            await self._connection.execute(self._of(coupon_id, order_id))
            raise CouponExhausted

    async def release(self, coupon_id: CouponId, order_id: OrderId) -> bool:
        released = (await self._connection.execute(self._of(coupon_id, order_id))).rowcount == 1
        if released:
            await self._connection.execute(
                update(coupons)
                .where(coupons.c.id == coupon_id)
                .values(redeemed=coupons.c.redeemed - 1)
            )
        return released

    def _of(self, coupon_id: CouponId, order_id: OrderId) -> Any:
        return delete(coupon_redemptions).where(
            coupon_redemptions.c.coupon_id == coupon_id,
            coupon_redemptions.c.user_id == self._user_id,
            coupon_redemptions.c.order_id == order_id,
        )

    async def _one(self, query: Any) -> Coupon | None:
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _coupon(row)


def _coupon(row: Row[Any]) -> Coupon:
    return Coupon(
        id=CouponId(row.id),
        code=row.code,
        percent=row.percent,
        fixed_paise=row.fixed_paise,
        minimum_paise=row.minimum_paise,
        purposes=frozenset(OrderPurpose(purpose) for purpose in row.purposes),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        max_redemptions=row.max_redemptions,
        created_at=row.created_at,
        redeemed=row.redeemed,
        active=row.active,
    )
