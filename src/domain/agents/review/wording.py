"""Words that make a requirement impossible to verify, and where that is said.

Sources: ISO/IEC/IEEE 29148:2018 §5.2.7 (its classes are the values of :class:`Vagueness`)
and the INCOSE Guide to Writing Requirements, rules R7 (vague terms), R8 (escape clauses),
R9 (open-ended clauses), R10 (superfluous infinitives) and R26 (unachievable absolutes).

Left out on purpose, though both list them: ``all``, ``every``, ``always``, ``any``, ``or``,
``it``, ``this``. They are mostly right in plain sentences (``list all open loans``), and a
check that is wrong half of the time teaches people to ignore it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain.agents.findings import Finding, Severity


class Vagueness(StrEnum):
    """Why a term cannot be verified."""

    SUPERLATIVE = "superlative"
    SUBJECTIVE = "subjective language"
    AMBIGUOUS = "ambiguous term"
    OPEN_ENDED = "open-ended term"
    COMPARATIVE = "comparison without a figure"
    LOOPHOLE = "loophole"
    ABSOLUTE = "unachievable absolute"
    SUPERFLUOUS = "superfluous infinitive"


@dataclass(frozen=True, slots=True)
class VagueTerms:
    """Terms of one class, with what to write instead."""

    vagueness: Vagueness
    severity: Severity
    remedy: str
    terms: tuple[str, ...]


VAGUE_TERMS: tuple[VagueTerms, ...] = (
    VagueTerms(
        Vagueness.SUPERLATIVE,
        Severity.ERROR,
        "give the figure to be reached",
        (
            "best possible", "as fast as possible", "as soon as possible", "state of the art",
            "state-of-the-art", "world-class", "cutting-edge", "best-in-class", "maximum possible",
        ),
    ),
    VagueTerms(
        Vagueness.SUBJECTIVE,
        Severity.ERROR,
        "say what a user does, in how many steps or seconds",
        (
            "user friendly", "user-friendly", "easy to use", "easy-to-use", "easy", "easily",
            "simple", "intuitive", "intuitively", "cost effective", "cost-effective", "convenient",
            "conveniently", "seamless", "seamlessly", "smooth", "smoothly", "elegant",
            "attractive", "beautiful", "nice", "good", "modern", "powerful", "effortless",
            "effortlessly", "hassle-free", "pleasant",
        ),
    ),
    VagueTerms(
        Vagueness.AMBIGUOUS,
        Severity.ERROR,
        "give a number with its unit, or name the exact behaviour",
        (
            "fast", "quick", "quickly", "rapid", "rapidly", "prompt response", "promptly",
            "efficient", "efficiently", "effective", "effectively", "robust", "robustly",
            "flexible", "flexibly", "scalable", "reliable", "reliably", "adequate", "adequately",
            "sufficient", "sufficiently", "reasonable", "reasonably", "significant",
            "significantly", "minimal", "almost always", "very nearly", "approximately",
            "proper", "properly", "correctly", "suitable", "suitably", "acceptable", "timely",
            "in a timely manner", "near real-time", "high performance", "high-performance",
            "as expected", "normally", "usually", "generally", "often",
        ),
    ),
    VagueTerms(
        Vagueness.AMBIGUOUS,
        Severity.WARNING,
        "name which ones, or give the number",
        (
            "several", "various", "a few", "a lot of", "lots of", "numerous", "some kind of",
            "relevant", "typical", "customary", "and/or", "close to",
        ),
    ),
    VagueTerms(
        Vagueness.OPEN_ENDED,
        Severity.ERROR,
        "list what is meant, completely",
        (
            "provide support", "but not limited to", "including but not limited to",
            "as a minimum", "etc", "and so on", "and so forth", "and more", "to be determined",
            "to be defined", "to be confirmed", "tbd", "tbc", "and others", "among others",
        ),
    ),
    VagueTerms(
        Vagueness.COMPARATIVE,
        Severity.ERROR,
        "compare with a figure",
        (
            "better than", "higher quality", "faster than", "more efficient", "improved",
            "easier than", "enhanced",
        ),
    ),
    VagueTerms(
        Vagueness.LOOPHOLE,
        Severity.ERROR,
        "state the condition, or drop the escape",
        (
            "if possible", "where possible", "when possible", "whenever possible",
            "as much as possible", "as little as possible", "as far as possible",
            "so far as is possible", "as appropriate", "if appropriate", "where appropriate",
            "as applicable", "if applicable", "where applicable", "as needed", "if needed",
            "when needed", "as necessary", "if necessary", "where necessary", "when necessary",
            "as required", "if required", "if practicable", "if feasible",
            "to the extent practical", "to the extent necessary", "appropriate", "appropriately",
        ),
    ),
    VagueTerms(
        Vagueness.ABSOLUTE,
        Severity.ERROR,
        "give the share or the period that can be measured",
        ("at all times", "zero downtime", "never fail", "never fails", "bug-free", "error-free"),
    ),
    VagueTerms(
        Vagueness.SUPERFLUOUS,
        Severity.WARNING,
        "say directly what the system does",
        ("be able to", "be capable of", "be designed to"),
    ),
)  # fmt: skip


def plain(text: str, own_words: Iterable[str] = ()) -> str:
    """``text`` without what it only mentions: quotations, code, and the domain's own words.

    ``own_words`` are names the brief chose (``Fast Food Order``): they name, not promise.
    """
    for pattern in _MENTIONS:
        text = pattern.sub(" ", text)
    for words in sorted({w.strip() for w in own_words if w.strip()}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(words)}(?:e?s)?(?!\w)", " ", text, flags=re.IGNORECASE)
    return text


def vague_terms(text: str, own_words: Iterable[str] = ()) -> tuple[tuple[str, VagueTerms], ...]:
    """The banned terms in ``text``, each once, in their order, with their class."""
    seen: dict[str, VagueTerms] = {}
    for match in _ANY_TERM.finditer(plain(text, own_words)):
        term = " ".join(match.group().lower().split())
        seen.setdefault(term, _CLASS_OF[term])
    return tuple(seen.items())


def check_wording(
    subject: str, text: str, own_words: Iterable[str] = (), *, only_warn: bool = False
) -> Iterator[Finding]:
    """A finding for each banned term in ``text``."""
    for term, kind in vague_terms(text, own_words):
        yield Finding(
            code="vague_wording",
            severity=Severity.WARNING if only_warn else kind.severity,
            subject=subject,
            message=f"Replace '{term}' ({kind.vagueness}): {kind.remedy}.",
        )


def shall_count(text: str) -> int:
    """How often ``text`` obliges: the word *shall* outside quotations and code."""
    return len(re.findall(r"(?i)\bshall\b", plain(text)))


def has_number(text: str) -> bool:
    """Whether ``text`` holds a figure that is not part of an identifier such as ``FR-1``."""
    return re.search(r"(?<![\w-])[<>≤≥~±₹$€£]?\s?\d", _IDENTIFIER.sub(" ", text)) is not None


_IDENTIFIER = re.compile(r"\b(?:N?FR|UC|F)-\d+\b")

# Single quotes count only as a pair around words: an apostrophe opens nothing.
_MENTIONS = tuple(
    re.compile(pattern)
    for pattern in (
        r"`[^`]*`",
        r'"[^"\n]*"',
        r"“[^”\n]*”",
        r"«[^»\n]*»",
        r"(?<!\w)\u2018[^\u2019\n]*\u2019(?!\w)",
        r"(?<!\w)'[^'\n]*'(?!\w)",
        r"\b\w*_\w*\b",
        r"https?://\S+",
    )
)

_CLASS_OF = {term: kind for kind in VAGUE_TERMS for term in kind.terms}
# Longest first, so that "easy to use" is not reported as "easy". A hyphen, dot or slash on
# either side makes it a part of some other word or of a path.
_ANY_TERM = re.compile(
    r"(?<![\w/.@-])(?:"
    + "|".join(
        re.escape(term).replace(r"\ ", r"\s+") for term in sorted(_CLASS_OF, key=len, reverse=True)
    )
    + r")(?![\w/@-]|\.\w)",
    re.IGNORECASE,
)
