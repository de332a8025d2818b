"""Whether something the platform depends on answers."""

from typing import Protocol


class Probe(Protocol):
    """One dependency's check."""

    @property
    def name(self) -> str:
        """What is checked, e.g. ``database``."""
        ...

    @property
    def required(self) -> bool:
        """Whether the platform is not ready without it."""
        ...

    async def check(self) -> str:
        """A short public detail, e.g. ``PostgreSQL 18``, without addresses or secrets.

        Raises:
            ProbeFailed: it does not answer; the message is public too.
        """
        ...


class ProbeFailed(Exception):
    """The dependency does not answer."""
