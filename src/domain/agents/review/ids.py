"""Identifiers: well formed, one of each, and pointing at something."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from domain.agents.findings import Finding, error


def check_ids(ids: Iterable[str], prefix: str) -> Iterator[Finding]:
    """Each id is ``prefix``, a hyphen and a number, and stands once."""
    counts = Counter(ids)
    for identifier, count in counts.items():
        if not re.fullmatch(rf"{prefix}-[0-9]+", identifier):
            yield error("malformed_id", identifier, f"Write the id as {prefix}-1, {prefix}-2, …")
        if count > 1:
            yield error("duplicate_id", identifier, f"{count} have this id; number them apart.")


def check_references(subject: str, ids: Iterable[str], known: Collection[str]) -> Iterator[Finding]:
    """Each of ``ids`` is one of ``known``."""
    for identifier in dict.fromkeys(ids):
        if identifier not in known:
            yield error(
                "unknown_id", subject, f"{identifier} does not exist; refer to one that does."
            )


def check_text(subject: str, **texts: str) -> Iterator[Finding]:
    """Each text, named by its field, says something."""
    for field, text in texts.items():
        if not text.strip():
            yield error("empty_text", subject, f"Fill in the {field.replace('_', ' ')}.")


def check_unique_names(what: str, names: Iterable[str]) -> Iterator[Finding]:
    """No two names are the same to a reader: case and outer spaces do not tell apart."""
    counts = Counter(name.strip().casefold() for name in names)
    for name, count in counts.items():
        if count > 1:
            yield error("duplicate_name", name, f"{count} {what} have this name; keep one.")
