"""Composes the product specification: for whom, what first, and how success is counted."""

from collections.abc import Iterator

from adapters.offline.behaviours import Behaviour, Kind, behaviours
from adapters.offline.brief import keeper_of
from adapters.offline.english.inflection import doing, in_sentence, joined, with_article
from adapters.offline.workflow import workflow_of
from domain.agents.artifacts import (
    Entity,
    Feature,
    Idea,
    IdeaBrief,
    Persona,
    Priority,
    ProductSpec,
    Release,
    Risk,
    SuccessMetric,
)


def compose_product(idea: Idea, brief: IdeaBrief) -> ProductSpec:
    """The product requirements of the system that ``brief`` describes."""
    features = tuple(
        Feature(id=f"F-{number}", name=name, story=story, priority=priority, done_when=done)
        for number, (name, story, priority, done) in enumerate(_features(brief), start=1)
    )
    return ProductSpec(
        title=brief.title,
        vision=_vision(brief),
        problem=brief.problem,
        personas=tuple(_persona(actor.name, actor.description, brief) for actor in brief.actors),
        features=features,
        metrics=tuple(_metrics(brief)),
        releases=tuple(_releases(features)),
        risks=tuple(_risks(brief)),
    )


def _vision(brief: IdeaBrief) -> str:
    people = joined([in_sentence(actor.name) for actor in brief.actors])
    kept = joined([in_sentence(entity.plural) for entity in brief.entities])
    return (
        f"“{brief.title}” gives {people} one place for {kept}: entered once, found"
        " by a search, and bound by rules that paper does not keep."
    )


def _persona(name: str, description: str, brief: IdeaBrief) -> Persona:
    done = [action for action in brief.actions if action.actor == name]
    needs = [
        (f"To {doing(a.verb, with_article(a.entity))} and see afterwards what became of it.")
        for a in done[:4]
    ]
    entities = list(dict.fromkeys(a.entity for a in done)) or [brief.entities[0].name]
    pains = [
        f"Has to ask somebody else where {with_article(entity)} stands." for entity in entities[:2]
    ]
    return Persona(
        name=name,
        role=description,
        needs=tuple(needs) or ("To see what is stored without asking anybody.",),
        pains=(*pains, brief.problem),
    )


_Told = tuple[str, str, Priority, tuple[str, ...]]


def _features(brief: IdeaBrief) -> Iterator[_Told]:
    found = behaviours(brief)
    keeper = keeper_of(brief.actors)
    for entity in brief.entities:
        yield _keeping(entity, brief, keeper)
    for behaviour in found:
        told = _rule(behaviour, brief, keeper)
        if told is not None:
            yield told
    yield (
        "First page with numbers",
        (
            f"As {with_article(keeper)}, I want to see how much is stored, so that I"
            " notice what is missing."
        ),
        Priority.COULD,
        ("The first page shows 1 number for each kind of record.",),
    )
    yield (
        "JSON API",
        (
            f"As {with_article(keeper)}, I want other programs to read and write the"
            " same records, so that nothing is typed twice."
        ),
        Priority.SHOULD,
        (
            (
                f"Each of the {len(brief.entities)} kinds of record answers GET, POST,"
                " PUT, PATCH and DELETE under /api."
            ),
            "A refused value is answered with 422 or 409 and the name of its field.",
        ),
    )


def _keeping(entity: Entity, brief: IdeaBrief, keeper: str) -> _Told:
    action = next((a for a in brief.actions if a.entity == entity.name), None)
    many, one = in_sentence(entity.plural), in_sentence(entity.name)
    actor, verb = (action.actor, action.verb) if action else (keeper, "manage")
    return (
        entity.plural,
        (
            f"As {with_article(actor)}, I want to {doing(verb, with_article(entity.name))},"
            f" so that everybody sees the same {many}."
        ),
        Priority.MUST,
        (
            f"A valid {one} is stored and found again by a search.",
            f"A value that does not fit makes the {one} refused with the name of the field.",
            f"The list of {many} shows 20 on a page and the total.",
        ),
    )


