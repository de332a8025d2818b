"""The scripted sandbox keeps the port's contract, and its script."""

import pytest

from application.ports.sandbox import Sandbox, SandboxOutcome
from tests.contracts import sandbox_contract as contract
from tests.fakes.sandbox import ScriptedSandbox, sandbox_result


class TestScriptedSandbox(contract.SandboxContract, contract.UnavailableSandboxContract):
    @pytest.fixture
    def sandbox(self) -> Sandbox:
        scripted = ScriptedSandbox()
        scripted.on(contract.GREET, sandbox_result(stdout="नमस्ते\n"))
        scripted.on(contract.FAIL, sandbox_result(3, stderr="why\n"))
        scripted.on(contract.MISSING, sandbox_result(127, stderr="no-such-command: not found\n"))
        scripted.on(contract.SLEEP, sandbox_result(outcome=SandboxOutcome.TIMED_OUT))
        return scripted

    @pytest.fixture
    def unavailable(self) -> Sandbox:
        return ScriptedSandbox(available=False)


async def test_results_come_in_turn_and_the_last_one_stays() -> None:
    scripted = ScriptedSandbox()
    scripted.on(("python3",), sandbox_result(1), sandbox_result(0))
    codes = [
        (await scripted.run({}, ("python3", "-m", "unittest"), contract.LIMITS)).exit_code
        for _ in range(3)
    ]
    assert codes == [1, 0, 0]


async def test_a_script_can_look_at_the_files() -> None:
    scripted = ScriptedSandbox()
    scripted.on(lambda files, _: b"bug" in files["main.py"], sandbox_result(1))
    scripted.on((), sandbox_result(0))
    buggy = await scripted.run({"main.py": b"bug"}, ("python3",), contract.LIMITS)
    sound = await scripted.run({"main.py": b""}, ("python3",), contract.LIMITS)
    assert (buggy.exit_code, sound.exit_code) == (1, 0)
    assert [run.files["main.py"] for run in scripted.runs] == [b"bug", b""]


async def test_what_is_not_scripted_is_an_error() -> None:
    with pytest.raises(LookupError, match="python3"):
        await ScriptedSandbox().run({}, ("python3",), contract.LIMITS)
