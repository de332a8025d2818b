"""API keys."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, insert, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.locks import Kind, lock_of
from adapters.postgres.tables import api_keys, runs
from application.ports.keys import KeyFilter
from domain.agents.artifacts import Mode
from domain.identity.user import Permission
from domain.keys.api_key import ApiKey, KeyCapReached, KeySecret, KeyStatus
from domain.keys.key_text import KeyEnvironment
from domain.keys.rate_limit import RatePolicy
from domain.shared.ids import ApiKeyId, RunId, UserId

_PRESENTING = text("SELECT set_config('app.key_digests', :digests, true)")
_PERMISSIONS = frozenset(permission.value for permission in Permission)
_EXPIRED = api_keys.c.expires_at <= func.now()


class PostgresApiKeys:
    """The ``ApiKeyRepository`` of one transaction, under its tenant's policy."""

    def __init__(self, connection: AsyncConnection, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id
        self._mine = api_keys.c.user_id == user_id

    async def add(self, key: ApiKey) -> None:
        await self._connection.execute(
            insert(api_keys).values(
                id=key.id,
                user_id=key.user_id,
                environment=key.environment,
                created_at=key.created_at,
                **_changeable(key),
            )
        )

    async def get(self, key_id: ApiKeyId, *, lock: bool = False) -> ApiKey | None:
        query = select(api_keys).where(api_keys.c.id == key_id, self._mine)
        return await self._one(query.with_for_update() if lock else query)

    async def presented(self, digests: Sequence[str]) -> ApiKey | None:
        # The policy shows whoever names a digest its one row, in this transaction alone.
        await self._connection.execute(_PRESENTING, {"digests": ",".join(digests)})
        return await self._one(
            select(api_keys).where(
                or_(api_keys.c.key.in_(digests), api_keys.c.previous_key.in_(digests))
            )
        )

    async def page(self, query: KeyFilter) -> Sequence[ApiKey]:
        wanted = select(api_keys).where(self._mine)
        if query.after is not None:
            wanted = wanted.where(api_keys.c.id < query.after)
        if query.environment is not None:
            wanted = wanted.where(api_keys.c.environment == query.environment)
        if query.status is not None:
            revoked = query.status is KeyStatus.REVOKED
            wanted = wanted.where(api_keys.c.revoked_at.is_not(None) == literal(revoked))
            if not revoked:
                expired = func.coalesce(_EXPIRED, False)
                wanted = wanted.where(expired == (query.status is KeyStatus.EXPIRED))
        if query.search:
            wanted = wanted.where(
                func.lower(api_keys.c.name).contains(query.search.lower(), autoescape=True)
            )
        rows = await self._connection.execute(
            wanted.order_by(api_keys.c.id.desc()).limit(query.limit)
        )
        return [key_of(row) for row in rows]

    async def kept_count(self) -> int:
        await self._connection.execute(select(lock_of(Kind.KEYS_OF_A_PERSON, self._user_id)))
        count = await self._connection.scalar(
            select(func.count()).where(api_keys.c.revoked_at.is_(None), self._mine)
        )
        return int(count or 0)

    async def save(self, key: ApiKey) -> None:
        await self._connection.execute(
            update(api_keys).where(api_keys.c.id == key.id, self._mine).values(**_changeable(key))
        )

    async def note_use(self, key_id: ApiKeyId, *, every_seconds: float) -> None:
        shortly = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, every_seconds)
        await self._connection.execute(
            update(api_keys)
            .where(
                api_keys.c.id == key_id,
                api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at <= shortly),
                self._mine,
            )
            .values(last_used_at=func.now())
        )

    async def hold(self, run_id: RunId, credits: int) -> None:
        holding = api_keys.c.credits_held + credits
        held = await self._connection.scalar(
            update(api_keys)
            .where(
                self._of(run_id),
                api_keys.c.credit_cap.is_(None)
                | (api_keys.c.credits_used + holding <= api_keys.c.credit_cap),
                self._mine,
            )
            .values(credits_held=holding)
            .returning(api_keys.c.id)
        )
        if held is None and await self._connection.scalar(
            select(api_keys.c.id).where(self._of(run_id), self._mine)
        ):
            raise KeyCapReached

    async def settle(self, run_id: RunId, *, held: int, used: int) -> None:
        await self._connection.execute(
            update(api_keys)
            .where(self._of(run_id), self._mine)
            .values(
                credits_held=api_keys.c.credits_held - held,
                credits_used=api_keys.c.credits_used + used,
            )
        )

    def _of(self, run_id: RunId) -> Any:
        return (
            api_keys.c.id == select(runs.c.api_key_id).where(runs.c.id == run_id).scalar_subquery()
        )

    async def _one(self, query: Select[Any]) -> ApiKey | None:
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else key_of(row)


def _changeable(key: ApiKey) -> dict[str, Any]:
    """What a change of the key may write: neither its account nor when it was used."""
    previous = key.previous
    return {
        "name": key.name,
        "key": key.secret.digest,
        "pepper": key.secret.pepper,
        "prefix": key.secret.prefix,
        "last_four": key.secret.last_four,
        "previous_key": previous.digest if previous else None,
        "previous_pepper": previous.pepper if previous else None,
        "previous_prefix": previous.prefix if previous else None,
        "previous_last_four": previous.last_four if previous else None,
        "previous_until": key.previous_until,
        "status": "active" if key.revoked_at is None else "revoked",
        "scopes": sorted(key.scopes),
        "modes": sorted(key.modes),
        "allowed_ips": list(key.allowed_ips),
        "limits": [[policy.quota, policy.window_seconds] for policy in key.limits],
        "credit_cap": key.credit_cap,
        "expires_at": key.expires_at,
        "rotated_at": key.rotated_at,
        "revoked_at": key.revoked_at,
    }


def key_of(row: Any) -> ApiKey:
    """A key from its row."""
    return ApiKey(
        id=ApiKeyId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        environment=KeyEnvironment(row.environment),
        secret=KeySecret(
            digest=row.key, pepper=row.pepper, prefix=row.prefix, last_four=row.last_four
        ),
        # A permission that there is no more is nobody's.
        scopes=frozenset(Permission(scope) for scope in row.scopes if scope in _PERMISSIONS),
        modes=frozenset(Mode(mode) for mode in row.modes),
        allowed_ips=tuple(row.allowed_ips),
        limits=tuple(
            RatePolicy(of="key", quota=quota, window_seconds=window) for quota, window in row.limits
        ),
        credit_cap=row.credit_cap,
        created_at=row.created_at,
        expires_at=row.expires_at,
        credits_used=row.credits_used,
        credits_held=row.credits_held,
        previous=None
        if row.previous_key is None
        else KeySecret(
            digest=row.previous_key,
            pepper=row.previous_pepper,
            prefix=row.previous_prefix,
            last_four=row.previous_last_four,
        ),
        previous_until=row.previous_until,
        rotated_at=row.rotated_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
