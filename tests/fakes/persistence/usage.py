"""The account of usage, in memory."""

from collections.abc import Sequence

from application.ports.usage import (
    ExportPosition,
    SettledStep,
    UsageFilter,
    UsageGroup,
    UsageLine,
    UsageRecords,
    UsageSum,
)
from domain.billing.days import day_of
from domain.billing.usage import NO_USAGE
from domain.shared.ids import RunId
from tests.fakes.persistence.database import Session


class InMemoryUsage(UsageRecords):
    """The settled steps of the session's person."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def record(self, step: SettledStep) -> None:
        self._session.require_own(step.user_id)
        place = (step.user_id, step.run_id, step.step)
        self._session.tables.usage.setdefault(place, UsageLine(step=step, at=self._session.now))

    async def settled(self, run_id: RunId, step: str) -> bool:
        return (self._session.tenant, run_id, step) in self._session.tables.usage

    async def sums(
        self, by: UsageGroup, only: UsageFilter, *, after: str | None, limit: int
    ) -> Sequence[UsageSum]:
        groups: dict[str, list[UsageLine]] = {}
        for line in self._within(only):
            groups.setdefault(self._key(by, line), []).append(line)
        newest_first = by is UsageGroup.DAY
        keys = sorted(groups, reverse=newest_first)
        if after is not None:
            keys = [key for key in keys if (key < after if newest_first else key > after)]
        return [self._summed(by, key, groups[key]) for key in keys[:limit]]

    async def total(self, only: UsageFilter) -> UsageSum:
        return self._summed(UsageGroup.DAY, "", self._within(only))

    async def lines(
        self, only: UsageFilter, *, after: ExportPosition | None, limit: int
    ) -> Sequence[UsageLine]:
        lines = sorted(
            self._within(only), key=lambda line: (line.at, line.step.run_id, line.step.step)
        )
        if after is not None:
            lines = [
                line
                for line in lines
                if (line.at, line.step.run_id, line.step.step)
                > (after.at, after.run_id, after.step)
            ]
        return lines[:limit]

    def _within(self, only: UsageFilter) -> list[UsageLine]:
        return [
            line
            for line in self._session.tables.usage.values()
            if line.step.user_id == self._session.tenant
            and line.at in only.days
            and only.project_id in (None, line.step.project_id)
        ]

    def _key(self, by: UsageGroup, line: UsageLine) -> str:
        return {
            UsageGroup.DAY: day_of(line.at).isoformat(),
            UsageGroup.PROJECT: str(line.step.project_id),
            UsageGroup.MODEL: line.step.model,
            UsageGroup.KEY: str(line.step.api_key_id or ""),
        }[by]

    def _summed(self, by: UsageGroup, key: str, lines: Sequence[UsageLine]) -> UsageSum:
        return UsageSum(
            key=key,
            title=self._title(by, lines[0].step) if lines else "",
            steps=len(lines),
            runs=len({line.step.run_id for line in lines}),
            usage=sum((line.step.usage for line in lines), NO_USAGE),
            credits=sum(line.step.credits for line in lines),
            cost_nano_usd=sum(line.step.cost_nano_usd for line in lines),
        )

    def _title(self, by: UsageGroup, step: SettledStep) -> str:
        tables = self._session.tables
        if by is UsageGroup.PROJECT:
            project = tables.projects.get(step.project_id)
            return project.title if project else ""
        if by is UsageGroup.KEY and step.api_key_id is not None:
            key = tables.api_keys.get(step.api_key_id)
            return key.name if key and key.user_id == self._session.tenant else ""
        return ""
