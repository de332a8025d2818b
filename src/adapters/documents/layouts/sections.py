"""Pieces that every layout is built from."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from adapters.documents.blocks import (
    Block,
    Break,
    Bullets,
    Heading,
    Inline,
    Line,
    Note,
    Paragraph,
    Reference,
    Table,
    anchor_of,
    code,
    line,
    strong,
)
from domain.agents.findings import Finding, Severity

NONE_STATED = "None stated."
FINDINGS_ANCHOR = "known-findings"

_T = TypeVar("_T")


def prose(text: str) -> tuple[Paragraph, ...]:
    """Written text as paragraphs: an empty line parts them, a single one does not."""
    parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    paragraphs = tuple(Paragraph(line(part)) for part in parts if part)
    return paragraphs or (Paragraph(line(NONE_STATED)),)


def bullets(items: Iterable[str]) -> Block:
    """A list, or the open statement that there is nothing in it."""
    lines = tuple(line(item) for item in items if item.strip())
    return Bullets(lines) if lines else Paragraph(line(NONE_STATED))


def table(
    caption: str, columns: Sequence[tuple[str, int]], rows: Iterable[Sequence[str | Line]]
) -> Block:
    """A table, or the open statement that it would be empty. Columns are (header, width)."""
    cells = tuple(
        tuple(line(cell) if isinstance(cell, str) else cell for cell in row) for row in rows
    )
    if not cells:
        return Paragraph(line(NONE_STATED))
    header, widths = zip(*columns, strict=True)
    return Table(caption=caption, header=header, rows=cells, widths=widths)


def references(ids: Iterable[str]) -> Line:
    """Identifiers, each leading to where it is defined, or a dash for none."""
    return joined([Reference(id_, anchor_of(id_)) for id_ in ids])


def stacked(items: Iterable[_T], show: Callable[[_T], Inline]) -> Line:
    """One item under the other, or a dash for none."""
    shown: list[Inline] = []
    for item in items:
        shown += [*([Break()] if shown else []), show(item)]
    return tuple(shown) or line("—")


def joined(parts: Sequence[Inline]) -> Line:
    """Inlines with commas between them, or a dash for none."""
    words: list[str | Inline] = []
    for part in parts:
        words += [*([", "] if words else []), part]
    return line(*words) or line("—")


def counted(number: int, singular: str) -> str:
    """``1 test``, ``2 tests``."""
    return f"{number} {singular if number == 1 else singular + 's'}"


def words(value: str) -> str:
    """An enum's value as words: ``long_text`` as ``Long text``."""
    return value.replace("_", " ").capitalize()


def findings_note(findings: Sequence[Finding]) -> tuple[Note, ...]:
    """What the cover says of open findings: how many, and where they are."""
    if not findings:
        return ()
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    return (
        Note(
            line(
                strong("Known findings. "),
                f"Review left {counted(len(findings), 'finding')} open, {errors} of them "
                f"{'an error' if errors == 1 else 'errors'}: see ",
                Reference("Known findings", FINDINGS_ANCHOR),
                ".",
            )
        ),
    )


def findings_section(findings: Sequence[Finding]) -> tuple[Block, ...]:
    """What review found and could not have corrected; nothing where it found nothing."""
    if not findings:
        return ()
    order = {Severity.ERROR: 0, Severity.WARNING: 1}
    ranked = sorted(findings, key=lambda finding: order[finding.severity])
    return (
        Heading(1, "Known findings", FINDINGS_ANCHOR),
        Paragraph(
            line(
                "The checks on this document's content found what is listed here, and it was "
                "not corrected. Errors break a rule that the content has to keep; warnings "
                "are worth a look."
            )
        ),
        table(
            "Findings of the review",
            (("Severity", 12), ("Where", 23), ("Finding", 45), ("Check", 20)),
            (
                (
                    words(finding.severity),
                    line(Reference(finding.subject, anchor_of(finding.subject))),
                    finding.message,
                    line(code(finding.code)),
                )
                for finding in ranked
            ),
        ),
    )
