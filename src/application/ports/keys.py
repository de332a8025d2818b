"""API keys: where they are kept, how their text is hashed, and how a change is made known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.keys.api_key import ApiKey, KeySecret, KeyStatus
from domain.keys.key_text import KeyEnvironment, KeyText
from domain.shared.ids import ApiKeyId, RunId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter:
    """Which keys of a person to list; None and the empty string ask for all."""

    limit: int
    after: UUID | None = None
    status: KeyStatus | None = None
    environment: KeyEnvironment | None = None
    search: str = ""


class ApiKeyRepository(Protocol):
    """The person's keys. They are revoked, never deleted: runs and accounts name them."""

    async def add(self, key: ApiKey) -> None:
        """Keep a new key."""
        ...

    async def get(self, key_id: ApiKeyId, *, lock: bool = False) -> ApiKey | None:
        """The key, or None. ``lock`` makes other writers wait until the commit."""
        ...

    async def presented(self, digests: Sequence[str]) -> ApiKey | None:
        """The key with one of these digests, whoever's it is: also for a transaction of nobody.

        Whoever can name the digest holds the secret.
        """
        ...

    async def page(self, query: KeyFilter) -> Sequence[ApiKey]:
        """Keys, newest first."""
        ...

    async def kept_count(self) -> int:
        """How many keys of the person are not revoked; others who count wait until the commit."""
        ...

    async def save(self, key: ApiKey) -> None:
        """Write back a changed key; what it used and holds, and when, is not touched."""
        ...

    async def note_use(self, key_id: ApiKeyId, *, every_seconds: float) -> None:
        """Note that the key is used now, unless that was noted so shortly before."""
        ...

    async def hold(self, run_id: RunId, credits: int) -> None:
        """Count credits as held by the key the run was started with, if by one.

        Raises:
            KeyCapReached: with them it would be beyond its cap; nothing was counted.
        """
        ...

    async def settle(self, run_id: RunId, *, held: int, used: int) -> None:
        """End what the run's key holds, and count what of it was used. Nothing without a key."""
        ...


class KeySecrets(Protocol):
    """Makes keys, and hashes them under peppers that the database never sees."""

    def mint(self, environment: KeyEnvironment) -> KeyText:
        """A new key from fresh randomness."""
        ...

    def seal(self, key: KeyText) -> KeySecret:
        """What is kept of a key: its hash under the newest pepper, and what may be shown."""
        ...

    def digests(self, key: KeyText) -> tuple[str, ...]:
        """Its hash under every pepper in force, the newest first."""
        ...

    def digest(self, sent: str) -> str:
        """The hash under the newest pepper of whatever was sent as a key."""
        ...


class KeyChanges(Protocol):
    """Tells every process that something about a person's keys has changed."""

    async def announce(self, user_id: UserId) -> None:
        """Tell them, this process among them, right after the commit.

        A failure is logged, never raised: who cannot be told does not trust what it remembers.
        """
        ...

    def listen(self, changed: Callable[[UserId], None], missed: Callable[[], None]) -> None:
        """Call ``changed`` for each announcement, ``missed`` when some may have been lost."""
        ...

    @property
    def heard(self) -> bool:
        """Whether an announcement made now would arrive here at once."""
        ...
