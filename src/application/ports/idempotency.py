"""The keys that make repeats of a request harmless, and the replies they keep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from domain.shared.idempotency import IdempotencyKey

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReply:
    """What the first request was answered, byte for byte. Never holds a secret."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyClaim:
    """The right to the effect a key stands for; ``token`` proves it in the effect's commit."""

    key: IdempotencyKey
    token: UUID


class KeyClaimLost(Exception):
    """The claim's lease ran out and another request has the key, or its reply is there."""


class IdempotencyKeys(Protocol):
    """The person's keys."""

    async def claim(
        self, key: IdempotencyKey, request_hash: str, *, lease_seconds: float, keep_seconds: float
    ) -> KeyClaim | StoredReply:
        """Take a free key for a request, or give the reply to the request it was taken for.

        A key is free that was never used, whose ``keep_seconds`` are over, that was
        released, or whose lease ran out before a reply was stored: whoever held it cannot
        complete it any more. The claim must be committed before the effect begins.

        Raises:
            IdempotencyMismatch: it was taken for another request.
            IdempotencyInFlight: it was taken for this one, which has no reply yet.
        """
        ...

    async def complete(self, claim: KeyClaim, reply: StoredReply) -> None:
        """Store the reply, in the transaction of the effect it reports.

        Raises:
            KeyClaimLost: the claim does not hold; the transaction must not be committed.
        """
        ...

    async def amend(self, claim: KeyClaim, reply: StoredReply) -> None:
        """Put a later reply in the place of the one that this claim has completed with.

        In the transaction of what the later one reports. Nothing, when the key's time is over
        or it is another request's by now.
        """
        ...

    async def release(self, claim: KeyClaim) -> None:
        """Free the key of a request that had no effect. Nothing, when the claim was lost."""
        ...


class ExpiredIdempotencyKeys(Protocol):
    """Everybody's keys whose time is over."""

    async def delete(self, limit: int) -> int:
        """Delete at most ``limit`` of them; returns how many. Committed on its own."""
        ...


class Completion(Generic[R]):
    """A claimed key on its way through a use case, which completes it in its own commit."""

    def __init__(self, claim: KeyClaim, render: Callable[[R], StoredReply]) -> None:
        self._claim = claim
        self._render = render
        self.reply: StoredReply | None = None

    async def store(self, keys: IdempotencyKeys, result: R) -> None:
        """Store the reply that reports ``result``; the last statement before the commit.

        Raises:
            KeyClaimLost: another request has the key. Let it out of the transaction's block.
        """
        reply = self._render(result)
        await keys.complete(self._claim, reply)
        self.reply = reply

    async def amend(self, keys: IdempotencyKeys, result: R) -> None:
        """Report in the stored reply what became of the effect after its commit.

        For an effect that is committed before somebody else is asked to carry it out.
        """
        reply = self._render(result)
        await keys.amend(self._claim, reply)
        self.reply = reply
