"""Our own processes under the supervisor."""

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from entrypoints.local_stack import ChildProcess, Command, ProcessSupervisor, RestartPolicy
from tests.integration.local_stack.clients import eventually

QUICK = RestartPolicy(first_delay_seconds=0.01, longest_delay_seconds=0.05)


def python(code: str, log_file: Path, *, grace_seconds: float = 5.0) -> ChildProcess:
    """A process that runs ``code`` and knows nothing of our environment."""
    return ChildProcess(
        Command(
            name="child",
            argv=(sys.executable, "-u", "-c", code),
            environment={"GREETING": "hello"},
            log_file=log_file,
            grace_seconds=grace_seconds,
        )
    )


FOREVER = "import signal; print('up', flush=True); signal.pause()"


def said(log_file: Path, line: str, times: int = 1) -> bool:
    return log_file.exists() and log_file.read_text().count(line) >= times


async def test_a_process_that_is_killed_is_started_again(tmp_path: Path) -> None:
    child = python(FOREVER, tmp_path / "log")
    async with ProcessSupervisor([child], QUICK):
        await eventually(lambda: said(tmp_path / "log", "up"))
        killed = child.pid
        assert killed
        psutil.Process(killed).kill()
        await eventually(lambda: said(tmp_path / "log", "up", times=2))
        assert child.alive
        assert child.pid != killed
    assert not child.alive


async def test_a_process_that_keeps_failing_is_given_up_with_its_name(tmp_path: Path) -> None:
    child = python("print('up'); raise SystemExit(3)", tmp_path / "log")
    async with ProcessSupervisor([child], QUICK) as supervisor:
        async with asyncio.timeout(20):
            failure = await supervisor.failed()
    assert (failure.name, failure.failures) == ("child", QUICK.most_failures)
    assert "status 3" in str(failure)
    assert (tmp_path / "log").read_text().count("up") == QUICK.most_failures


async def test_a_process_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOREVER
    child = python(deaf, tmp_path / "log", grace_seconds=0.2)
    await child.start()
    await eventually(lambda: said(tmp_path / "log", "up"))
    await child.stop()
    assert await child.wait() == -signal.SIGKILL


async def test_what_a_process_has_forked_does_not_outlive_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, signal; "
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']); "
        "print('child', child.pid, 'up', flush=True); signal.pause()"
    )
    child = python(code, tmp_path / "log")
    await child.start()
    await eventually(lambda: said(tmp_path / "log", "up"))
    forked = psutil.Process(int((tmp_path / "log").read_text().split()[1]))
    await child.stop()
    await eventually(lambda: not forked.is_running() or forked.status() == psutil.STATUS_ZOMBIE)


async def test_a_process_inherits_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_OURS", "1")
    code = "import os; print(os.environ.get('A_SECRET_OF_OURS'), os.environ['GREETING'], 'up')"
    child = python(code, tmp_path / "log")
    await child.start()
    assert await child.wait() == 0
    assert said(tmp_path / "log", "None hello up")


async def test_when_one_cannot_start_none_is_left_running(tmp_path: Path) -> None:
    good = python(FOREVER, tmp_path / "log")
    bad = ChildProcess(
        Command(name="bad", argv=("/bin/true",), environment={}, directory=tmp_path / "missing")
    )
    with pytest.raises(FileNotFoundError):
        await ProcessSupervisor([good, bad], QUICK).start()
    assert not good.alive


async def test_a_long_log_is_set_aside_at_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    child = python("print('up')", log)
    await child.start()
    await child.wait()
    assert log.read_text() == "up\n"
    assert (tmp_path / "log.1").stat().st_size == 10 * 1024 * 1024 + 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
async def test_a_process_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from entrypoints.local_stack.child_process import ChildProcess, Command\n"
        "async def main(log, *argv):\n"
        "    command = Command(name='child', argv=argv, environment={}, log_file=Path(log))\n"
        "    child = ChildProcess(command)\n"
        "    await child.start()\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(main(*sys.argv[1:]))\n"
    )
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, log, sys.executable, "-c", FOREVER),
        stdout=asyncio.subprocess.PIPE,
    )
    assert supervisor.stdout
    child = psutil.Process(int(await supervisor.stdout.readline()))
    await eventually(lambda: said(log, "up"))
    supervisor.kill()
    await supervisor.wait()
    await eventually(lambda: not child.is_running())
