"""The method of the verifier: build, start and test in the sandbox, and repair while it helps.

What the report says is computed from these runs. Where nothing can be isolated, nothing
is run, and the report says just that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from application.ports.model_calls import BorneBy
from application.ports.sandbox import (
    Sandbox,
    SandboxLimits,
    SandboxOutcome,
    SandboxResult,
    SandboxUnavailable,
)
from application.runs.failures import MendingBudgetSpent
from application.runs.harness import FOLDER, MARK, program
from application.runs.step_work import StepResult, StepWork
from domain.agents.artifacts import (
    CheckName,
    CheckRun,
    Codebase,
    FileBatch,
    RepairAttempt,
    Requirements,
    TestCase,
    Verification,
    VerificationStatus,
    WrittenFile,
)
from domain.agents.budget import RepairLoop, StopReason
from domain.agents.paths import check_paths
from domain.agents.signature import failure_signature
from domain.agents.traceability import trace

REPAIR_BUDGET_NANO_USD = 2_000_000_000
"""What the house spends on repairing one codebase: two dollars, several whole rewrites."""

START_SECONDS = 20
_OUTPUT_TAIL = 8_000
_LIMITS: Mapping[CheckName, SandboxLimits] = {
    CheckName.BUILD: SandboxLimits(wall_seconds=30, cpu_seconds=30),
    CheckName.START: SandboxLimits(wall_seconds=START_SECONDS + 10, cpu_seconds=30),
    CheckName.TEST: SandboxLimits(wall_seconds=180, cpu_seconds=180),
}


async def verify_codebase(work: StepWork) -> StepResult:
    """Run the stages; while they fail for new reasons, have the failing part repaired."""
    requirements = work.read(Requirements)
    codebase = work.read(Codebase)
    availability = await work.sandbox.availability()
    if not availability.available:
        return _not_verified(requirements, codebase, availability.reason)
    loop = RepairLoop()
    attempts: list[RepairAttempt] = []
    repairs: dict[str, str] = {}
    while True:
        try:
            checks = await run_checks(work.sandbox, codebase)
        except SandboxUnavailable as reason:
            return _not_verified(requirements, codebase, str(reason))
        failed = next((check for check in checks if not check.passed), None)
        decision = loop.next(
            failure_signature(failed) if failed else None,
            work.calls.house_nano_usd,
            REPAIR_BUDGET_NANO_USD,
        )
        if failed is None or not decision.repairs:
            break
        try:
            mended = await _repair(work, codebase, failed)
        except MendingBudgetSpent:
            decision = replace(decision, stop=StopReason.BUDGET_SPENT)
            break
        loop = decision.loop
        attempts.append(
            RepairAttempt(
                number=loop.attempts,
                signature=loop.signatures[-1],
                failed_check=failed.name,
                changed_paths=tuple(sorted(mended)),
            )
        )
        if not mended:
            break
        repairs.update(mended)
        codebase = _overlaid(codebase, mended)
    return _result(
        requirements, codebase, checks, attempts, repairs, availability.isolation, decision.stop
    )


async def run_checks(sandbox: Sandbox, codebase: Codebase) -> tuple[CheckRun, ...]:
    """Build, start and test, in that order, up to the first that fails.

    Raises:
        SandboxUnavailable: the host cannot isolate; nothing was run.
    """
    files = {file.path: file.content.encode() for file in codebase.files}
    files |= {f"{FOLDER}/{name}.py": program(name) for name in ("start", "test")}
    compile_all = ("python3", "-m", "compileall", "-q", ".")
    start = (codebase.probe_path, str(START_SECONDS), *codebase.start)
    stages: Sequence[tuple[CheckName, tuple[str, ...], tuple[str, ...]]] = (
        (CheckName.BUILD, compile_all, compile_all),
        (CheckName.START, codebase.start, ("python3", f"{FOLDER}/start.py", *start)),
        (CheckName.TEST, codebase.test, ("python3", f"{FOLDER}/test.py", *codebase.test[3:])),
    )
    checks: list[CheckRun] = []
    for name, shown, command in stages:
        result = await sandbox.run(files, command, _LIMITS[name])
        check = check_of(name, shown, result)
        checks.append(check)
        if not check.passed:
            break
    return tuple(checks)


def check_of(name: CheckName, command: tuple[str, ...], result: SandboxResult) -> CheckRun:
    """What one stage's run says. Tests count only as the harness recorded them."""
    printed, reported = _split(result.stdout)
    output = "\n".join(part for part in (printed.strip(), result.stderr.strip()) if part)
    tests: tuple[TestCase, ...] = ()
    passed = result.succeeded
    if name is CheckName.TEST:
        # Without the harness's own line the program ended before its tests were counted.
        tests = msgspec.convert((reported or {}).get("cases", []), tuple[TestCase, ...])
        passed = passed and any(test.passed for test in tests)
    return CheckRun(
        name=name,
        command=command,
        outcome=result.outcome.value,
        exit_code=result.exit_code if result.outcome is SandboxOutcome.EXITED else None,
        passed=passed,
        duration_ms=result.duration_ms,
        output=output[-_OUTPUT_TAIL:],
        tests=tests,
    )


