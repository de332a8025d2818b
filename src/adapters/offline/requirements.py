"""Composes the software requirements: each behaviour as one statement with its checks."""

import re
from collections.abc import Iterator

from adapters.offline.behaviours import Behaviour, Kind, behaviours
from adapters.offline.english.inflection import in_sentence, joined
from adapters.offline.statements import label, said
from adapters.offline.use_cases import compose_use_cases
from domain.agents.artifacts import (
    Idea,
    IdeaBrief,
    Priority,
    QualityRequirement,
    Requirement,
    Requirements,
    Term,
)


def compose_requirements(idea: Idea, brief: IdeaBrief) -> Requirements:
    """The requirements of the system that ``brief`` describes."""
    found = behaviours(brief)
    functional = tuple(
        _requirement(f"FR-{number}", behaviour, brief)
        for number, behaviour in enumerate(found, start=1)
    )
    kept = joined([in_sentence(entity.plural) for entity in brief.entities])
    return Requirements(
        title=brief.title,
        purpose=f"This specification says what {brief.title} does, so that it can be built,"
        " checked and accepted without asking its author again.",
        scope=f"The system keeps {kept}, shows them as pages to people and as JSON to programs,"
        f" and serves {joined([in_sentence(actor.name) for actor in brief.actors])}."
        f" Outside it: {' '.join(brief.out_of_scope)}",
        functional=functional,
        quality=_quality(brief),
        use_cases=compose_use_cases(brief, found, functional),
        interfaces=tuple(_interfaces(brief)),
        constraints=_CONSTRAINTS,
        glossary=tuple(_glossary(brief)),
    )


def requirement_ids(brief: IdeaBrief, requirements: Requirements) -> dict[Behaviour, str]:
    """Which requirement asks for which behaviour; a behaviour nobody asks for is not there.

    A requirement is known by its title; one whose title was edited, by its number.
    """
    by_title = {requirement.title: requirement.id for requirement in requirements.functional}
    ids = {requirement.id for requirement in requirements.functional}
    found: dict[Behaviour, str] = {}
    expected = behaviours(brief)
    spoken_for = {by_title[b.title] for b in expected if b.title in by_title}
    for number, behaviour in enumerate(expected, start=1):
        id = by_title.get(behaviour.title, f"FR-{number}")
        if behaviour.title in by_title or (id in ids and id not in spoken_for):
            found[behaviour] = id
    return found


def _requirement(id: str, behaviour: Behaviour, brief: IdeaBrief) -> Requirement:
    statement, rationale, acceptance = said(behaviour, brief)
    return Requirement(
        id=id,
        title=behaviour.title,
        statement=statement,
        priority=_priority(behaviour, brief),
        rationale=rationale,
        acceptance=acceptance,
    )


def _priority(behaviour: Behaviour, brief: IdeaBrief) -> Priority:
    if behaviour.kind in (Kind.DELETE, Kind.UNIQUE, Kind.ORDER, Kind.DEADLINE):
        return Priority.SHOULD
    if behaviour.kind is Kind.OVERVIEW:
        return Priority.COULD
    if behaviour.kind is Kind.RELATE:
        required = any(
            r.required
            for r in brief.relations
            if r.source == behaviour.entity and r.name == behaviour.relation
        )
        return Priority.MUST if required else Priority.SHOULD
    return Priority.MUST


def _quality(brief: IdeaBrief) -> tuple[QualityRequirement, ...]:
    """Qualities by the characteristics of ISO/IEC 25010, each with its measure."""
    many = in_sentence(brief.entities[0].plural)
    records = max([1000, *_expected_numbers(brief)])
    said_of = (
        (
            "Performance efficiency",
            (
                f"The system shall answer a request for a page of {many} while"
                f" {records:,} of them are stored."
            ),
            (
                "95 of 100 such requests are answered within 1 second on a computer with"
                f" 2 cores, with {records:,} stored records."
            ),
        ),
        (
            "Reliability",
            ("The system shall keep every stored record when it is stopped and started again."),
            ("100 of 100 records stored before a restart are read back unchanged after it."),
        ),
        (
            "Reliability",
            "The system shall finish the requests under way when it is asked to stop.",
            ("0 requests are cut off by SIGTERM, and the process ends within 15 seconds."),
        ),
        (
            "Security",
            "The system shall show markup in stored values as text.",
            "0 of the pages run a script that was stored in a field.",
        ),
        (
            "Security",
            "The system shall refuse a change that another site asks for.",
            "100 % of form posts whose origin is another site are answered with 403.",
        ),
        (
            "Security",
            "The system shall refuse a request body above its limit.",
            ("A body above 1,048,576 bytes is answered with 413, and 0 bytes of it are stored."),
        ),
        (
            "Usability",
            (
                "The system shall give every control of a form a label and every refused"
                " value a sentence beside it."
            ),
            (
                "100 % of the controls have a label, and a refused form is answered with"
                " 422 and 1 sentence for each refused field."
            ),
        ),
        (
            "Usability",
            "The system shall fit its pages to narrow windows.",
            (
                "At a width of 320 CSS pixels 0 pages need scrolling in two directions"
                " (WCAG 2.2, 1.4.10)."
            ),
        ),
        (
            "Portability",
            "The system shall run from its folder without installed packages.",
            ("0 packages beside the standard library of Python 3.11 or newer are imported."),
        ),
        (
            "Maintainability",
            "The system shall come with tests of its requirements.",
            "1 command runs all tests, in less than 60 seconds, with 0 failures.",
        ),
    )
    return tuple(
        QualityRequirement(
            id=f"NFR-{number}", category=category, statement=statement, measure=measure
        )
        for number, (category, statement, measure) in enumerate(said_of, start=1)
    )


def _expected_numbers(brief: IdeaBrief) -> Iterator[int]:
    """Numbers of records that the idea speaks of, as the assumptions repeat them."""
    for assumption in brief.assumptions:
        match = re.fullmatch(r"The idea speaks of ([\d,]+) [a-z]+\.", assumption)
        if match and (number := int(match[1].replace(",", ""))) <= 100_000:
            yield number


def _interfaces(brief: IdeaBrief) -> Iterator[str]:
    yield "Pages in HTML for people, with forms that work without JavaScript."
    yield (
        "A JSON API under /api, a collection for each kind of record: GET and"
        " POST on the collection; GET, PUT, PATCH and DELETE on one record."
    )
    yield "GET /health answers 200 while the database can be read."
    yield "The environment variables PORT (8080 unless set) and DATA_DIR (./data unless set)."


_CONSTRAINTS = (
    "Python 3.11 or newer, with its standard library alone.",
    "One SQLite database file in DATA_DIR, with foreign keys enforced.",
    "The program listens on 127.0.0.1 only; whoever wants it elsewhere puts a proxy before it.",
    "Dates are written YYYY-MM-DD (ISO 8601); texts are UTF-8.",
)


def _glossary(brief: IdeaBrief) -> Iterator[Term]:
    for entity in brief.entities:
        facts = joined([label(field) for field in entity.fields])
        kept = f" Kept with its {facts}." if facts else ""
        yield Term(term=entity.name, meaning=f"{entity.description}{kept}")
    names = {entity.name for entity in brief.entities}
    for actor in brief.actors:
        if actor.name not in names:
            yield Term(term=actor.name, meaning=actor.description)
