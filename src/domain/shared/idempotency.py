"""A key a client gives to a request, so that its repeats have no further effect."""

from dataclasses import dataclass
from hashlib import sha256

from domain.shared.errors import DomainError, InvalidValue
from domain.shared.ids import UserId

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 255
RETRY_AFTER_SECONDS = 1
"""When to look again: what a key is claimed for takes well under a second."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """1 to 255 printable ASCII characters, chosen by the client, e.g. a UUID.

    Raises:
        InvalidValue: it is anything else.
    """

    value: str

    def __post_init__(self) -> None:
        fits = self.value.isascii() and self.value.isprintable()
        if not fits or not 1 <= len(self.value) <= MAX_KEY_LENGTH:
            raise InvalidValue(
                HEADER, f"Send one key of 1 to {MAX_KEY_LENGTH} printable ASCII characters."
            )

    def by(self, actor: UserId) -> "IdempotencyKey":
        """The key under which what an operator does to somebody's account is kept there.

        It is the same for the same operator and key, and of another form than theirs.
        """
        digest = sha256(f"{actor}:{self.value}".encode()).hexdigest()
        return IdempotencyKey(f"operator:{digest}")


class IdempotencyInFlight(DomainError):
    """The first request with this key has no outcome yet: repeat it a moment later."""

    code = "idempotency_in_flight"

    def __init__(self) -> None:
        super().__init__(
            "The first request with this key is still being worked on. Repeat it shortly.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


class IdempotencyMismatch(DomainError):
    """The key belongs to another request: another path or another body."""

    code = "idempotency_mismatch"

    def __init__(self) -> None:
        super().__init__(
            "This key was used for another request. Use a new key, or repeat the first request "
            "exactly."
        )
