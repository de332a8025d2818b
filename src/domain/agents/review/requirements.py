"""Checks of software requirements, after ISO/IEC/IEEE 29148:2018 §5.2.5 to §5.2.7."""

from collections import Counter
from collections.abc import Iterator

from domain.agents.artifacts import IdeaBrief, Priority, Requirement, Requirements, UseCase
from domain.agents.findings import Finding, error, warning
from domain.agents.review.ids import check_ids, check_references, check_text
from domain.agents.review.wording import check_wording, has_number, shall_count

_FEWEST_WORDS_OF_A_RESULT = 3


def review_requirements(requirements: Requirements, brief: IdeaBrief) -> tuple[Finding, ...]:
    """Each requirement is singular, unambiguous, verifiable and, if a must, in a use case."""
    return tuple(_findings(requirements, brief))


def _findings(requirements: Requirements, brief: IdeaBrief) -> Iterator[Finding]:
    own_words = _own_words(brief)
    functional = [requirement.id for requirement in requirements.functional]
    quality = [requirement.id for requirement in requirements.quality]
    if not functional:
        yield error("missing_requirements", "functional", "State at least one requirement.")
    yield from check_text(
        "requirements",
        title=requirements.title,
        purpose=requirements.purpose,
        scope=requirements.scope,
    )
    yield from check_ids(functional, "FR")
    yield from check_ids(quality, "NFR")
    yield from check_ids((case.id for case in requirements.use_cases), "UC")
    for requirement in requirements.functional:
        yield from _functional_findings(requirement, own_words)
    for need in requirements.quality:
        yield from check_text(need.id, category=need.category)
        yield from _statement_findings(need.id, need.statement, own_words)
        yield from check_wording(need.id, need.measure, own_words)
        if not has_number(need.measure):
            yield error("no_measure", need.id, "Give the measure a number and its unit.")
    yield from _repetitions(requirements)
    actors = {actor.name for actor in brief.actors}
    for case in requirements.use_cases:
        yield from _use_case_findings(case, actors, {*functional, *quality})
    exercised = {id_ for case in requirements.use_cases for id_ in case.requirement_ids}
    for requirement in requirements.functional:
        if requirement.priority is Priority.MUST and requirement.id not in exercised:
            yield error(
                "no_use_case", requirement.id, "Exercise this must-have in at least one use case."
            )


def _own_words(brief: IdeaBrief) -> frozenset[str]:
    words = {actor.name for actor in brief.actors}
    for entity in brief.entities:
        words |= {entity.name, entity.plural}
        for field in entity.fields:
            words |= {field.name.replace("_", " "), *field.choices}
    return frozenset(words)


def _functional_findings(requirement: Requirement, own_words: frozenset[str]) -> Iterator[Finding]:
    yield from check_text(requirement.id, title=requirement.title)
    yield from _statement_findings(requirement.id, requirement.statement, own_words)
    if not requirement.rationale.strip():
        yield warning("no_rationale", requirement.id, "Say why this is needed.")
    if not requirement.acceptance:
        yield error("no_acceptance", requirement.id, "Add a given, when and then that can be run.")
    for acceptance in requirement.acceptance:
        yield from check_text(requirement.id, given=acceptance.given, when=acceptance.when)
        yield from check_wording(requirement.id, acceptance.when, own_words)
        yield from check_wording(requirement.id, acceptance.then, own_words)
        if len(acceptance.then.split()) < _FEWEST_WORDS_OF_A_RESULT:
            yield error(
                "no_result", requirement.id, "Say in 'then' which result can be seen, and where."
            )


def _statement_findings(
    subject: str, statement: str, own_words: frozenset[str]
) -> Iterator[Finding]:
    count = shall_count(statement)
    if count != 1:
        remedy = "State it with 'shall'." if count == 0 else "Split it: one 'shall' each."
        yield error("not_one_shall", subject, f"The statement has {count} 'shall'. {remedy}")
    yield from check_wording(subject, statement, own_words)


def _repetitions(requirements: Requirements) -> Iterator[Finding]:
    said = {r.id: _squeezed(r.statement) for r in requirements.functional}
    said |= {r.id: _squeezed(r.statement) for r in requirements.quality}
    counts = Counter(said.values())
    first: dict[str, str] = {}
    for id_, statement in said.items():
        if counts[statement] > 1 and statement:
            if statement in first:
                yield error(
                    "repeated_statement", id_, f"It says what {first[statement]} says; drop one."
                )
            first.setdefault(statement, id_)


def _squeezed(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def _use_case_findings(case: UseCase, actors: set[str], known: set[str]) -> Iterator[Finding]:
    yield from check_text(case.id, title=case.title)
    if case.actor not in actors:
        named = ", ".join(sorted(actors)) or "none"
        yield error(
            "unknown_actor", case.id, f"{case.actor!r} is no actor; the brief has: {named}."
        )
    yield from check_references(case.id, case.requirement_ids, known)
    if not case.requirement_ids:
        yield error("no_requirement", case.id, "Name the requirements this use case exercises.")
    if not any(step.strip() for step in case.main_flow):
        yield error("no_flow", case.id, "Write the steps of the main flow.")
