"""The method of the code agent: a plan, then its files in parallel batches, each whole."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from application.ports.model_calls import BorneBy
from application.runs.artifact_store import canonical_json
from application.runs.asking import ask_reviewed, error_count
from application.runs.cancellation import stop
from application.runs.failures import MendingBudgetSpent, RetryLater, StepFailed
from application.runs.step_work import StepResult, StepWork
from domain.agents.artifacts import (
    Codebase,
    CodePlan,
    FileBatch,
    Requirements,
    SourceFile,
    WrittenFile,
)
from domain.agents.findings import Finding, Severity, error, sends_back
from domain.agents.paths import check_paths, require_paths
from domain.agents.review import review_batch, review_codebase, review_plan

log = structlog.get_logger(__name__)

BATCH_FILES = 5
"""Files asked for at once: few enough that a reply ends well before its token limit."""

PARALLEL_BATCHES = 8


async def write_codebase(work: StepWork) -> StepResult:
    """Plan the files, write them in batches at once, and mend what review rejects, once.

    Raises:
        StepFailed: files are missing or unsafe even after asking again.
    """
    requirements = work.read(Requirements)

    def check(plan: CodePlan) -> tuple[Finding, ...]:
        return review_plan(plan, requirements)

    plan, plan_findings = await ask_reviewed(
        work.calls,
        work.request(CodePlan, f"{work.agent.instructions}.plan", work.inputs),
        check,
    )
    unsafe = check_paths((file.path, 0) for file in plan.files)
    if unsafe:
        raise StepFailed("unsafe_paths", f"The planned files were rejected: {unsafe[0].message}")
    batches = await _written(work, plan)
    contents = {file.path: file.content for batch in batches for file in batch.files}
    codebase = assembled(plan, contents)
    findings = review_codebase(codebase, requirements, plan)
    if sends_back(findings):
        codebase, findings = await _mended(work, plan, codebase, findings, requirements)
    require_paths((file.path, len(file.content.encode())) for file in codebase.files)
    lines = sum(file.content.count("\n") for file in codebase.files)
    tests = sum(file.is_test for file in codebase.files)
    return StepResult(
        artifact=codebase,
        summary=f"{len(codebase.files)} files ({tests} of tests), {lines} lines",
        findings=(*plan_findings, *findings),
    )


def batches_of(plan: CodePlan) -> tuple[tuple[str, ...], ...]:
    """The planned paths in groups, in the plan's order."""
    paths = [file.path for file in plan.files]
    return tuple(
        tuple(paths[start : start + BATCH_FILES]) for start in range(0, len(paths), BATCH_FILES)
    )


def assembled(plan: CodePlan, contents: dict[str, str]) -> Codebase:
    """The plan with its files' contents.

    Raises:
        StepFailed: a planned file was never written.
    """
    missing = [file.path for file in plan.files if file.path not in contents]
    if missing:
        raise StepFailed("missing_files", f"The model did not write: {', '.join(missing[:5])}.")
    return Codebase(
        title=plan.title,
        language=plan.language,
        architecture=plan.architecture,
        files=tuple(
            SourceFile(
                path=file.path,
                content=contents[file.path],
                purpose=file.purpose,
                requirement_ids=file.requirement_ids,
                symbols=file.symbols,
                is_test=file.is_test,
            )
            for file in plan.files
        ),
        start=plan.start,
        test=plan.test,
        probe_path=plan.probe_path,
    )


async def _written(work: StepWork, plan: CodePlan) -> list[FileBatch]:
    """Every batch, some at once. When one cannot go on, those under way still end before
    this does, so that nobody calls the model for a step that is over; no other is begun.

    Raises:
        StepFailed, RetryLater: of several, what ends the step, else the longest wait.
    """
    places = asyncio.Semaphore(PARALLEL_BATCHES)
    broken = False

    async def write(paths: Sequence[str]) -> FileBatch | None:
        nonlocal broken
        async with places:
            if broken:
                return None
            try:
                return await _write_batch(work, plan, paths)
            except Exception:
                broken = True
                raise

    writing = [asyncio.ensure_future(write(paths)) for paths in batches_of(plan)]
    if not writing:
        return []
    try:
        await asyncio.wait(writing)
    finally:
        await stop(*writing)
    later: list[RetryLater] = []
    for batch in writing:
        reason = batch.exception()
        if isinstance(reason, RetryLater):
            later.append(reason)
        elif reason is not None:
            raise reason
    if later:
        raise max(later, key=lambda each: each.seconds)
    return [done for batch in writing if (done := batch.result()) is not None]


async def _write_batch(work: StepWork, plan: CodePlan, paths: Sequence[str]) -> FileBatch:
    def check(batch: FileBatch) -> tuple[Finding, ...]:
        return (*_departures(batch, paths), *review_batch(batch, plan))

    request = work.request(
        FileBatch,
        f"{work.agent.instructions}.files",
        {**work.inputs, "plan": plan, "files": tuple(paths)},
    )
    batch, _ = await ask_reviewed(work.calls, request, check)
    # What is still wrong is found again on the whole codebase, and recorded there.
    return FileBatch(files=tuple(file for file in batch.files if file.path in set(paths)))


async def _mended(
    work: StepWork,
    plan: CodePlan,
    codebase: Codebase,
    findings: tuple[Finding, ...],
    requirements: Requirements,
) -> tuple[Codebase, tuple[Finding, ...]]:
    """Have the files with errors written once more, at the house's expense."""
    known = {file.path for file in codebase.files}
    faulty = tuple(
        sorted(
            {
                finding.subject
                for finding in findings
                if finding.severity is Severity.ERROR and finding.subject in known
            }
        )
    )
    if not faulty:
        return codebase, findings
    before = FileBatch(
        files=tuple(
            WrittenFile(path=file.path, content=file.content)
            for file in codebase.files
            if file.path in faulty
        )
    )
    request = replace(
        work.request(
            FileBatch,
            f"{work.agent.instructions}.files",
            {**work.inputs, "plan": plan, "files": faulty},
        ),
        findings=tuple(finding for finding in findings if finding.subject in faulty),
        previous=canonical_json(before).decode(),
    )
    try:
        answer = await work.calls.ask(request, purpose="review", borne_by=BorneBy.HOUSE)
    except MendingBudgetSpent as reason:
        log.warning("files not mended", files=len(faulty), reason=str(reason))
        return codebase, findings
    if not isinstance(answer.value, FileBatch):
        return codebase, findings
    contents = {file.path: file.content for file in codebase.files}
    contents.update({file.path: file.content for file in answer.value.files if file.path in faulty})
    mended = assembled(plan, contents)
    still = review_codebase(mended, requirements, plan)
    return (mended, still) if error_count(still) <= error_count(findings) else (codebase, findings)


def _departures(batch: FileBatch, paths: Iterable[str]) -> Iterable[Finding]:
    written = {file.path for file in batch.files}
    for path in paths:
        if path not in written:
            yield error("missing_file", path, "Write this file, whole.")
