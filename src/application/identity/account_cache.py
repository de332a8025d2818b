"""What a process remembers of people, for as long as it would hear of a change."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from application.ports.keys import KeyChanges
from domain.shared.ids import UserId

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REMEMBERED_SECONDS = 30.0
"""How long at most, without any change being announced: a role or an account may also be
changed past every process, straight in the database."""

MAX_REMEMBERED = 20_000


@dataclass(slots=True)
class AccountCache(Generic[K, V]):
    """Facts about people, by any key. Bypassed while announcements would not arrive."""

    changes: KeyChanges
    now: Callable[[], float] = time.monotonic
    remembered_seconds: float = REMEMBERED_SECONDS
    _known: dict[K, tuple[float, UserId, V]] = field(default_factory=dict)
    _of: dict[UserId, set[K]] = field(default_factory=dict)
    _epoch: int = 0

    def __post_init__(self) -> None:
        self.changes.listen(self._forget, self._forget_all)

    @property
    def epoch(self) -> int:
        """Rises with every change heard of. What was read before a rise is not remembered."""
        return self._epoch

    def get(self, key: K) -> V | None:
        """What is remembered under the key, if a change of it would have been heard."""
        if not self.changes.heard:
            return None
        entry = self._known.get(key)
        if entry is None or entry[0] <= self.now():
            return None
        return entry[2]

    def put(self, key: K, owner: UserId, value: V, epoch: int) -> None:
        """Remember what was read after the cache had that epoch."""
        if epoch != self._epoch or not self.changes.heard:
            return
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
            self._of.clear()
        self._known[key] = (self.now() + self.remembered_seconds, owner, value)
        self._of.setdefault(owner, set()).add(key)

    def _forget(self, user_id: UserId) -> None:
        self._epoch += 1
        for key in self._of.pop(user_id, ()):
            del self._known[key]

    def _forget_all(self) -> None:
        self._epoch += 1
        self._known.clear()
        self._of.clear()
