"""Dramatiq over Redis: hints from those who know of work to those who do it.

A message carries the id of a run, or of a webhook endpoint, and nothing else. It is never
retried, its loss costs about a second (the dispatcher announces the row again), and a second
delivery finds the row claimed. So of Dramatiq's middleware only what runs and stops coroutines is
used.
"""

from adapters.dramatiq.queue import HINT_SECONDS, DramatiqJobQueue, open_broker
from adapters.dramatiq.worker import Handlers, RunWorker

__all__ = ["HINT_SECONDS", "DramatiqJobQueue", "Handlers", "RunWorker", "open_broker"]
