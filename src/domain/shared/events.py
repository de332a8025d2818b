"""What happens in a run, as its log records it and its watchers see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.shared.ids import RunId


class EventType(StrEnum):
    """The kinds of entries of a run's event log."""

    RUN_QUEUED = "run.queued"
    RUN_STARTED = "run.started"
    RUN_RESUMED = "run.resumed"
    RUN_CANCEL_REQUESTED = "run.cancel_requested"
    RUN_FINISHED = "run.finished"
    STEP_STARTED = "step.started"
    STEP_FINISHED = "step.finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One entry: ``seq`` counts from 1 in its run, without gap or repeat."""

    run_id: RunId
    seq: int
    type: EventType
    data: Mapping[str, object]
    at: datetime
