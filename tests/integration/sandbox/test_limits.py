"""Each limit is hit from inside, and holds."""

import pytest

from application.ports.sandbox import SandboxOutcome
from tests.integration.sandbox.conftest import RunPython

MIB = 1024 * 1024


async def test_wall_time(run_python: RunPython) -> None:
    result = await run_python("import time; time.sleep(60)", wall_seconds=0.5)
    assert result.outcome is SandboxOutcome.TIMED_OUT
    assert 500 <= result.duration_ms < 20_000


async def test_cpu_of_one_process(run_python: RunPython) -> None:
    result = await run_python("while True: pass", cpu_seconds=1)
    assert result.outcome is SandboxOutcome.OUT_OF_CPU


async def test_cpu_is_summed_over_processes(run_python: RunPython) -> None:
    program = """
        import os, time
        for _ in range(3):
            os.fork()
        while time.process_time() < 1: pass
        time.sleep(60)
    """
    # Eight processes use a second each: none is over the limit, together they are.
    result = await run_python(program, cpu_seconds=3)
    assert result.outcome is SandboxOutcome.OUT_OF_CPU


async def test_cpu_of_children_that_have_ended_counts(run_python: RunPython) -> None:
    program = """
        import subprocess, sys
        while True:
            burn = "import time\\nwhile time.process_time() < 0.15: pass"
            subprocess.run([sys.executable, "-S", "-c", burn])
    """
    result = await run_python(program, cpu_seconds=1)
    assert result.outcome is SandboxOutcome.OUT_OF_CPU


async def test_memory_of_one_process(run_python: RunPython) -> None:
    program = """
        hoard = []
        while True: hoard.append(b"x" * 1_000_000)
    """
    result = await run_python(program, memory_bytes=100 * MIB)
    assert result.outcome is SandboxOutcome.OUT_OF_MEMORY
    assert result.peak_memory_bytes < 400 * MIB


async def test_memory_in_one_gulp(run_python: RunPython) -> None:
    """One allocation larger than what a process may map fails at once, inside."""
    result = await run_python("b'x' * 1_000_000_000", memory_bytes=128 * MIB)
    assert result.outcome is SandboxOutcome.EXITED
    assert "MemoryError" in result.stderr


async def test_memory_is_summed_over_processes(run_python: RunPython) -> None:
    program = """
        import os, time
        for _ in range(8):
            if os.fork() == 0:
                hoard = b"x" * 40_000_000
                time.sleep(60)
        time.sleep(60)
    """
    result = await run_python(program, memory_bytes=200 * MIB)
    assert result.outcome is SandboxOutcome.OUT_OF_MEMORY
    assert result.peak_memory_bytes < 400 * MIB


async def test_pages_shared_by_forks_count_once(run_python: RunPython) -> None:
    program = """
        import os, time
        shared = b"x" * 60_000_000
        children = []
        for _ in range(8):
            child = os.fork()
            if child == 0:
                time.sleep(0.3)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        print("done")
    """
    result = await run_python(program, memory_bytes=160 * MIB)
    assert (result.outcome, result.stdout) == (SandboxOutcome.EXITED, "done\n")


async def test_the_kernels_memory_for_files_counts(run_python: RunPython) -> None:
    program = """
        number = 0
        while True:
            open(f"/tmp/{number}", "w").close()
            number += 1
    """
    result = await run_python(program, memory_bytes=48 * MIB, cpu_seconds=30)
    assert result.outcome is SandboxOutcome.OUT_OF_MEMORY


async def test_the_kernels_memory_for_sockets_counts(run_python: RunPython) -> None:
    program = """
        import os, socket
        for _ in range(3):
            os.fork()
        pairs = []
        while True:
            try:
                pairs.append(socket.socketpair())
                for end in pairs[-1]:
                    end.setblocking(False)
                    end.send(bytes(100_000))
            except OSError:
                pass
    """
    result = await run_python(program, memory_bytes=256 * MIB, cpu_seconds=30)
    assert result.outcome is SandboxOutcome.OUT_OF_MEMORY


async def test_the_buffers_of_sockets_do_not_grow(run_python: RunPython) -> None:
    program = """
        import socket
        for end in socket.socketpair():
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                before = end.getsockopt(socket.SOL_SOCKET, option)
                end.setsockopt(socket.SOL_SOCKET, option, 1 << 24)
                print(end.getsockopt(socket.SOL_SOCKET, option) == before)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        print(end.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
    """
    assert (await run_python(program)).stdout.split() == ["True"] * 4 + ["1"]


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.memfd_create('hidden')",
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
        "assert libc.shmget(0, 1 << 20, 0o1600) >= 0, 'Operation not permitted'",
    ],
)
async def test_memory_outside_of_processes_is_refused(run_python: RunPython, program: str) -> None:
    result = await run_python(program)
    assert "Operation not permitted" in result.stderr


