"""What a process remembers of keys, for as long as it would hear of a change."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from application.ports.keys import KeyChanges
from domain.identity.user import Role
from domain.keys.api_key import ApiKey
from domain.shared.ids import UserId

REMEMBERED_SECONDS = 30.0
"""How long at most, without any change being announced: a role or an account may also be
changed past every process, straight in the database."""

MAX_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that can be used, by which secret's digest, and its owner's role, as they were read."""

    key: ApiKey
    digest: str
    role: Role


@dataclass(slots=True)
class KeyCache:
    """Keys by their text's newest digest. Bypassed while announcements would not arrive."""

    changes: KeyChanges
    now: Callable[[], float] = time.monotonic
    remembered_seconds: float = REMEMBERED_SECONDS
    _known: dict[str, tuple[float, KnownKey]] = field(default_factory=dict)
    _epoch: int = 0

    def __post_init__(self) -> None:
        self.changes.listen(self._forget, self._forget_all)

    @property
    def epoch(self) -> int:
        """Rises with every change heard of. What was read before a rise is not remembered."""
        return self._epoch

    def get(self, digest: str) -> KnownKey | None:
        """The key, if it is remembered and a change of it would have been heard."""
        if not self.changes.heard:
            return None
        entry = self._known.get(digest)
        if entry is None or entry[0] <= self.now():
            return None
        return entry[1]

    def put(self, digest: str, known: KnownKey, epoch: int) -> None:
        """Remember a key that was read after the cache had that epoch."""
        if epoch != self._epoch or not self.changes.heard:
            return
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[digest] = (self.now() + self.remembered_seconds, known)

    def _forget(self, user_id: UserId) -> None:
        self._epoch += 1
        gone = [place for place, (_, known) in self._known.items() if known.key.user_id == user_id]
        for place in gone:
            del self._known[place]

    def _forget_all(self) -> None:
        self._epoch += 1
        self._known.clear()
