"""What the code inside can see and reach, asked from inside."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

import adapters.sandbox
from adapters.sandbox import BubblewrapSandbox
from tests.contracts.sandbox_contract import LIMITS
from tests.integration.sandbox.conftest import RunPython

MARKER = "secret-7f3a9c"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", MARKER)


@pytest.mark.usefixtures("secret")
async def test_no_process_has_the_hosts_environment(run_python: RunPython) -> None:
    program = """
        import os
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            print(pid, open(f"/proc/{pid}/environ").read().split(chr(0)))
    """
    result = await run_python(program)
    processes = result.stdout.splitlines()
    # Bubblewrap's own, which it sets itself.
    assert processes[0] == "1 ['PWD=/', '']"
    assert len(processes) == 2
    assert MARKER not in result.stdout
    names = {word.split("=")[0] for word in eval(processes[1][2:])}
    allowed = {"PATH", "HOME", "LANG", "PWD", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"}
    assert names <= allowed | {"MALLOC_ARENA_MAX", ""}


@pytest.mark.usefixtures("secret")
async def test_no_command_line_holds_the_secret_or_the_workspace(run_python: RunPython) -> None:
    program = """
        import os
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            print(open(f"/proc/{pid}/cmdline").read())
    """
    assert MARKER not in (await run_python(program)).stdout


async def test_the_host_cannot_be_reached(run_python: RunPython) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        program = f"""
            import socket
            for host in ("127.0.0.1", "localhost", "10.0.0.1", "8.8.8.8", "169.254.169.254"):
                try:
                    socket.create_connection((host, {port}), 1)
                    print(host)
                except OSError:
                    pass
        """
        result = await run_python(program)
    assert (result.exit_code, result.stdout) == (0, "")


async def test_a_unix_socket_of_the_host_cannot_be_reached(run_python: RunPython) -> None:
    """An abstract address has no path: only the network namespace hides it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0bharatbuild-sandbox-test")
        listener.listen()
        program = r"""
            import socket
            socket.socket(socket.AF_UNIX).connect("\0bharatbuild-sandbox-test")
        """
        result = await run_python(program)
    assert "Connection refused" in result.stderr


async def test_there_is_no_interface_but_loopback(run_python: RunPython) -> None:
    result = await run_python("print(open('/proc/net/dev').read())")
    assert [line.split(":")[0].strip() for line in result.stdout.splitlines() if ":" in line] == [
        "lo"
    ]


@pytest.mark.parametrize("family", ["AF_VSOCK", "AF_NETLINK", "AF_PACKET", "AF_ALG"])
async def test_other_families_of_sockets_are_refused(run_python: RunPython, family: str) -> None:
    result = await run_python(f"import socket; socket.socket(socket.{family}, socket.SOCK_RAW)")
    assert "Address family not supported" in result.stderr


async def test_a_server_can_be_started_and_probed_inside(run_python: RunPython) -> None:
    program = """
        import http.server, threading, urllib.request
        server = http.server.ThreadingHTTPServer(
            ("localhost", 0), http.server.SimpleHTTPRequestHandler
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://localhost:{server.server_port}/program.py"
        print(urllib.request.urlopen(url).status)
    """
    assert (await run_python(program)).stdout == "200\n"


async def test_the_standard_library_works(run_python: RunPython) -> None:
    program = """
        import asyncio, ctypes, getpass, multiprocessing, pathlib, socket, sqlite3, tempfile

        def double(value):
            return 2 * value

        with multiprocessing.Pool(2) as pool:
            assert pool.map(double, [1, 2]) == [2, 4]
        with tempfile.NamedTemporaryFile() as file:
            assert file.name.startswith("/tmp/")
        with sqlite3.connect("app.db") as database:
            database.execute("create table t (x)")
        assert getpass.getuser() == "sandbox"
        assert pathlib.Path.home().is_dir()
        assert socket.gethostname() == "sandbox"
        a, b = socket.socketpair()
        print("works", flush=True)
    """
    result = await run_python(program)
    assert (result.stdout, result.stderr) == ("works\n", "")


