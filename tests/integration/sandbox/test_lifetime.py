"""When a run is over, nothing of it lives."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from adapters.sandbox import BubblewrapSandbox
from application.ports.sandbox import SandboxLimits, SandboxOutcome
from tests.contracts.sandbox_contract import LIMITS
from tests.integration.sandbox.conftest import RunPython


def alive(mark: str) -> list[int]:
    """The host's processes whose command line holds ``mark``, dead ones not counted."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "cmdline").read_bytes():
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX" and int(process.name) != os.getpid():
                    found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    """A duration no other process sleeps for."""
    return f"8639{os.getpid()}.{abs(hash(request.node.name)) % 10**6}"


async def until_alive(mark: str, count: int = 1) -> None:
    async with asyncio.timeout(30):
        while len(alive(mark)) < count:
            await asyncio.sleep(0.01)


DAEMON = """
    import os, sys, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            null = os.open("/dev/null", os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            os.execvp("sleep", ["sleep", "{mark}"])
        os._exit(0)
    os.wait()
    {then}
"""


async def test_a_daemon_dies_with_its_command(run_python: RunPython, mark: str) -> None:
    started = time.monotonic()
    result = await run_python(DAEMON.format(mark=mark, then="time.sleep(0.2)"))
    assert alive(mark) == []
    assert result.succeeded
    assert time.monotonic() - started < 20


async def test_a_daemon_dies_at_a_limit(run_python: RunPython, mark: str) -> None:
    result = await run_python(DAEMON.format(mark=mark, then="time.sleep(60)"), wall_seconds=0.5)
    assert alive(mark) == []
    assert result.outcome is SandboxOutcome.TIMED_OUT


async def test_ignoring_signals_does_not_help(run_python: RunPython, mark: str) -> None:
    program = f"""
        import os, signal
        for number in set(signal.Signals) - {{signal.SIGKILL, signal.SIGSTOP}}:
            signal.signal(number, signal.SIG_IGN)
        for _ in range(4):
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "{mark}"])
        while True:
            signal.pause()
    """
    result = await run_python(program, wall_seconds=0.5)
    assert alive(mark) == []
    assert result.outcome is SandboxOutcome.TIMED_OUT


async def test_the_code_cannot_kill_its_keeper(run_python: RunPython) -> None:
    program = """
        import os, signal
        os.kill(1, signal.SIGKILL)
        os.kill(1, signal.SIGSTOP)
        print("still here")
    """
    result = await run_python(program)
    assert (result.outcome, result.stdout) == (SandboxOutcome.EXITED, "still here\n")


async def test_a_cancelled_run_is_dead_before_it_returns(
    sandbox: BubblewrapSandbox, mark: str
) -> None:
    command = ("sh", "-c", f"sleep {mark} & sleep {mark}")
    running = asyncio.create_task(sandbox.run({}, command, LIMITS))
    await until_alive(mark, 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert alive(mark) == []


@pytest.mark.parametrize("delay", [0, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05])
async def test_a_run_can_be_cancelled_at_any_moment(
    sandbox: BubblewrapSandbox, mark: str, delay: float
) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    running = asyncio.create_task(sandbox.run({"big": bytes(5_000_000)}, ("sleep", mark), LIMITS))
    await asyncio.sleep(delay)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert alive(mark) == []
    # The event loop closes the pipes of a process in its next turns.
    async with asyncio.timeout(20):
        while len(os.listdir("/proc/self/fd")) > descriptors:
            await asyncio.sleep(0.01)


async def test_a_timeout_around_the_run_works(sandbox: BubblewrapSandbox, mark: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await sandbox.run({}, ("sleep", mark), LIMITS)
    assert alive(mark) == []


async def test_runs_leave_no_descriptor_and_no_thread(sandbox: BubblewrapSandbox) -> None:
    before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    for _ in range(3):
        await sandbox.run({}, ("true",), LIMITS)
    async with asyncio.timeout(20):
        while (len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))) > before:
            await asyncio.sleep(0.01)


async def test_no_more_run_at_once_than_allowed(mark: str) -> None:
    single = BubblewrapSandbox(concurrency=1)
    if not (await single.availability()).available:
        pytest.skip("no sandbox here")
    limits = SandboxLimits(wall_seconds=2)
    runs = [asyncio.create_task(single.run({}, ("sleep", mark), limits)) for _ in range(2)]
    most = 0
    while not all(run.done() for run in runs):
        most = max(most, len([p for p in alive(mark) if is_sleep(p)]))
        await asyncio.sleep(0.02)
    assert most == 1


def is_sleep(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_the_loop_is_not_blocked(run_python: RunPython) -> None:
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    beating = asyncio.create_task(beat())
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    await run_python(bomb, processes=60)
    await run_python("while True: pass", wall_seconds=4)
    beating.cancel()
    assert longest < 2


async def test_the_sandbox_dies_with_a_killed_host(sandbox: BubblewrapSandbox, mark: str) -> None:
    """SIGKILL leaves this side no moment to clean up."""
    del sandbox  # Only for the skip where there is none.
    program = f"""
        import asyncio
        from adapters.sandbox import BubblewrapSandbox
        from application.ports.sandbox import SandboxLimits
        asyncio.run(BubblewrapSandbox().run({{}}, ("sleep", "{mark}"), SandboxLimits()))
    """
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    async with asyncio.timeout(30):
        while not any(is_sleep(pid) for pid in alive(mark)):
            await asyncio.sleep(0.01)
    host.send_signal(signal.SIGKILL)
    host.wait()
    async with asyncio.timeout(20):
        while alive(mark):
            await asyncio.sleep(0.01)
