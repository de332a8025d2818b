"""A stable name for a failure, so that the repair loop knows when it is getting nowhere.

Two runs of one defect differ in what the machine adds: the time, ports, process and object
ids, temporary folders, durations. Line numbers are left out too: a repair that only moves
the defect has not changed it.
"""

import hashlib
import re
from collections.abc import Iterable

from domain.agents.artifacts import CheckRun, TestCase

_HEAD_LENGTH = 120
_TAIL_LINES = 40


def failure_signature(check: CheckRun) -> str:
    """Name the failure of ``check``: a readable head and a hash, e.g. ``… [3f2a9c0d1e4b5a67]``.

    Failed tests decide, each by its id and the error it ended with, in any order. Where
    no test failed by name, the errors in the output decide, or else its last lines.
    """
    failed = sorted((t for t in check.tests if not t.passed and not t.skipped), key=lambda t: t.id)
    evidence = [_test_evidence(test) for test in failed] or [_output_evidence(check.output)]
    code = "-" if check.exit_code is None else str(check.exit_code)
    facts = "\n".join([check.name, check.outcome, code, *evidence])
    digest = hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    more = f" (+{len(evidence) - 1} more)" if len(evidence) > 1 else ""
    head = " ".join(evidence[0].split()) or check.outcome
    return f"{check.name}: {_cut(head)}{more} [{digest}]"


def normalised(output: str) -> str:
    """``output`` without what differs from one run of the same failure to the next."""
    for pattern, replacement in _VOLATILE:
        output = pattern.sub(replacement, output)
    return "\n".join(line.rstrip() for line in output.splitlines() if line.strip())


# In this order: what contains another (a timestamp contains a time) comes first. The text
# is hostile: no pattern may read an unbounded run twice, or a long one takes minutes.
_VOLATILE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\x1b\[[0-9;?]*[ -/]*[@-~]", ""),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?( ?(Z|[+-]\d\d:?\d\d))?", "<time>"),
        (r"\d\d/[A-Z][a-z]{2}/\d{4}[: ]\d\d:\d\d:\d\d( [+-]\d{4})?", "<time>"),
        (r"\b\d\d:\d\d:\d\d([.,]\d+)?\b", "<time>"),
        (r"(?i)\b[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\b", "<id>"),
        (r"\b0x[0-9a-fA-F]+\b", "<address>"),
        # A run of hex with at least one digit: 'deadbeef' may be a word, '3f9ac01b' is not.
        (r"\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,}\b", "<id>"),
        (r"(/private)?/var/folders(/[^/\s\"']+){3}(/tmp[a-z0-9_]+)?", "<tmp>"),
        (r"(/var)?/tmp(/[^/\s\"':,)]+)", "<tmp>"),
        (r"\btmp[a-z0-9_]{8}\b", "<tmp>"),
        (r"\b(\d{1,3}(?:\.\d{1,3}){3}|localhost|\[::1?\]):\d{2,5}\b", r"\1:<port>"),
        (r"((?:'\d{1,3}(?:\.\d{1,3}){3}'|'localhost'|'::1?'|''), ?)\d{1,5}\b", r"\1<port>"),
        (r"(?i)\b(port['\"]? ?[=:]? ?)\d{1,5}\b", r"\1<port>"),
        (r"(?i)\b((?:pid|process|thread|tid)['\"]?(?: id)? ?[=:#-]? ?)\d+\b", r"\1<id>"),
        (r"(?i)\b((?:\w+_)?id['\"]? ?[=:] ?)['\"]?\d+\b['\"]?", r"\1<id>"),
        (r"(?i)\b\d+(\.\d+)?\s?(ns|us|µs|ms|s|secs?|seconds?|minutes?)\b", "<duration>"),
        (r"(?i)\b(lines? )\d+(-\d+)?\b", r"\1<line>"),
        (r"(\.\w{1,4}):\d+(:\d+)?\b", r"\1:<line>"),
    )
)

_ERROR_LINE = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning|Failure)\b")


def _test_evidence(test: TestCase) -> str:
    lines = normalised(test.detail).splitlines()
    ends = [number for number, line in enumerate(lines) if _ERROR_LINE.match(line)]
    # From the last error on: assertion messages go on with what differs.
    return "\n".join([test.id, *(lines[ends[-1] :] if ends else lines[-1:])])


def _output_evidence(output: str) -> str:
    lines = normalised(output).splitlines()
    errors = [line for line in lines if _ERROR_LINE.match(line)]
    return "\n".join(_once(errors) if errors else lines[-_TAIL_LINES:])


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def _cut(text: str) -> str:
    return text if len(text) <= _HEAD_LENGTH else f"{text[: _HEAD_LENGTH - 3]}..."