async def test_tests_of_a_project_can_be_run(sandbox: BubblewrapSandbox) -> None:
    files = {
        "shop/__init__.py": b"",
        "shop/price.py": b"def rupees(paise): return paise / 100\n",
        "tests/__init__.py": b"",
        "tests/test_price.py": (
            b"import unittest\nfrom shop.price import rupees\n\n"
            b"class Price(unittest.TestCase):\n"
            b"    def test_rupees(self): self.assertEqual(rupees(250), 2.5)\n"
        ),
    }
    result = await sandbox.run(files, ("python3", "-m", "unittest"), LIMITS)
    assert result.succeeded
    assert "Ran 1 test" in result.stderr


HIDDEN = {
    "/etc/shadow",
    "/etc/hostname",
    "/home",
    "/work",
    "/var",
    "/run",
    "/sys",
    "/opt",
    "/mnt",
    "/boot",
    "/usr/local",
    "/usr/src",
    "/dev/mem",
    "/dev/pts",
    str(Path(adapters.sandbox.__file__).parents[2]),
    str(Path(pytest.__file__).parent),
    str(Path.home() / ".ssh"),
    str(Path.home() / ".bashrc"),
}


async def test_the_host_cannot_be_read(run_python: RunPython) -> None:
    # Where the interpreter itself lives under one of these, only its own prefix is there.
    hidden = sorted(path for path in HIDDEN if not Path(sys.base_prefix).is_relative_to(path))
    result = await run_python(f"import os; print([p for p in {hidden} if os.path.lexists(p)])")
    assert result.stdout == "[]\n"


async def test_the_interpreters_home_holds_nothing_else(run_python: RunPython) -> None:
    prefix = Path(sys.base_prefix)
    if prefix == Path("/usr"):
        pytest.skip("the interpreter is the system's")
    program = f"""
        from pathlib import Path
        prefix = Path({str(prefix)!r})
        if Path("/usr") not in prefix.parents:
            for parent in list(prefix.parents)[:-1]:
                assert len(list(parent.iterdir())) == 1, list(parent.iterdir())
        print(*sorted(p.name for p in prefix.iterdir() if p.name != "lib64"))
    """
    assert (await run_python(program)).stdout == "bin lib\n"


async def test_there_are_no_third_party_packages(run_python: RunPython) -> None:
    program = """
        import importlib.metadata, importlib.util
        assert not list(importlib.metadata.distributions())
        print([n for n in ("pip", "pytest", "adapters") if importlib.util.find_spec(n)])
    """
    result = await run_python(program)
    assert (result.stdout, result.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    "path",
    ["/usr/bin/evil", "/etc/hosts", "/evil", "/dev/evil", os.__file__, sys.base_prefix + "/x"],
)
async def test_the_toolchain_cannot_be_written(run_python: RunPython, path: str) -> None:
    result = await run_python(f"open({path!r}, 'r+' if {path!r}.endswith('s') else 'a')")
    assert "Read-only file system" in result.stderr or "Permission denied" in result.stderr


async def test_no_privilege_is_held(run_python: RunPython) -> None:
    program = """
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        for name in ("Uid", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"):
            print(name, *set(status[name].split()))
    """
    none = "0000000000000000"
    assert (await run_python(program)).stdout.splitlines() == [
        "Uid 1000",
        *(f"Cap{kind} {none}" for kind in ("Prm", "Eff", "Bnd", "Amb")),
        "NoNewPrivs 1",
        "Seccomp 2",
    ]


async def test_process_1_is_no_way_out(run_python: RunPython) -> None:
    """The code may write its memory, so it must be bound by all that binds the code."""
    program = """
        def of(process, file, *names):
            lines = open(f"/proc/{process}/{file}").read().splitlines()
            return [line for line in lines if line.startswith(names)]

        for file, names in {
            "status": ("Uid", "Cap", "NoNewPrivs", "Seccomp:"),
            "limits": ("Max",),
            "uid_map": (" ",),
        }.items():
            ones, own = of(1, file, *names), of("self", file, *names)
            assert own and ones == own, (ones, own)
        print("alike")
    """
    result = await run_python(program)
    assert (result.stdout, result.stderr) == ("alike\n", "")


