"""What a deterministic check found, and whether it sends the work back."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Whether a finding sends the artifact back, or is only recorded."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a check found: what (``code``), where (``subject``), and what to do."""

    code: str
    severity: Severity
    subject: str
    message: str


def error(code: str, subject: str, message: str) -> Finding:
    """A finding that sends the artifact back; ``message`` says what to do."""
    return Finding(code=code, severity=Severity.ERROR, subject=subject, message=message)


def warning(code: str, subject: str, message: str) -> Finding:
    """A finding that is only recorded."""
    return Finding(code=code, severity=Severity.WARNING, subject=subject, message=message)


def sends_back(findings: Iterable[Finding]) -> bool:
    """Whether any of ``findings`` is an error."""
    return any(finding.severity is Severity.ERROR for finding in findings)
