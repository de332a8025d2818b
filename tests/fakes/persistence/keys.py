"""API keys, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from application.ports.keys import ApiKeyRepository, KeyFilter
from domain.keys.api_key import ApiKey, KeyCapReached
from domain.shared.ids import ApiKeyId, RunId
from tests.fakes.persistence.database import Session, TransactionRefused


class InMemoryApiKeys(ApiKeyRepository):
    """The keys of the session's person, and whichever key's digest one can name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, key: ApiKey) -> None:
        self._session.require_own(key.user_id)
        if key.id in self._session.tables.api_keys or await self.presented(key.digests):
            raise self._session.refused(TransactionRefused("the id or the digest is taken"))
        self._session.tables.api_keys[key.id] = key

    async def get(self, key_id: ApiKeyId, *, lock: bool = False) -> ApiKey | None:
        key = self._session.tables.api_keys.get(key_id)
        return key if key and key.user_id == self._session.tenant else None

    async def presented(self, digests: Sequence[str]) -> ApiKey | None:
        keys = self._session.tables.api_keys.values()
        return next((key for key in keys if set(key.digests) & set(digests)), None)

    async def page(self, query: KeyFilter) -> Sequence[ApiKey]:
        now = self._session.now
        found = [
            key
            for key in self._own()
            if (query.after is None or key.id < query.after)
            and query.status in (None, key.status(now))
            and query.environment in (None, key.environment)
            and query.search.lower() in key.name.lower()
        ]
        return sorted(found, key=lambda key: key.id, reverse=True)[: query.limit]

    async def kept_count(self) -> int:
        return sum(key.revoked_at is None for key in self._own())

    async def save(self, key: ApiKey) -> None:
        kept = await self.get(key.id)
        if kept is not None:
            self._put(
                replace(
                    key,
                    credits_used=kept.credits_used,
                    credits_held=kept.credits_held,
                    last_used_at=kept.last_used_at,
                )
            )

    async def note_use(self, key_id: ApiKeyId, *, every_seconds: float) -> None:
        key = await self.get(key_id)
        now = self._session.now
        if key is None:
            return
        shortly = now - timedelta(seconds=every_seconds)
        if key.last_used_at is None or key.last_used_at <= shortly:
            self._put(replace(key, last_used_at=now))

    async def hold(self, run_id: RunId, credits: int) -> None:
        key = await self._of(run_id)
        if key is None:
            return
        held = key.credits_held + credits
        if key.credit_cap is not None and key.credits_used + held > key.credit_cap:
            raise KeyCapReached
        self._put(replace(key, credits_held=held))

    async def settle(self, run_id: RunId, *, held: int, used: int) -> None:
        key = await self._of(run_id)
        if key is None:
            return
        if held > key.credits_held or used < 0:
            raise self._session.refused(TransactionRefused("credits are never negative"))
        self._put(
            replace(
                key,
                credits_held=key.credits_held - held,
                credits_used=key.credits_used + used,
            )
        )

    async def _of(self, run_id: RunId) -> ApiKey | None:
        row = self._session.tables.runs.get(run_id)
        if row is None or row.run.api_key_id is None:
            return None
        return await self.get(row.run.api_key_id)

    def _own(self) -> list[ApiKey]:
        tenant = self._session.tenant
        return [key for key in self._session.tables.api_keys.values() if key.user_id == tenant]

    def _put(self, key: ApiKey) -> None:
        self._session.tables.api_keys[key.id] = key