async def test_the_host_sees_an_ordinary_user(sandbox: BubblewrapSandbox) -> None:
    mark = "86399.7531"
    running = asyncio.create_task(sandbox.run({}, ("sleep", mark), LIMITS))
    owners: set[int] = set()
    while not owners and not running.done():
        await asyncio.sleep(0.01)
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cmdline").read_bytes() == f"sleep\0{mark}\0".encode():
                    owners.add(process.stat().st_uid)
            except (FileNotFoundError, ProcessLookupError):
                continue
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert owners
    assert 0 not in owners


@pytest.mark.parametrize(
    "program",
    [
        "os.chroot('/tmp')",
        "check(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))",
        "check(libc.umount2(b'/usr', 2))",
        "check(libc.unshare(0x10000000))",  # CLONE_NEWUSER
        "check(libc.syscall(56, 0x10000011, 0, 0, 0, 0))",  # clone with CLONE_NEWUSER
        "check(libc.ptrace(16, 1, 0, 0))",  # PTRACE_ATTACH
        "check(libc.syscall(250, 0, -3, 0))",  # keyctl
        "check(libc.syscall(321, 0, 0, 0))",  # bpf
        "check(libc.syscall(425, 1, 0))",  # io_uring_setup
        "open('/proc/sys/kernel/hostname', 'w')",
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls")
async def test_privilege_cannot_be_gained(run_python: RunPython, program: str) -> None:
    prelude = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def check(status):\n"
        "    if status == -1: raise OSError(ctypes.get_errno(), 'refused')\n"
    )
    result = await run_python(prelude + program)
    assert result.exit_code == 1, result
    assert "PermissionError" in result.stderr or "Read-only file system" in result.stderr


async def test_root_is_not_a_user_here(run_python: RunPython) -> None:
    assert "Invalid argument" in (await run_python("import os; os.setuid(0)")).stderr


async def test_clone3_is_said_to_be_missing(run_python: RunPython) -> None:
    """So that libc falls back to the call whose flags the filter can read."""
    program = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        print(libc.syscall(435, 0, 0), ctypes.get_errno())
    """
    assert (await run_python(program)).stdout == "-1 38\n"


async def test_setuid_programs_gain_nothing(sandbox: BubblewrapSandbox) -> None:
    result = await sandbox.run({}, ("su", "-c", "id -u"), LIMITS)
    assert not result.succeeded
    assert result.stdout.strip() != "0"


async def test_no_descriptor_but_the_standard_three(run_python: RunPython) -> None:
    program = """
        import os
        for number in range(4096):
            try:
                print(number, os.path.basename(os.readlink(f"/proc/self/fd/{number}"))[:4])
            except FileNotFoundError:
                pass
    """
    with Path(__file__).open() as open_here:
        os.set_inheritable(open_here.fileno(), True)
        result = await run_python(program)
    assert result.stdout.splitlines() == ["0 null", "1 pipe", "2 pipe"]


async def test_there_is_no_terminal_to_type_into(run_python: RunPython) -> None:
    result = await run_python("open('/dev/tty')")
    assert "No such file" in result.stderr


async def test_two_sandboxes_do_not_see_each_other(sandbox: BubblewrapSandbox) -> None:
    program = b"""
import os, sys, time
open("mine-" + sys.argv[1], "w").close()
open("/tmp/mine-" + sys.argv[1], "w").close()
time.sleep(0.5)
print(len([p for p in os.listdir("/proc") if p.isdecimal()]))
print(sorted(os.listdir(".")), os.listdir("/tmp"))
"""
    results = await asyncio.gather(
        *(sandbox.run({"p.py": program}, ("python3", "p.py", name), LIMITS) for name in "ab")
    )
    assert [result.stdout for result in results] == [
        f"2\n['mine-{name}', 'p.py'] ['mine-{name}']\n" for name in "ab"
    ]
