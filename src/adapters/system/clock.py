"""The machine's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Wall-clock time, aware, in UTC. It may step when the machine is set right: durations
    inside one process are measured with :func:`time.monotonic` instead."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)
