"""Keys' secrets, announcements and figures, in memory."""

import hashlib
from collections.abc import Callable

from domain.keys.api_key import KeySecret
from domain.keys.key_text import ALPHABET, RANDOM_LENGTH, KeyEnvironment, KeyText, compose
from domain.shared.ids import UserId


class CountingKeySecrets:
    """Makes the same keys in every run; a digest is a hash of pepper and text."""

    def __init__(self, *peppers: int) -> None:
        self._peppers = peppers or (1,)
        self._made = 0

    def mint(self, environment: KeyEnvironment) -> KeyText:
        self._made += 1
        digits, rest = "", self._made
        for _ in range(RANDOM_LENGTH):
            rest, digit = divmod(rest, len(ALPHABET))
            digits += ALPHABET[digit]
        return compose(environment, digits)

    def seal(self, key: KeyText) -> KeySecret:
        return KeySecret(
            digest=self.digests(key)[0],
            pepper=self._peppers[0],
            prefix=key.prefix,
            last_four=key.last_four,
        )

    def digests(self, key: KeyText) -> tuple[str, ...]:
        return tuple(
            hashlib.sha256(f"{pepper}:{key.text}".encode()).hexdigest() for pepper in self._peppers
        )

    def digest(self, sent: str) -> str:
        text = f"{self._peppers[0]}:{sent}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(text).hexdigest()


class InMemoryKeyChanges:
    """Announcements within one process; ``cut`` and ``mend`` play the subscription's loss."""

    def __init__(self) -> None:
        self._listeners: list[tuple[Callable[[UserId], None], Callable[[], None]]] = []
        self._heard = True
        self.announced: list[UserId] = []

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        self._heard = False

    def listen(self, changed: Callable[[UserId], None], missed: Callable[[], None]) -> None:
        self._listeners.append((changed, missed))

    @property
    def heard(self) -> bool:
        return self._heard

    async def announce(self, user_id: UserId) -> None:
        self.announced.append(user_id)
        if self._heard:
            for changed, _ in self._listeners:
                changed(user_id)

    def cut(self) -> None:
        self._heard = False

    def mend(self) -> None:
        self._heard = True
        for _, missed in self._listeners:
            missed()
