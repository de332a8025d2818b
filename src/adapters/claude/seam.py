"""Joining the parts of an answer that was cut at its token limit.

A model asked to go on from the cut sometimes repeats the last words, begins anew, opens a
code fence or adds a remark. What it repeats is trimmed here, so that the parts joined are
the whole answer and nothing twice.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

LONG_OVERLAP: Final = 16
"""So many repeated characters, not all alike, are taken for a repetition, not a chance."""

_WINDOW: Final = 8_192
_FENCE = re.compile(r"\s*```[a-z]*[ \t]*\n")


def continuation(before: str, part: str, *, whole: bool) -> str:
    """What of ``part`` is to be appended to ``before``.

    ``whole`` says that the answer ends with this part: then the joined text should be
    one JSON value, which decides about overlaps too short to be sure of, and anything
    after that value is dropped.
    """
    # A line break followed by a fence cannot stand inside a JSON value: its strings
    # have their line breaks escaped.
    part = _FENCE.sub("", part, count=1) if _FENCE.match(part) else part
    long = _long_overlap(before, part)
    if long:
        part = part[long:]
    if not whole:
        return part
    if long == 0:
        for short in (0, *_short_overlaps(before, part)):
            end = _value_end(before + part[short:])
            if end is not None:
                return (before + part[short:])[len(before) : end]
        return part
    end = _value_end(before + part)
    return part if end is None else (before + part)[len(before) : end]


def _long_overlap(before: str, part: str) -> int:
    """The length of the longest start of ``part`` that ends ``before``, if it is long."""
    if before and part.startswith(before):
        return len(before)
    seed = part[:LONG_OVERLAP]
    # A run of blanks or dashes continues as often as it repeats: no evidence.
    if len(seed) < LONG_OVERLAP or len(set(seed)) < 4:
        return 0
    start = before.find(seed, max(0, len(before) - _WINDOW))
    while start != -1:
        if part.startswith(before[start:]):
            return len(before) - start
        start = before.find(seed, start + 1)
    return 0


def _short_overlaps(before: str, part: str) -> Iterator[int]:
    for length in range(min(LONG_OVERLAP, len(before), len(part)), 0, -1):
        if before.endswith(part[:length]):
            yield length


def _value_end(text: str) -> int | None:
    """Where the JSON value that ``text`` begins with ends; None when it is not whole."""
    start = len(text) - len(text.lstrip())
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None
