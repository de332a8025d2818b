"""The account of usage: one row a settled step, and sums over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.billing.days import ALWAYS, Days
from domain.billing.usage import TokenUsage
from domain.shared.ids import ApiKeyId, ProjectId, RunId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledStep:
    """What a step of a run came to, as it was settled.

    ``usage``, ``cost_nano_usd`` and ``credits`` are the person's: 0 where the step was not
    ``charged``. ``house_nano_usd`` is what the house bore. ``paise_per_usd`` is the rate the
    credits were reckoned at. ``api_key_id`` is the key the run was asked for with.
    """

    user_id: UserId
    project_id: ProjectId
    run_id: RunId
    step: str
    mode: str
    model: str
    charged: bool
    usage: TokenUsage
    credits: int
    cost_nano_usd: int
    house_nano_usd: int
    paise_per_usd: int
    api_key_id: ApiKeyId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """A settled step, and the moment of its settlement."""

    step: SettledStep
    at: datetime


class UsageGroup(StrEnum):
    """What usage is summed by."""

    DAY = "day"
    PROJECT = "project"
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Which settlements: of these days, and of this project, or of every one."""

    days: Days = ALWAYS
    project_id: ProjectId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """What a group came to. ``key`` is its day, project, model or API key, empty for runs that
    no key asked for; ``title`` the project's, or empty when it is gone, or the API key's name."""

    key: str
    title: str
    steps: int
    runs: int
    usage: TokenUsage
    credits: int
    cost_nano_usd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPosition:
    """Behind which line an export goes on."""

    at: datetime
    run_id: RunId
    step: str


class UsageRecords(Protocol):
    """The person's account of usage."""

    async def record(self, step: SettledStep) -> None:
        """Keep a settled step, in its settling transaction; nothing, when it is there."""
        ...

    async def settled(self, run_id: RunId, step: str) -> bool:
        """Whether the run's step was settled."""
        ...

    async def sums(
        self, by: UsageGroup, only: UsageFilter, *, after: str | None, limit: int
    ) -> Sequence[UsageSum]:
        """Sums by group: days newest first, the others in the order of their keys.

        ``after`` is the last key of the page before.
        """
        ...

    async def total(self, only: UsageFilter) -> UsageSum:
        """The sum of all of it; its key is empty."""
        ...

    async def lines(
        self, only: UsageFilter, *, after: ExportPosition | None, limit: int
    ) -> Sequence[UsageLine]:
        """Settlements in the order they were made."""
        ...
