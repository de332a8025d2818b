"""Have an effect once for each key, and give every repeat the first one's reply.

The key is claimed and committed first, so that a second request with it is turned away at
once. The use case then stores the reply in the transaction of its effect: both are there
or neither is. A process that dies in between leaves a claim whose lease runs out; one that
was merely slow finds at its commit that the key is no longer its own, and is rolled back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from application.ports.idempotency import Completion, KeyClaim, KeyClaimLost, StoredReply
from application.ports.persistence import DatabaseUnavailable, UnitOfWork
from domain.shared.errors import DomainError
from domain.shared.idempotency import IdempotencyInFlight, IdempotencyKey
from domain.shared.ids import UserId

log = structlog.get_logger(__name__)

R = TypeVar("R")

LEASE_SECONDS = 60.0
"""How long a key stays taken after the process that claimed it died."""

KEEP_SECONDS = 24 * 60 * 60.0
"""How long a key answers with its reply, counted from its claim. Then it is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request that came with a key; ``request_hash`` tells it from every other request."""

    user_id: UserId
    key: IdempotencyKey
    request_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The reply, and whether it is one to an earlier request."""

    reply: StoredReply
    replayed: bool


@dataclass(frozen=True, slots=True)
class AnswerOnce:
    """Runs an effect under a key."""

    uow: UnitOfWork
    lease_seconds: float = LEASE_SECONDS
    keep_seconds: float = KEEP_SECONDS

    async def __call__(
        self,
        request: KeyedRequest,
        effect: Callable[[Completion[R]], Awaitable[R]],
        *,
        render: Callable[[R], StoredReply],
        refusal: Callable[[DomainError], StoredReply | None],
    ) -> Answer:
        """The reply to the first request with this key, which is this one or was an earlier.

        ``effect`` is a use case that stores its completion. An error of the domain for
        which ``refusal`` gives a reply is an outcome too, and is kept; with any other error
        nothing was done, the key is free again, and the error is passed on.

        Raises:
            IdempotencyMismatch: the key was used for another request.
            IdempotencyInFlight: the first request with it is still being worked on.
        """
        async with self.uow.begin(request.user_id) as tx:
            found = await tx.idempotency.claim(
                request.key,
                request.request_hash,
                lease_seconds=self.lease_seconds,
                keep_seconds=self.keep_seconds,
            )
        if isinstance(found, StoredReply):
            return Answer(reply=found, replayed=True)
        completion = Completion(found, render)
        try:
            await effect(completion)
        except KeyClaimLost as lost:
            raise IdempotencyInFlight from lost
        except DomainError as error:
            reply = refusal(error)
            if reply is None:
                await self._release(request.user_id, found)
                raise
            await self._keep(request.user_id, found, reply)
            return Answer(reply=reply, replayed=False)
        except (Exception, asyncio.CancelledError):
            # One that was cut off is undone like one that failed, and its key free for a repeat.
            await self._release(request.user_id, found)
            raise
        if completion.reply is None:
            raise RuntimeError("the use case had its effect and did not complete its key")
        return Answer(reply=completion.reply, replayed=False)

    async def _keep(self, user_id: UserId, claim: KeyClaim, refusal: StoredReply) -> None:
        """The effect was rolled back: its refusal is stored in a transaction of its own."""
        try:
            async with self.uow.begin(user_id) as tx:
                await tx.idempotency.complete(claim, refusal)
        except KeyClaimLost as lost:
            raise IdempotencyInFlight from lost

    async def _release(self, user_id: UserId, claim: KeyClaim) -> None:
        """Harmless if the effect was committed after all: then the reply is there and stays."""
        try:
            async with self.uow.begin(user_id) as tx:
                await tx.idempotency.release(claim)
        except DatabaseUnavailable as error:
            log.warning("key not released", error=str(error))
