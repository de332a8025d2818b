"""What every ``Sandbox`` keeps."""

import pytest

from application.ports.sandbox import (
    Sandbox,
    SandboxLimits,
    SandboxOutcome,
    SandboxUnavailable,
)

LIMITS = SandboxLimits(wall_seconds=10)
FILES = {"main.py": b"import pkg.greeting\n", "pkg/greeting.py": "print('नमस्ते')\n".encode()}

GREET = ("python3", "main.py")
FAIL = ("python3", "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)")
SLEEP = ("sleep", "600")
MISSING = ("no-such-command",)


class SandboxContract:
    async def test_it_is_available_and_says_by_what(self, sandbox: Sandbox) -> None:
        availability = await sandbox.availability()
        assert (availability.available, availability.reason) == (True, "")
        assert availability.isolation

    async def test_a_command_finds_the_files_and_its_output_comes_back(
        self, sandbox: Sandbox
    ) -> None:
        result = await sandbox.run(FILES, GREET, LIMITS)
        assert (result.stdout, result.stderr, result.exit_code) == ("नमस्ते\n", "", 0)
        assert result.succeeded

    async def test_a_result_tells_time_and_memory(self, sandbox: Sandbox) -> None:
        result = await sandbox.run(FILES, GREET, LIMITS)
        assert 0 < result.duration_ms < 10_000
        assert 0 < result.peak_memory_bytes < LIMITS.memory_bytes

    async def test_a_failing_command_ends_by_itself_with_its_status(self, sandbox: Sandbox) -> None:
        result = await sandbox.run({}, FAIL, LIMITS)
        assert result.outcome is SandboxOutcome.EXITED
        assert (result.exit_code, result.stdout, result.stderr) == (3, "", "why\n")
        assert not result.succeeded

    async def test_a_missing_command_ends_as_in_a_shell(self, sandbox: Sandbox) -> None:
        result = await sandbox.run({}, MISSING, LIMITS)
        assert (result.outcome, result.exit_code) == (SandboxOutcome.EXITED, 127)
        assert MISSING[0] in result.stderr

    async def test_a_killed_command_has_no_status(self, sandbox: Sandbox) -> None:
        result = await sandbox.run({}, SLEEP, SandboxLimits(wall_seconds=0.3))
        assert (result.outcome, result.exit_code) == (SandboxOutcome.TIMED_OUT, None)
        assert not result.succeeded


class UnavailableSandboxContract:
    """For a sandbox on a host that cannot isolate."""

    async def test_it_says_why(self, unavailable: Sandbox) -> None:
        availability = await unavailable.availability()
        assert not availability.available
        assert availability.reason

    async def test_nothing_is_run(self, unavailable: Sandbox) -> None:
        reason = (await unavailable.availability()).reason
        with pytest.raises(SandboxUnavailable, match=r".") as raised:
            await unavailable.run(FILES, GREET, LIMITS)
        assert str(raised.value) == reason