def _rule(behaviour: Behaviour, brief: IdeaBrief, keeper: str) -> _Told | None:
    """A feature for each behaviour beyond keeping records: what the idea is really about."""
    one, target = in_sentence(behaviour.entity), in_sentence(behaviour.target)
    who = with_article(keeper)
    entity = next((e for e in brief.entities if e.name == behaviour.entity), None)
    if behaviour.kind is Kind.WORKFLOW and entity is not None:
        machine = workflow_of(entity)
        states = joined(list(machine.moves)) if machine else ""
        return (
            behaviour.title,
            (
                f"As {who}, I want each {one} to pass through {states} in order, so that"
                " I can trust its status."
            ),
            Priority.MUST,
            ((f"A move that is not allowed is answered with 409, and the {one} stays as it is."),),
        )
    if behaviour.kind is Kind.DEADLINE:
        return (
            behaviour.title,
            (
                f"As {who}, I want {behaviour.limit}"
                f" {in_sentence(entity.plural if entity else one)} to stand out, so that I"
                " act on them."
            ),
            Priority.SHOULD,
            ((f"From the day after its date on, a {one} carries the mark '{behaviour.limit}'."),),
        )
    if behaviour.kind is Kind.CAPACITY:
        return (
            behaviour.title,
            (
                f"As {who}, I want a {one} to be refused when its {target} is full, so"
                " that no promise is broken."
            ),
            Priority.MUST,
            ("What exceeds the number is answered with 409.",),
        )
    if behaviour.kind is Kind.STOCK:
        return (
            behaviour.title,
            (
                f"As {who}, I want each {one} to leave the stock of its {target}, so that"
                " the number on the screen is the number on the shelf."
            ),
            Priority.MUST,
            ("The stock is reduced by the quantity.", "The stock never falls below 0."),
        )
    if behaviour.kind is Kind.EXCLUSIVE:
        return (
            behaviour.title,
            (f"As {who}, I want a {target} to be promised once, so that nobody comes in vain."),
            Priority.MUST,
            ("The second of two colliding records is answered with 409.",),
        )
    return None


def _metrics(brief: IdeaBrief) -> Iterator[SuccessMetric]:
    entity = max(
        brief.entities, key=lambda e: len([r for r in brief.relations if r.source == e.name])
    )
    many = in_sentence(entity.plural)
    yield SuccessMetric(
        name=f"{entity.plural} entered in the system",
        target="90 of 100 within 4 weeks of the start",
        measured_by=(
            f"The total of GET /api for {many}, against those counted on paper in the same week."
        ),
    )
    yield SuccessMetric(
        name=f"Time to find {with_article(brief.entities[0].name)}",
        target="below 10 seconds in 9 of 10 tries",
        measured_by="A stopwatch, from the opened list to the opened record, 10 tries by 3 people.",
    )
    yield SuccessMetric(
        name="Refused entries",
        target="below 5 of 100 after 4 weeks",
        measured_by="The answers 409 and 422 among all POST requests in the log of one week.",
    )
    late = next((b for b in behaviours(brief) if b.kind is Kind.DEADLINE), None)
    if late is not None:
        of = next(e for e in brief.entities if e.name == late.entity)
        yield SuccessMetric(
            name=f"{late.limit.capitalize()} {in_sentence(of.plural)}",
            target="half as many after 8 weeks as after 1 week",
            measured_by=(
                f"The stored {in_sentence(of.plural)} whose value '{late.limit}' is true,"
                " counted on the same weekday."
            ),
        )


def _releases(features: tuple[Feature, ...]) -> Iterator[Release]:
    slices = (
        (
            "Release 1: the records",
            Priority.MUST,
            "The records are kept in one place under their rules.",
        ),
        (
            "Release 2: the comfort",
            Priority.SHOULD,
            "What needs attention stands out, and programs take part.",
        ),
        (
            "Release 3: the overview",
            Priority.COULD,
            "Whoever opens the application sees how much it keeps.",
        ),
    )
    for name, priority, outcome in slices:
        ids = tuple(feature.id for feature in features if feature.priority is priority)
        if ids:
            yield Release(name=name, feature_ids=ids, outcome=outcome)


def _risks(brief: IdeaBrief) -> Iterator[Risk]:
    keeper = in_sentence(keeper_of(brief.actors))
    yield Risk(
        description=(
            f"The {keeper} goes on using the old register beside the system, so that"
            " neither is complete."
        ),
        mitigation=(
            "One day is set from which only the system counts; what is open on that"
            " day is entered first."
        ),
    )
    yield Risk(
        description=(
            "Anybody who reaches the application can change every record, for there"
            " is no signing in."
        ),
        mitigation=(
            "It listens on 127.0.0.1 only; a proxy with passwords is put before it"
            " when others shall reach it."
        ),
    )
    personal = [
        e.plural
        for e in brief.entities
        if any(f.name in ("phone", "email", "address", "date_of_birth") for f in e.fields)
    ]
    if personal:
        yield Risk(
            description=(
                f"The records of {joined([in_sentence(p) for p in personal[:4]])} hold"
                " personal data."
            ),
            mitigation=(
                "Only facts that an action needs are kept; a record is removed on"
                " request, as the Digital Personal Data Protection Act, 2023 asks."
            ),
        )
    yield Risk(
        description="The computer or its disk fails.",
        mitigation=(
            "The folder DATA_DIR is copied to another place every day; a copy put"
            " back is the whole system."
        ),
    )
    if brief.open_questions:
        yield Risk(
            description=f"A question is open: {brief.open_questions[0]}",
            mitigation=(
                "It is answered before release 1 is accepted, and the brief is changed accordingly."
            ),
        )
