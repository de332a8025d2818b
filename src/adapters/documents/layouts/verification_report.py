"""The verification report: what the recorded runs say, and nothing kinder.

Every figure is counted here from the recorded runs. Where the recorded status is better
than the runs bear out, the report says the worse of the two.
"""

import shlex
from collections import Counter
from collections.abc import Sequence

from adapters.documents.blocks import (
    Block,
    Break,
    Bullets,
    Code,
    Heading,
    Inline,
    Line,
    Note,
    Paragraph,
    Reference,
    Text,
    anchor_of,
    code,
    line,
    strong,
)
from adapters.documents.layouts.sections import (
    counted,
    joined,
    prose,
    stacked,
    table,
    words,
)
from domain.agents.artifacts import (
    CheckName,
    CheckRun,
    TestCase,
    TraceRow,
    Verification,
    VerificationStatus,
)

_SHOWN_LINES = 80
_SEVERITY_OF_STATUS = (
    VerificationStatus.VERIFIED,
    VerificationStatus.NOT_VERIFIED,
    VerificationStatus.FAILED,
)
_SENTENCES = {
    VerificationStatus.VERIFIED: "The code was built, started and tested, and everything passed.",
    VerificationStatus.FAILED: "The code failed its verification.",
    VerificationStatus.NOT_VERIFIED: "The code was not verified.",
}


def lay_out(verification: Verification) -> tuple[Block, ...]:
    """The result first, then the runs it was computed from."""
    tests = tuple(test for check in verification.checks for test in check.tests)
    return (
        *_result(verification),
        *_stages(verification.checks),
        *_tests(verification.checks, tests),
        *_repairs(verification),
        *_traceability(verification.matrix, tests),
        *_commands(verification),
    )


def status_of(verification: Verification) -> VerificationStatus:
    """The recorded status, or what its own runs show where that is worse."""
    checks = verification.checks
    if any(not check.passed for check in checks) or any(map(_failed, _all_tests(checks))):
        shown = VerificationStatus.FAILED
    elif {check.name for check in checks} >= set(CheckName) and _any_passed(checks):
        shown = VerificationStatus.VERIFIED
    else:
        shown = VerificationStatus.NOT_VERIFIED
    return max(shown, verification.status, key=_SEVERITY_OF_STATUS.index)


def status_note(verification: Verification) -> Note:
    """The status in one plain sentence, with its reason."""
    status = status_of(verification)
    return Note(
        line(
            strong(f"{words(status).upper()}. "),
            _SENTENCES[status],
            f" {' '.join(_reasons(verification, status))}".rstrip(),
        )
    )


def _reasons(verification: Verification, status: VerificationStatus) -> list[str]:
    checks = verification.checks
    reasons = [
        f"The {check.name} stage failed: {_ending(check)}." for check in checks if not check.passed
    ]
    tests = _all_tests(checks)
    failed = sum(map(_failed, tests))
    if failed:
        reasons.append(f"{failed} of {counted(len(tests), 'test')} failed.")
    if status is VerificationStatus.NOT_VERIFIED:
        ran = {check.name for check in checks}
        missing = [name for name in CheckName if name not in ran]
        if not checks:
            reasons.append("Nothing was run.")
        elif missing:
            reasons.append(f"Not run: {', '.join(missing)}.")
        elif not _any_passed(checks):
            reasons.append("No test was executed.")
    if status is not verification.status:
        reasons.append(
            f"The status recorded was {words(verification.status).lower()}; the recorded runs "
            "do not bear that out."
        )
    return reasons


def _result(verification: Verification) -> tuple[Block, ...]:
    return (
        Heading(1, "Result"),
        status_note(verification),
        *prose(verification.summary),
        Paragraph(
            line(
                "Everything below is taken from the recorded runs. Nothing in this report was "
                "estimated."
            )
        ),
    )


def _stages(checks: Sequence[CheckRun]) -> tuple[Block, ...]:
    blocks: list[Block] = [Heading(1, "Stages")]
    blocks.append(
        table(
            "Stages as they ran",
            (
                ("Stage", 12),
                ("Command", 34),
                ("Outcome", 16),
                ("Exit code", 11),
                ("Duration", 14),
                ("Result", 13),
            ),
            (
                (
                    words(check.name),
                    line(code(shlex.join(check.command))),
                    words(check.outcome),
                    "—" if check.exit_code is None else str(check.exit_code),
                    _seconds(check.duration_ms),
                    _result_word(check.passed),
                )
                for check in checks
            ),
        )
        if checks
        else Paragraph(line("No stage was run."))
    )
    for check in checks:
        if not check.passed:
            blocks.append(Heading(2, f"Output of the failed {check.name} stage"))
            blocks += _output(check.output)
    return tuple(blocks)


def _output(output: str) -> list[Block]:
    lines = output.rstrip().splitlines()
    if not lines:
        return [Paragraph(line("It printed nothing."))]
    blocks: list[Block] = []
    if len(lines) > _SHOWN_LINES:
        blocks.append(Paragraph(line(f"The last {_SHOWN_LINES} of {len(lines)} recorded lines:")))
    return [*blocks, Code("\n".join(lines[-_SHOWN_LINES:]))]


