"""The usage log's stream, in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from application.ports.usage_log import TakenRow, UsageStreamAway, UsageStreamFull
from domain.keys.usage_log import LoggedRequest, Window, window_number
from domain.shared.ids import ApiKeyId


@dataclass
class StreamEntries:
    """What every sink and consumer of one stream share. ``away`` makes it answer nobody."""

    bound: int = 1_000
    away: bool = False
    rows: dict[str, LoggedRequest | None] = field(default_factory=dict)
    held: dict[str, object] = field(default_factory=dict)
    dead: set[object] = field(default_factory=set)
    aside: list[str] = field(default_factory=list)
    counts: Counter[tuple[ApiKeyId, Window, int]] = field(default_factory=Counter)
    added: int = 0

    def add(self, row: LoggedRequest | None) -> None:
        """Append one entry, readable or not."""
        self.added += 1
        self.rows[str(self.added)] = row

    def answer(self) -> None:
        """Raise unless the stream answers."""
        if self.away:
            raise UsageStreamAway("away")


class InMemoryUsageSink:
    """Appends to the entries."""

    def __init__(self, entries: StreamEntries) -> None:
        self._entries = entries

    async def append(self, rows: Sequence[LoggedRequest]) -> None:
        self._entries.answer()
        if len(self._entries.rows) + len(rows) > self._entries.bound:
            raise UsageStreamFull("full")
        for row in rows:
            self._entries.add(row)
            for window in Window:
                number = window_number(window, row.at)
                self._entries.counts[row.key_id, window, number] += row.requests

    async def of(self, key_id: ApiKeyId, now: datetime) -> Mapping[Window, int]:
        self._entries.answer()
        return {
            window: self._entries.counts[key_id, window, window_number(window, now)]
            for window in Window
        }


class InMemoryUsageStream:
    """One consumer. Entries of those that are dead are taken over."""

    def __init__(self, entries: StreamEntries) -> None:
        self._entries = entries

    def die(self) -> None:
        """Hold what it holds no longer."""
        self._entries.dead.add(self)

    async def take(self, limit: int) -> Sequence[TakenRow]:
        self._entries.answer()
        held = self._entries.held
        free = [name for name in self._entries.rows if held.get(name) in self._entries.dead]
        if not free:
            free = [name for name in self._entries.rows if name not in held]
        for name in free[:limit]:
            held[name] = self
        return [TakenRow(entry=name, row=self._entries.rows[name]) for name in free[:limit]]

    async def settle(self, entries: Sequence[str]) -> None:
        self._entries.answer()
        for name in entries:
            self._entries.rows.pop(name, None)

    async def set_aside(self, entries: Sequence[str]) -> None:
        self._entries.answer()
        self._entries.aside += [name for name in entries if name in self._entries.rows]
        await self.settle(entries)

    async def backlog(self) -> int:
        self._entries.answer()
        return len(self._entries.rows)
