"""Whether the platform can do its work, part by part."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.health import Probe, ProbeFailed

PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One dependency as it was found. ``latency_ms`` is of this one check."""

    name: str
    ok: bool
    required: bool
    latency_ms: float
    detail: str


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """Asks every dependency at once, each within ``PROBE_SECONDS``."""

    probes: Sequence[Probe]

    async def __call__(self) -> tuple[bool, tuple[ProbeResult, ...]]:
        """Whether everything required answers, and what each one said."""
        findings = await asyncio.gather(*(_ask(probe) for probe in self.probes))
        ready = all(finding.ok for finding in findings if finding.required)
        return ready, tuple(findings)


async def _ask(probe: Probe) -> ProbeResult:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            ok, detail = True, await probe.check()
    except ProbeFailed as reason:
        ok, detail = False, str(reason)
    except TimeoutError:
        ok, detail = False, f"no answer within {PROBE_SECONDS:g} s"
    return ProbeResult(
        name=probe.name,
        ok=ok,
        required=probe.required,
        latency_ms=round((time.perf_counter() - began) * 1000, 1),
        detail=detail,
    )
