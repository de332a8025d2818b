"""The real sandbox, and a short way to run Python in it."""

import textwrap
from collections.abc import Awaitable, Callable

import pytest

from adapters.sandbox import BubblewrapSandbox
from application.ports.sandbox import SandboxLimits, SandboxResult

RunPython = Callable[..., Awaitable[SandboxResult]]


@pytest.fixture
async def sandbox() -> BubblewrapSandbox:
    """Bubblewrap on this host; where it cannot isolate, the test is skipped with the reason."""
    bubblewrap = BubblewrapSandbox()
    availability = await bubblewrap.availability()
    if not availability.available:
        pytest.skip(availability.reason)
    return bubblewrap


@pytest.fixture
def run_python(sandbox: BubblewrapSandbox) -> RunPython:
    """Run a program inside, with ``SandboxLimits`` as keywords; ten seconds unless told."""

    async def run(program: str, **limits: float) -> SandboxResult:
        chosen = SandboxLimits(**{"wall_seconds": 10, **limits})  # type: ignore[arg-type]  # ints
        source = textwrap.dedent(program).encode()
        return await sandbox.run({"program.py": source}, ("python3", "program.py"), chosen)

    return run
