"""The real sandbox, and a short way to run Python in it."""

import asyncio
import textwrap
from collections.abc import Awaitable, Callable

import pytest

from adapters.sandbox import BubblewrapSandbox
from application.ports.sandbox import SandboxLimits, SandboxResult

RunPython = Callable[..., Awaitable[SandboxResult]]


@pytest.fixture(scope="session")
def probed() -> BubblewrapSandbox:
    """One for all tests, as each probes anew. It belongs to no event loop while none waits."""
    bubblewrap = BubblewrapSandbox(concurrency=4)
    asyncio.run(bubblewrap.availability())
    return bubblewrap


@pytest.fixture
async def sandbox(probed: BubblewrapSandbox) -> BubblewrapSandbox:
    """Bubblewrap on this host; where it cannot isolate, the test is skipped with the reason."""
    availability = await probed.availability()
    if not availability.available:
        pytest.skip(availability.reason)
    return probed


@pytest.fixture
def run_python(sandbox: BubblewrapSandbox) -> RunPython:
    """Run a program inside, with ``SandboxLimits`` as keywords; 50 s unless told,
    which is longer than a busy machine takes and shorter than what a test sleeps for."""

    async def run(program: str, **limits: float) -> SandboxResult:
        chosen = SandboxLimits(**{"wall_seconds": 50, **limits})  # type: ignore[arg-type]  # ints
        source = textwrap.dedent(program).encode()
        return await sandbox.run({"program.py": source}, ("python3", "program.py"), chosen)

    return run
