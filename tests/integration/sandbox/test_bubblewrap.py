"""The bubblewrap sandbox keeps the port's contract, and is available or runs nothing."""

import hashlib
import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from adapters.sandbox import BubblewrapSandbox
from application.ports.sandbox import Sandbox, SandboxLimits, SandboxUnavailable
from tests.contracts.sandbox_contract import (
    LIMITS,
    SandboxContract,
    UnavailableSandboxContract,
)


class TestBubblewrap(SandboxContract):
    pass


class TestWithoutBubblewrap(UnavailableSandboxContract):
    @pytest.fixture
    def unavailable(self) -> Sandbox:
        return BubblewrapSandbox(binary="/nonexistent/bwrap")


class TestElsewhereThanLinux(UnavailableSandboxContract):
    @pytest.fixture
    def unavailable(self, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
        monkeypatch.setattr(sys, "platform", "darwin")
        return BubblewrapSandbox()


class TestWhereNamespacesAreRefused(UnavailableSandboxContract):
    """The kernel's answer in a container without user namespaces, given by a stand-in."""

    @pytest.fixture
    def unavailable(self, tmp_path: Path) -> Sandbox:
        refusing = tmp_path / "bwrap"
        refusing.write_text(
            "#!/bin/sh\necho 'bwrap: No permissions to create namespace' >&2\nexit 1\n"
        )
        refusing.chmod(0o755)
        return BubblewrapSandbox(binary=str(refusing))

    async def test_the_reason_is_bubblewraps(self, unavailable: Sandbox) -> None:
        assert "No permissions" in (await unavailable.availability()).reason


async def test_a_command_is_never_run_on_the_host(tmp_path: Path) -> None:
    """Not even when bubblewrap is something that runs what it is given."""
    careless = tmp_path / "bwrap"
    careless.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    careless.chmod(0o755)
    unavailable = BubblewrapSandbox(binary=str(careless))
    with pytest.raises(SandboxUnavailable):
        await unavailable.run({}, ("touch", str(tmp_path / "ran")), LIMITS)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "/etc/passwd", "../out", "a/../../out", "a/..", "./a", "a//b", "a/", "a\0b"],
)
async def test_a_path_out_of_the_workspace_is_refused(
    sandbox: BubblewrapSandbox, path: str
) -> None:
    with pytest.raises(ValueError, match=r"path|outside"):
        await sandbox.run({path: b""}, ("true",), LIMITS)


async def test_a_file_cannot_also_be_a_directory(sandbox: BubblewrapSandbox) -> None:
    with pytest.raises(ValueError, match="both a file and a directory"):
        await sandbox.run({"a": b"", "a/b": b""}, ("true",), LIMITS)


@pytest.mark.parametrize("command", [(), ("echo", "a\0b")])
async def test_a_command_needs_words_without_nul(
    sandbox: BubblewrapSandbox, command: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="command"):
        await sandbox.run({}, command, LIMITS)


async def test_files_larger_than_the_disk_are_refused(sandbox: BubblewrapSandbox) -> None:
    limits = SandboxLimits(disk_bytes=1024 * 1024)
    with pytest.raises(ValueError, match="the disk has 1048576"):
        await sandbox.run({"big": bytes(1024 * 1024 + 1)}, ("true",), limits)


async def test_files_arrive_whole(sandbox: BubblewrapSandbox) -> None:
    files = {f"d{i % 7}/ünï {i}.bin": os.urandom(i * 1000) for i in range(150)}
    program = (
        "import hashlib, pathlib\n"
        "for path in sorted(p for p in pathlib.Path().rglob('*') if p.is_file()):\n"
        "    print(path, hashlib.sha256(path.read_bytes()).hexdigest())\n"
    )
    result = await sandbox.run(files, ("python3", "-c", program), LIMITS)
    expected = [
        f"{path} {hashlib.sha256(files[str(path)]).hexdigest()}"
        for path in sorted(map(PurePosixPath, files))
    ]
    assert result.stdout.splitlines() == expected