async def test_a_fork_bomb(run_python: RunPython) -> None:
    program = """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """
    result = await run_python(program, processes=32)
    assert result.outcome is SandboxOutcome.OUT_OF_PROCESSES
    assert result.duration_ms < 10_000


async def test_the_kernel_itself_bounds_processes(run_python: RunPython) -> None:
    """Between two looks of the watchdog, a bomb meets the kernel's limit."""
    program = """
        import os, signal, time
        count = 1
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(60)
                count += 1
        except OSError as error:
            os.write(1, f"{count} {error.errno}".encode())
    """
    result = await run_python(program, processes=8)
    assert result.outcome in (SandboxOutcome.OUT_OF_PROCESSES, SandboxOutcome.EXITED)
    assert result.stdout in ("", "24 11")


async def test_threads_count_as_processes(run_python: RunPython) -> None:
    program = """
        import threading, time
        for _ in range(20):
            threading.Thread(target=time.sleep, args=(60,)).start()
    """
    result = await run_python(program, processes=16)
    assert result.outcome is SandboxOutcome.OUT_OF_PROCESSES


async def test_as_many_processes_as_allowed_do_run(run_python: RunPython) -> None:
    program = """
        import os, time
        children = []
        for _ in range(15):
            child = os.fork()
            if child == 0:
                time.sleep(0.3)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
    """
    assert (await run_python(program, processes=16)).succeeded


@pytest.mark.parametrize("directory", [".", "/tmp", "/dev/shm", "/sandbox", "~"])
async def test_disk(run_python: RunPython, directory: str) -> None:
    program = f"""
        import errno, os
        written = 0
        try:
            for number in range(100):
                with open(os.path.expanduser(f"{directory}/{{number}}"), "wb") as file:
                    written += file.write(bytes(1_000_000))
                    file.flush()
        except OSError as error:
            print(written, errno.errorcode[error.errno])
    """
    result = await run_python(program, disk_bytes=8 * MIB)
    assert result.stdout.split()[1] == "ENOSPC"
    assert int(result.stdout.split()[0]) <= 8 * MIB


async def test_the_disk_is_one_for_all_directories(run_python: RunPython) -> None:
    program = """
        open("a", "wb").write(bytes(5_000_000))
        open("/tmp/b", "wb").write(bytes(5_000_000))
    """
    result = await run_python(program, disk_bytes=8 * MIB)
    assert "No space left on device" in result.stderr


async def test_nothing_else_can_be_written(run_python: RunPython) -> None:
    program = """
        for line in open("/proc/self/mountinfo"):
            fields = line.split()
            if "rw" in fields[5].split(","):
                print(fields[4])
    """
    result = await run_python(program)
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")}
    assert set(result.stdout.split()) == {"/sandbox", "/proc", *devices}


async def test_file_size(run_python: RunPython) -> None:
    program = """
        with open("big", "wb", buffering=0) as file:
            while True:
                file.write(bytes(500_000))
    """
    result = await run_python(program, file_bytes=2 * MIB)
    assert "File too large" in result.stderr


async def test_open_files(run_python: RunPython) -> None:
    program = """
        import os
        opened = 3
        try:
            while True:
                os.open("/dev/null", os.O_RDONLY)
                opened += 1
        except OSError as error:
            print(opened, error.strerror)
    """
    result = await run_python(program, open_files=40)
    assert result.stdout == "40 Too many open files\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_output(run_python: RunPython, stream: str) -> None:
    program = f"""
        import sys
        while True:
            sys.{stream}.write("0123456789" * 1000)
    """
    result = await run_python(program, output_bytes=100_000)
    assert result.outcome is SandboxOutcome.OUTPUT_LIMIT
    assert len(getattr(result, stream)) == 100_000


async def test_output_of_both_streams_counts_together(run_python: RunPython) -> None:
    program = """
        import sys
        for stream in (sys.stdout, sys.stderr):
            stream.write("x" * 600)
    """
    result = await run_python(program, output_bytes=1000)
    assert result.outcome is SandboxOutcome.OUTPUT_LIMIT
    assert len(result.stdout) + len(result.stderr) == 1000


async def test_output_up_to_the_limit_is_kept(run_python: RunPython) -> None:
    result = await run_python("print('x' * 999)", output_bytes=1000)
    assert (result.outcome, len(result.stdout)) == (SandboxOutcome.EXITED, 1000)
