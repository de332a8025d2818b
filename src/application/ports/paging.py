"""Where a listing starts and how long it may be."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where a listing starts and how long it may be. ``after`` is exclusive."""

    limit: int
    after: UUID | None = None
