"""Identifiers that sort by the moment they were made."""

from uuid import UUID

from uuid_utils import compat


class UuidMaker:
    """UUIDs of version 7 (RFC 9562 §5.7).

    Within a process each is greater than the one before, also inside one millisecond (a counter,
    RFC 9562 §6.2 method 1) and across threads. Between processes they sort by the wall clock.
    After a fork the library takes new randomness, so parent and child never make the same one.
    """

    def new(self) -> UUID:
        """The next identifier."""
        # ``compat`` makes the standard library's UUID, which drivers and msgspec know.
        return compat.uuid7()
