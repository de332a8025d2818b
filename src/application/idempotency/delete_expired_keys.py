"""Delete idempotency keys whose time is over."""

from dataclasses import dataclass

from application.ports.idempotency import ExpiredIdempotencyKeys

BATCH = 500


@dataclass(frozen=True, slots=True)
class DeleteExpiredKeys:
    """One bounded batch. Expired keys are free already: deleting them only makes room."""

    keys: ExpiredIdempotencyKeys

    async def __call__(self) -> int:
        """Delete a batch; returns how many there were.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        return await self.keys.delete(BATCH)
