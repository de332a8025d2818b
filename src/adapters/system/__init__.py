"""What the operating system gives: the time and fresh identifiers.

They stand apart from the other families because every one of those takes them by their ports.
"""

from adapters.system.clock import SystemClock
from adapters.system.ids import UuidMaker

__all__ = ["SystemClock", "UuidMaker"]
