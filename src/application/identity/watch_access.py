"""Notice when whoever opened a stream may not read on."""

import asyncio
import random
from dataclasses import dataclass, field

import structlog

from application.ports.clock import Clock
from application.ports.keys import KeyChanges
from application.ports.live import StreamHolder
from application.ports.persistence import DatabaseUnavailable, Transaction, UnitOfWork
from domain.keys.api_key import KeyStatus
from domain.shared.ids import UserId

log = structlog.get_logger(__name__)

LOOK_SECONDS = 30.0
"""How often it is looked without any news."""

ALONE_SECONDS = 3.0
"""How often while news would not arrive."""

SPREAD_SECONDS = 1.0
"""Within how long everybody looks when some news may have been missed."""


@dataclass(slots=True)
class WatchAccess:
    """Waits, for each open stream, until its holder's access is over."""

    uow: UnitOfWork
    changes: KeyChanges
    clock: Clock
    look_seconds: float = LOOK_SECONDS
    alone_seconds: float = ALONE_SECONDS
    _waiting: dict[UserId, set[asyncio.Event]] = field(default_factory=dict)
    _missed: set[asyncio.Event] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.changes.listen(self._changed, self._some_missed)

    async def __call__(self, holder: StreamHolder) -> None:
        """Return once the session ended, the key was revoked, or the account is off."""
        news = asyncio.Event()
        self._waiting.setdefault(holder.user_id, set()).add(news)
        try:
            while await self._goes_on(holder):
                await self._news(news)
        finally:
            self._missed.discard(news)
            waiting = self._waiting[holder.user_id]
            waiting.discard(news)
            if not waiting:
                del self._waiting[holder.user_id]

    async def _news(self, news: asyncio.Event) -> None:
        seconds = self.look_seconds if self.changes.heard else self.alone_seconds
        try:
            async with asyncio.timeout(seconds):
                await news.wait()
        except TimeoutError:
            pass
        news.clear()
        if news in self._missed:
            self._missed.discard(news)
            await asyncio.sleep(random.uniform(0, SPREAD_SECONDS))

    async def _goes_on(self, holder: StreamHolder) -> bool:
        try:
            async with self.uow.begin(holder.user_id) as tx:
                return await self._allowed(tx, holder)
        except DatabaseUnavailable:
            # Nothing can be read from it either; it is asked again soon.
            log.warning("cannot look whether a stream may go on")
            return True

    async def _allowed(self, tx: Transaction, holder: StreamHolder) -> bool:
        now = self.clock.now()
        if holder.session_id is not None:
            standing = await tx.sessions.standing(holder.session_id)
            return standing is not None and standing.live(now)
        user = await tx.users.get(holder.user_id)
        if user is None or not user.is_active:
            return False
        if holder.key_id is None:
            return True
        key = await tx.keys.get(holder.key_id)
        return key is not None and key.status(now) is KeyStatus.ACTIVE

    def _changed(self, user_id: UserId) -> None:
        for news in self._waiting.get(user_id, ()):
            news.set()

    def _some_missed(self) -> None:
        for waiting in self._waiting.values():
            self._missed |= waiting
            for news in waiting:
                news.set()