def _tests(checks: Sequence[CheckRun], tests: Sequence[TestCase]) -> tuple[Block, ...]:
    if not tests:
        ran = any(check.name is CheckName.TEST for check in checks)
        said = "The test stage recorded no test." if ran else "The test stage was not run."
        return (Heading(1, "Tests"), Paragraph(line(said)))
    failed = [test for test in tests if _failed(test)]
    skipped = sum(test.skipped for test in tests)
    blocks: list[Block] = [
        Heading(1, "Tests"),
        Paragraph(
            line(
                strong(
                    f"{counted(len(tests), 'test')}: {len(tests) - len(failed) - skipped} passed, "
                    f"{len(failed)} failed, {skipped} skipped."
                )
            )
        ),
        table(
            "Tests as they ran",
            (("Test", 68), ("Result", 14), ("Duration", 18)),
            (
                (
                    line(
                        Reference(test.id, anchor_of(test.id)) if _failed(test) else code(test.id)
                    ),
                    _test_word(test),
                    _seconds(test.duration_ms),
                )
                for test in tests
            ),
        ),
    ]
    if failed:
        blocks.append(Heading(2, "Failed tests"))
    for test in failed:
        blocks.append(Heading(3, test.id, anchor_of(test.id)))
        blocks += _output(test.detail)
    return tuple(blocks)


def _repairs(verification: Verification) -> tuple[Block, ...]:
    if not verification.attempts:
        return (Heading(1, "Repairs"), Paragraph(line("No repair was made.")))
    changed = [file.path for file in verification.repairs]
    made = f"{counted(len(verification.attempts), 'repair')} {_were(verification.attempts)} made. "
    delivered: Line = (
        (
            *line("The delivered code holds these files as they were written again: "),
            *joined([code(path) for path in changed]),
            Text("."),
        )
        if changed
        else line("No file of the delivered code was changed by them.")
    )
    return (
        Heading(1, "Repairs"),
        Paragraph((*line(made), *delivered)),
        table(
            "Repairs, in order",
            (("No.", 8), ("Failed stage", 14), ("Failure", 44), ("Files written again", 34)),
            (
                (
                    str(attempt.number),
                    words(attempt.failed_check),
                    attempt.signature,
                    stacked(attempt.changed_paths, code),
                )
                for attempt in verification.attempts
            ),
        ),
    )


def _were(items: Sequence[object]) -> str:
    return "was" if len(items) == 1 else "were"


def _traceability(matrix: Sequence[TraceRow], tests: Sequence[TestCase]) -> tuple[Block, ...]:
    if not matrix:
        return (Heading(1, "Traceability"), Paragraph(line("No requirement was traced.")))
    counts = Counter(row.status for row in matrix)
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    failed = {test.id for test in tests if _failed(test)}

    def shown(test: str) -> Inline:
        return Reference(test, anchor_of(test)) if test in failed else code(test)

    return (
        Heading(1, "Traceability"),
        Paragraph(
            line(
                f"{counted(len(matrix), 'requirement')}: {summary}. A requirement has passed only "
                "when at least one test names it and every test that does was run and passed."
            )
        ),
        table(
            "From requirement to test",
            (
                ("Requirement", 23),
                ("Use cases", 11),
                ("Files and symbols", 27),
                ("Tests", 27),
                ("Status", 12),
            ),
            (
                (
                    line(strong(row.requirement_id), f" {row.title} ({row.priority})"),
                    stacked(row.use_case_ids, Text),
                    _files_and_symbols(row),
                    stacked(row.tests, shown),
                    line(strong(row.status.upper()) if row.status != "passed" else row.status),
                )
                for row in matrix
            ),
        ),
    )


def _files_and_symbols(row: TraceRow) -> Line:
    if not row.files:
        return line("—")
    named = joined([code(symbol) for symbol in row.symbols])
    return (
        *stacked(row.files, code),
        *((Break(), *line("Symbols: "), *named) if row.symbols else ()),
    )


def _commands(verification: Verification) -> tuple[Block, ...]:
    delivered = [
        (label, check)
        for name, label in ((CheckName.START, "Start"), (CheckName.TEST, "Test"))
        for check in verification.checks
        if check.name is name
    ]
    return (
        Heading(1, "Commands and conditions"),
        Bullets(
            tuple(
                line(strong(f"{label}: "), code(shlex.join(check.command)))
                for label, check in delivered
            )
        )
        if delivered
        else Paragraph(line("No start or test command was run.")),
        Paragraph(line(strong("Isolation: "), verification.isolation or "None recorded.")),
    )


def _all_tests(checks: Sequence[CheckRun]) -> list[TestCase]:
    return [test for check in checks for test in check.tests]


def _any_passed(checks: Sequence[CheckRun]) -> bool:
    return any(test.passed and not test.skipped for test in _all_tests(checks))


def _failed(test: TestCase) -> bool:
    return not test.passed and not test.skipped


def _test_word(test: TestCase) -> str:
    return "Skipped" if test.skipped else _result_word(test.passed)


def _result_word(passed: bool) -> str:
    return "Passed" if passed else "FAILED"


def _ending(check: CheckRun) -> str:
    code_ = "" if check.exit_code is None else f" with exit code {check.exit_code}"
    return f"{words(check.outcome).lower()}{code_}"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f} s" if milliseconds < 60_000 else f"{milliseconds // 1000} s"
