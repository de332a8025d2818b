"""The software requirements specification, after ISO/IEC/IEEE 29148:2018 §9.6."""

from collections.abc import Iterable

from adapters.documents.blocks import (
    Block,
    Definitions,
    Heading,
    Label,
    Line,
    Numbered,
    Paragraph,
    Reference,
    anchor_of,
    line,
    strong,
)
from adapters.documents.layouts.sections import (
    NONE_STATED,
    bullets,
    counted,
    joined,
    prose,
    references,
    table,
    words,
)
from domain.agents.artifacts import (
    Acceptance,
    Priority,
    QualityRequirement,
    Requirement,
    Requirements,
    UseCase,
)


def lay_out(requirements: Requirements) -> tuple[Block, ...]:
    """Introduction, description, use cases, requirements, then how each is verified."""
    return (
        *_introduction(requirements),
        *_description(requirements),
        Heading(1, "Use cases"),
        *(_each(_use_case(case) for case in requirements.use_cases)),
        Heading(1, "Functional requirements"),
        table(
            "Functional requirements",
            (("Id", 14), ("Requirement", 66), ("Priority", 20)),
            ((references([r.id]), r.title, words(r.priority)) for r in requirements.functional),
        ),
        *(_each(_functional(requirement) for requirement in requirements.functional)),
        Heading(1, "Quality requirements"),
        *(_each(_quality(requirement) for requirement in requirements.quality)),
        Heading(1, "External interfaces"),
        bullets(requirements.interfaces),
        *_verification(requirements),
    )


def _each(groups: Iterable[tuple[Block, ...]]) -> tuple[Block, ...]:
    blocks = tuple(block for group in groups for block in group)
    return blocks or (Paragraph(line(NONE_STATED)),)


def _introduction(requirements: Requirements) -> tuple[Block, ...]:
    return (
        Heading(1, "Introduction"),
        Heading(2, "Purpose"),
        *prose(requirements.purpose),
        Heading(2, "Scope"),
        *prose(requirements.scope),
        Heading(2, "Glossary"),
        Definitions(tuple((term.term, line(term.meaning)) for term in requirements.glossary))
        if requirements.glossary
        else Paragraph(line(NONE_STATED)),
        Heading(2, "Conventions"),
        Paragraph(
            line(
                "A requirement is one sentence with one ",
                strong("shall"),
                ". It has an identifier that does not change: FR for functional and NFR for "
                "quality requirements, UC for use cases. Priorities are must, should and "
                "could. A requirement is met when each of its acceptance criteria is observed.",
            )
        ),
        Heading(2, "References"),
        bullets(
            (
                "ISO/IEC/IEEE 29148:2018, Systems and software engineering: Life cycle "
                "processes: Requirements engineering.",
                "ISO/IEC 25010, Systems and software quality models: the categories of the "
                "quality requirements.",
            )
        ),
    )


def _description(requirements: Requirements) -> tuple[Block, ...]:
    actors = dict.fromkeys(case.actor for case in requirements.use_cases)
    return (
        Heading(1, "Overall description"),
        Heading(2, "Actors"),
        table(
            "Actors and their use cases",
            (("Actor", 30), ("Use cases", 70)),
            (
                (actor, _titled([c for c in requirements.use_cases if c.actor == actor]))
                for actor in actors
            ),
        ),
        Heading(2, "Constraints"),
        bullets(requirements.constraints),
    )


def _titled(cases: list[UseCase]) -> Line:
    return joined([Reference(f"{case.id} {case.title}", anchor_of(case.id)) for case in cases])


def _use_case(case: UseCase) -> tuple[Block, ...]:
    return (
        Heading(2, f"{case.id} {case.title}", anchor_of(case.id)),
        Definitions(
            (
                ("Actor", line(case.actor)),
                ("Requirements", references(case.requirement_ids)),
            )
        ),
        *_labelled("Preconditions", bullets(case.preconditions)),
        *_labelled(
            "Main flow",
            Numbered(tuple(line(step) for step in case.main_flow))
            if case.main_flow
            else Paragraph(line(NONE_STATED)),
        ),
        *_labelled("Alternate flows", bullets(case.alternate_flows)),
        *_labelled("Postconditions", bullets(case.postconditions)),
    )


def _labelled(label: str, block: Block) -> tuple[Block, ...]:
    return (Label(label), block)


def _functional(requirement: Requirement) -> tuple[Block, ...]:
    return (
        Heading(2, f"{requirement.id} {requirement.title}", anchor_of(requirement.id)),
        *prose(requirement.statement),
        Definitions(
            (
                ("Priority", line(words(requirement.priority))),
                ("Rationale", line(requirement.rationale or NONE_STATED)),
            )
        ),
        *_labelled(
            "Acceptance criteria",
            Numbered(tuple(_criterion(acceptance) for acceptance in requirement.acceptance))
            if requirement.acceptance
            else Paragraph(line(NONE_STATED)),
        ),
    )


def _criterion(acceptance: Acceptance) -> Line:
    return line(
        strong("Given "),
        _clause(acceptance.given),
        ", ",
        strong("when "),
        _clause(acceptance.when),
        ", ",
        strong("then "),
        _clause(acceptance.then),
        ".",
    )


def _clause(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _quality(requirement: QualityRequirement) -> tuple[Block, ...]:
    return (
        Heading(2, f"{requirement.id} {requirement.category}", anchor_of(requirement.id)),
        *prose(requirement.statement),
        Definitions((("Measure", line(requirement.measure or NONE_STATED)),)),
    )


def _verification(requirements: Requirements) -> tuple[Block, ...]:
    cases: dict[str, list[str]] = {}
    for case in requirements.use_cases:
        for id_ in case.requirement_ids:
            cases.setdefault(id_, []).append(case.id)
    musts = [r for r in requirements.functional if r.priority is Priority.MUST]
    bare = [r.id for r in musts if r.id not in cases]
    covered = (
        f"{len(musts) - len(bare)} of {counted(len(musts), 'must-have requirement')} "
        "appear in at least one use case."
    )
    missing = (line(" Not in any: "), references(bare), line(".")) if bare else ()
    functional = (
        (
            references([r.id]),
            r.title,
            words(r.priority),
            references(cases.get(r.id, ())),
            counted(len(r.acceptance), "acceptance test"),
        )
        for r in requirements.functional
    )
    quality = (
        (
            references([r.id]),
            r.category,
            "—",
            references(cases.get(r.id, ())),
            "Measurement",
        )
        for r in requirements.quality
    )
    return (
        Heading(1, "Verification"),
        Paragraph(
            line(
                "A functional requirement is verified by a test of each of its acceptance "
                "criteria, a quality requirement by measuring what it states. The results are "
                "in the verification report; this document claims none."
            )
        ),
        Heading(2, "Traceability"),
        Paragraph((*line(covered), *(part for words_ in missing for part in words_))),
        table(
            "Requirements, use cases and how they are verified",
            (
                ("Id", 13),
                ("Requirement", 33),
                ("Priority", 13),
                ("Use cases", 16),
                ("Verified by", 25),
            ),
            (*functional, *quality),
        ),
    )
