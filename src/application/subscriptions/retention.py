"""Delete projects that nobody has touched or paid for, after having said so."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from application.ports.clock import Clock, IdMaker
from application.ports.persistence import DatabaseUnavailable, UnitOfWork
from application.ports.subscriptions import DueProject, Notice, SubscriptionSchedule
from domain.billing.plans import FREE
from domain.billing.subscriptions.changes import NoticeKind

log = structlog.get_logger(__name__)

BATCH = 50
LOOK_AGAIN_SECONDS = 24 * 3600.0
NOTICE_TIME = timedelta(days=30)
"""How long a project is kept after its owner was told that it will be deleted."""


@dataclass(frozen=True, slots=True)
class KeepRetention:
    """One look at old projects of people without a plan that lasts.

    A project is kept for the days of Free after it was last touched, and for the days of
    each plan its owner had after that plan's end, whichever is later. Then its owner is
    told, and it is deleted thirty days later unless it was touched or a plan was bought. While
    a plan lasts, nothing is deleted.
    """

    schedule: SubscriptionSchedule
    uow: UnitOfWork
    clock: Clock
    ids: IdMaker

    async def __call__(self) -> int:
        """Tell owners, and delete what they were told of; returns how many were looked at.

        Raises:
            DatabaseUnavailable: the database did not answer; look again later.
        """
        now = self.clock.now()
        async with self.uow.begin(None) as tx:
            free = await tx.plans.current(FREE)
        days = free.retention_days if free else None
        untouched = datetime.min.replace(tzinfo=UTC) if days is None else now - timedelta(days=days)
        due = await self.schedule.old_projects(now, untouched, BATCH, LOOK_AGAIN_SECONDS)
        for project in due:
            try:
                await self._look_at(project, now)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                log.error("retention failed", project_id=str(project.id), exc_info=error)
        return len(due)

    async def _look_at(self, due: DueProject, now: datetime) -> None:
        async with self.uow.begin(due.user_id) as tx:
            project = await tx.projects.get(due.id, lock=True)
            if project is None or await tx.runs.live(due.id) is not None:
                return
            kept_until = await tx.retention.kept_until(due.id, now)
            lasts = await tx.entitlements.paid_until(now) is not None
            if lasts or kept_until is None or kept_until > now:
                await tx.retention.forget(due.id)
                return
            delete_after = await tx.retention.noticed(due.id)
            if delete_after is None:
                delete_after = now + NOTICE_TIME
                await tx.retention.notice(due.id, delete_after)
                kind = NoticeKind.RETENTION
            elif delete_after <= now:
                await tx.projects.delete(due.id)
                kind = NoticeKind.DELETED
            else:
                return
            await tx.notices.add(
                Notice(
                    id=self.ids.new(),
                    user_id=due.user_id,
                    key=f"{kind}:{due.id}:{delete_after:%Y-%m-%d}",
                    kind=kind,
                    data={"title": project.title, "delete_after": delete_after.isoformat()},
                    created_at=now,
                )
            )
        if kind is NoticeKind.DELETED:
            log.info("project past its retention deleted", project_id=str(due.id))