async def _repair(work: StepWork, codebase: Codebase, failed: CheckRun) -> dict[str, str]:
    """Ask for the files that mend the failure; unsafe or unknown ones reject the batch."""
    inputs = {**work.inputs, "codebase": codebase, "evidence": failed}
    request = work.request(FileBatch, work.agent.instructions, inputs)
    answer = await work.calls.ask(request, purpose="repair", borne_by=BorneBy.HOUSE)
    if not isinstance(answer.value, FileBatch):
        return {}
    known = {file.path: file.content for file in codebase.files}
    mended = {
        file.path: file.content
        for file in answer.value.files
        if known.get(file.path) != file.content
    }
    sizes = [(path, len(content.encode())) for path, content in {**known, **mended}.items()]
    if check_paths(sizes) or not known.keys() >= mended.keys():
        return {}
    return mended


def _result(
    requirements: Requirements,
    codebase: Codebase,
    checks: tuple[CheckRun, ...],
    attempts: list[RepairAttempt],
    repairs: dict[str, str],
    isolation: str,
    stop: StopReason | None,
) -> StepResult:
    passed = len(checks) == len(CheckName) and all(check.passed for check in checks)
    tests = tuple(test for check in checks for test in check.tests)
    good = sum(test.passed for test in tests)
    counted = f"{good} of {len(tests)} tests passed"
    if passed:
        summary = f"Verified: built, started, {counted}"
    else:
        stage = checks[-1].name.value
        why = f", {counted}" if tests else ""
        ended = f"; repair stopped: {stop.value.replace('_', ' ')}" if attempts and stop else ""
        summary = f"Failed at {stage}{why}{ended}"
    verification = Verification(
        status=VerificationStatus.VERIFIED if passed else VerificationStatus.FAILED,
        summary=summary,
        isolation=isolation,
        checks=checks,
        attempts=tuple(attempts),
        repairs=tuple(
            WrittenFile(path=path, content=content) for path, content in sorted(repairs.items())
        ),
        matrix=trace(requirements, codebase, tests),
    )
    return StepResult(
        artifact=verification,
        summary=summary,
        findings=(),
        delivered=codebase if repairs else None,
    )


def _not_verified(requirements: Requirements, codebase: Codebase, reason: str) -> StepResult:
    summary = f"Not verified: no sandbox ({reason})" if reason else "Not verified: no sandbox"
    verification = Verification(
        status=VerificationStatus.NOT_VERIFIED,
        summary=summary,
        isolation="",
        checks=(),
        attempts=(),
        repairs=(),
        matrix=trace(requirements, codebase, ()),
    )
    return StepResult(artifact=verification, summary=summary, findings=())


def _overlaid(codebase: Codebase, mended: Mapping[str, str]) -> Codebase:
    return replace(
        codebase,
        files=tuple(
            replace(file, content=mended.get(file.path, file.content)) for file in codebase.files
        ),
    )


def _split(stdout: str) -> tuple[str, dict[str, Any] | None]:
    """What the program printed, and the harness's last line, if it got to write it."""
    before, mark, line = stdout.rpartition(MARK)
    if not mark:
        return stdout, None
    try:
        return before, msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return before, None
