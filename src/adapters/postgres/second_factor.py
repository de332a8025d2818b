"""Authenticator apps, recovery codes, and sign-ins that wait for one of them."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.tables import recovery_codes, sign_in_challenges, totp_factors
from domain.identity.second_factor import Challenge, TotpFactor
from domain.identity.session import SignInMethod
from domain.shared.ids import UserId

_PRESENTING = text("SELECT set_config('app.challenge', :digest, true)")


class PostgresSecondFactor:
    """The ``SecondFactorRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = totp_factors.c.user_id == user_id
        self._my_codes = recovery_codes.c.user_id == user_id

    async def get(self) -> TotpFactor | None:
        rows = await self._connection.execute(select(totp_factors).where(self._mine))
        row = rows.one_or_none()
        if row is None:
            return None
        return TotpFactor(secret=row.secret, proposed=row.proposed, last_step=row.last_step)

    async def propose(self, secret: bytes) -> None:
        await self._connection.execute(
            upsert(totp_factors)
            .values(user_id=self._user_id, proposed=secret)
            .on_conflict_do_update(
                index_elements=[totp_factors.c.user_id], set_={"proposed": secret}
            )
        )

    async def confirm(self, proposed: bytes, step: int) -> bool:
        confirmed = await self._connection.scalar(
            update(totp_factors)
            .where(self._mine, totp_factors.c.proposed == proposed)
            .values(secret=proposed, proposed=None, confirmed_at=func.now(), last_step=step)
            .returning(totp_factors.c.user_id)
        )
        return confirmed is not None

    async def use_step(self, step: int) -> bool:
        used = await self._connection.scalar(
            update(totp_factors)
            .where(
                self._mine,
                totp_factors.c.secret.is_not(None),
                totp_factors.c.last_step < step,
            )
            .values(last_step=step)
            .returning(totp_factors.c.user_id)
        )
        return used is not None

    async def remove(self) -> bool:
        await self._connection.execute(delete(recovery_codes).where(self._my_codes))
        removed = await self._connection.execute(
            delete(totp_factors).where(self._mine).returning(totp_factors.c.secret)
        )
        row = removed.one_or_none()
        return row is not None and row.secret is not None

    async def replace_recovery_codes(self, digests: Sequence[str]) -> None:
        await self._connection.execute(delete(recovery_codes).where(self._my_codes))
        await self._connection.execute(
            insert(recovery_codes),
            [{"user_id": self._user_id, "digest": digest} for digest in digests],
        )

    async def use_recovery_code(self, digests: Sequence[str]) -> bool:
        used = await self._connection.execute(
            update(recovery_codes)
            .where(
                self._my_codes,
                recovery_codes.c.digest.in_(digests),
                recovery_codes.c.used_at.is_(None),
            )
            .values(used_at=func.now())
            .returning(recovery_codes.c.digest)
        )
        return used.first() is not None

    async def recovery_codes_left(self) -> int:
        left = await self._connection.scalar(
            select(func.count())
            .select_from(recovery_codes)
            .where(self._my_codes, recovery_codes.c.used_at.is_(None))
        )
        return int(left or 0)


class PostgresChallenges:
    """The ``ChallengeRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._mine = sign_in_challenges.c.user_id == user_id

    async def open(self, challenge: Challenge, digest: str) -> None:
        await self._connection.execute(
            delete(sign_in_challenges).where(
                self._mine, sign_in_challenges.c.expires_at <= func.now()
            )
        )
        await self._connection.execute(
            insert(sign_in_challenges).values(
                digest=digest,
                user_id=challenge.user_id,
                version=challenge.version,
                methods=sorted(challenge.methods),
                expires_at=challenge.expires_at,
            )
        )

    async def holder(self, digest: str) -> UserId | None:
        # The policy shows whoever names a digest its one row, in this transaction alone.
        await self._connection.execute(_PRESENTING, {"digest": digest})
        found = await self._connection.scalar(
            select(sign_in_challenges.c.user_id).where(sign_in_challenges.c.digest == digest)
        )
        return None if found is None else UserId(found)

    async def attempt(self, digest: str, *, at_most: int) -> Challenge | None:
        rows = await self._connection.execute(
            update(sign_in_challenges)
            .where(*self._live(digest), sign_in_challenges.c.attempts < at_most)
            .values(attempts=sign_in_challenges.c.attempts + 1)
            .returning(
                sign_in_challenges.c.user_id,
                sign_in_challenges.c.version,
                sign_in_challenges.c.methods,
                sign_in_challenges.c.expires_at,
            )
        )
        row = rows.one_or_none()
        if row is None:
            return None
        return Challenge(
            user_id=UserId(row.user_id),
            version=row.version,
            methods=frozenset(SignInMethod(method) for method in row.methods),
            expires_at=row.expires_at,
        )

    async def use(self, digest: str) -> bool:
        used = await self._connection.scalar(
            update(sign_in_challenges)
            .where(*self._live(digest))
            .values(used_at=func.now())
            .returning(sign_in_challenges.c.user_id)
        )
        return used is not None

    def _live(self, digest: str) -> tuple[ColumnElement[bool], ...]:
        return (
            self._mine,
            sign_in_challenges.c.digest == digest,
            sign_in_challenges.c.used_at.is_(None),
            sign_in_challenges.c.expires_at > func.now(),
        )
