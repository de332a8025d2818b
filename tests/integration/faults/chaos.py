"""Kill our processes and servers at random while runs go on, then count what is missing.

    python -m tests.integration.faults.chaos --runs 50 --seconds 120

Starts a stage of its own, on loopback, and kills only what it started. Exits with 1 when a
run was lost (it did not succeed), something was done or paid for twice, or an account is wrong.
"""

import argparse
import asyncio
import math
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx

from tests.integration.faults.exact import (
    Undisturbed,
    assert_account,
    assert_ended_once,
    undisturbed,
)
from tests.integration.faults.stage import Case, Stage, until

WORKERS = 2
RUNS_A_WORKER = 2
PAUSE_SECONDS = (3.0, 6.0)
"""Between kills. Shorter ones would test the limit on claims, after which a run is dead."""

DRAIN_SECONDS = 900.0
TARGETS = {"worker": 60, "dispatcher": 15, "http": 15, "valkey": 5, "postgres": 5}
"""What is killed, and how often of a hundred."""


@dataclass
class Chaos:
    """One session of kills."""

    stage: Stage
    expected: Undisturbed
    cases: list[Case] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    stalls: list[datetime] = field(default_factory=list)
    """When something died that runs depend on."""

    async def kill_until(self, end: float) -> None:
        """Kill something now and then; what was killed is started again at once."""
        while time.monotonic() < end:
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
            (target,) = random.choices(list(TARGETS), list(TARGETS.values()))
            self.kills[target] += 1
            if target in ("worker", "postgres"):
                self.stalls.append(datetime.now(UTC))
            if target in ("worker", "dispatcher"):
                await self.stage.end(random.choice(self.stage.running(target)))
                await self.stage.start(target)
            elif target == "http":
                await self.stage.restart_http()
            else:
                await self.stage.kill_server(target)

    async def execute(self, runs: int, seconds: float) -> None:
        """Have runs accepted, evenly over most of the time."""
        begun = time.monotonic()
        for number in range(runs):
            await asyncio.sleep(max(0.0, begun + 0.8 * seconds * number / runs - time.monotonic()))
            self.cases.append(await self._accepted())

    async def _accepted(self) -> Case:
        """A newcomer's run; asked again until somebody says that it is there."""
        while True:
            # A refusal fails an assertion of the person's; then another newcomer tries.
            with suppress(httpx.TransportError, AssertionError):
                return await self.stage.execute()
            await asyncio.sleep(0.2)

    async def drained(self) -> None:
        """Wait until every run that was ever accepted has ended."""

        async def all_ended() -> bool:
            with suppress(OSError, asyncpg.PostgresConnectionError):
                live = "SELECT count(*) AS n FROM runs WHERE status IN ('queued', 'running')"
                return bool((await self.stage.rows(live))[0]["n"] == 0)
            return False

        with suppress(AssertionError):
            await until(all_ended, DRAIN_SECONDS)

    async def verdict(self) -> bool:
        """Print what came of it; whether all is as it should be."""
        found = await self.stage.rows("SELECT id, status, error FROM runs")
        lost = [run for run in found if run["status"] != "succeeded"]
        twice = await self.stage.rows(
            "SELECT run_id, data->>'step' AS step FROM run_events"
            " WHERE type IN ('step.finished', 'run.finished')"
            " GROUP BY run_id, type, data->>'step' HAVING count(*) > 1"
            " UNION ALL SELECT run_id, step FROM model_calls"
            " WHERE state = 'replied' AND borne_by = 'user'"
            " GROUP BY run_id, step, request_hash, part HAVING count(*) > 1"
        )
        wrong = 0
        for case in self.cases:
            try:
                await assert_ended_once(self.stage, case, self.expected)
                await assert_account(self.stage, case)
            except AssertionError as reason:
                wrong += 1
                print(f"run {case.run_id}: {reason}")
        for run in lost:
            print(f"run {run['id']} is {run['status']}: {run['error']}")
        killed = ", ".join(f"{name} {number}" for name, number in sorted(self.kills.items()))
        print(f"runs        {len(found)}, the first of them undisturbed")
        print(f"kills       {self.kills.total()} ({killed})")
        print(f"lost        {len(lost)}")
        print(f"duplicated  {len(twice)}")
        print(f"wrong       {wrong}")
        print(await self._recovery())
        return not (lost or twice or wrong)

    async def _recovery(self) -> str:
        """From the last stall before it to each taking up of a run."""
        resumed = await self.stage.rows("SELECT at FROM run_events WHERE type = 'run.resumed'")
        waits = sorted(
            (event["at"] - max(before)).total_seconds()
            for event in resumed
            if (before := [stall for stall in self.stalls if stall <= event["at"]])
        )
        if not waits:
            return "recovery    no run was interrupted"
        p50, p99 = (waits[math.ceil(share * len(waits)) - 1] for share in (0.5, 0.99))
        return f"recovery    p50 {p50:.1f} s, p99 {p99:.1f} s of {len(waits)} resumptions"


async def session(runs: int, seconds: float) -> bool:
    """One session; whether nothing was lost, doubled or miscounted."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        async with Stage(Path(folder), worker_concurrency=RUNS_A_WORKER) as stage:
            for _ in range(WORKERS):
                await stage.start("worker")
            chaos = Chaos(stage, await undisturbed(stage))
            killing = asyncio.ensure_future(chaos.kill_until(time.monotonic() + seconds))
            await asyncio.gather(killing, chaos.execute(runs, seconds))
            await chaos.drained()
            return await chaos.verdict()


def main() -> None:
    """Parse, play, and exit with 1 when something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=None, help="repeat a session's choices")
    options = parser.parse_args()
    random.seed(options.seed)
    sys.exit(0 if asyncio.run(session(options.runs, options.seconds)) else 1)


if __name__ == "__main__":
    main()
