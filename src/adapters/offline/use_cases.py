"""Composes use cases: who reaches which goal by which of the requirements."""

from collections.abc import Iterator, Sequence

from adapters.offline.behaviours import Behaviour, Kind
from adapters.offline.english.inflection import doing, in_sentence, participle, with_article
from adapters.offline.english.words import word_set
from adapters.offline.workflow import workflow_of
from domain.agents.artifacts import Action, Entity, IdeaBrief, Requirement, UseCase


def compose_use_cases(
    brief: IdeaBrief, found: Sequence[Behaviour], functional: Sequence[Requirement]
) -> tuple[UseCase, ...]:
    """Use cases that together exercise every requirement."""
    ids = {
        behaviour: requirement.id for behaviour, requirement in zip(found, functional, strict=True)
    }
    cases = [*_of_actions(brief, ids), *_of_keeping(brief, ids), *_of_looking(brief, ids)]
    return tuple(
        UseCase(
            id=f"UC-{number}",
            title=title,
            actor=actor,
            requirement_ids=case_ids,
            preconditions=("The application is running and its pages can be reached.",),
            main_flow=flow[0],
            alternate_flows=flow[1],
            postconditions=flow[2],
        )
        for number, (title, actor, case_ids, flow) in enumerate(cases, start=1)
    )


_Flow = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
_Case = tuple[str, str, tuple[str, ...], _Flow]

_KEEPING = word_set(
    """
    manage track maintain handle keep view see search monitor add record
    """
)


def _of_actions(brief: IdeaBrief, ids: dict[Behaviour, str]) -> Iterator[_Case]:
    """One use case for each thing that somebody does, as far as it is more than keeping."""
    entities = {entity.name: entity for entity in brief.entities}
    titles: set[str] = set()
    for action in brief.actions:
        entity = _record_of(action, brief) or entities.get(action.entity)
        title = f"{action.actor}: {doing(action.verb, with_article(action.entity))}"
        if entity is None or action.verb in _KEEPING or title in titles:
            continue
        titles.add(title)
        wanted = {Kind.CREATE, Kind.WORKFLOW, Kind.CAPACITY, Kind.STOCK, Kind.EXCLUSIVE, Kind.ORDER}
        case_ids = tuple(
            id for b, id in ids.items() if b.entity == entity.name and b.kind in wanted
        )
        yield title, action.actor, case_ids, _action_flow(action, entity, brief)


def _record_of(action: Action, brief: IdeaBrief) -> Entity | None:
    """The record that is made when ``action`` is done: a loan, when a book is borrowed."""
    entities = {entity.name: entity for entity in brief.entities}
    for relation in brief.relations:
        source = entities.get(relation.source)
        joins = {r.target for r in brief.relations if r.source == relation.source}
        if source is not None and relation.target == action.entity and action.actor in joins:
            return source
    return None


def _action_flow(action: Action, entity: Entity, brief: IdeaBrief) -> _Flow:
    one = in_sentence(entity.name)
    machine = workflow_of(entity)
    state = f" with the {machine.field} {machine.initial}" if machine else ""
    referred = [r.target for r in brief.relations if r.source == entity.name]
    chosen = [
        f"The {in_sentence(action.actor)} chooses the {in_sentence(name)}." for name in referred
    ]
    moving = (
        [
            f"Later the {in_sentence(action.actor)} opens the {one} and marks it as"
            f" {machine.moves[machine.initial][0]}."
        ]
        if machine and machine.moves[machine.initial]
        else []
    )
    steps = (
        f"The {in_sentence(action.actor)} opens the list of"
        f" {in_sentence(entity.plural)} and asks for a new one.",
        *chosen,
        "The remaining fields are filled in and the form is sent.",
        f"The system stores the {one}{state} and shows it.",
        *moving,
    )
    alternates = (
        "A value does not fit: the form comes back with a sentence beside the"
        " field, and what was typed is still there.",
        f"The stored records do not allow the {one}: the answer says which field"
        " is concerned, and 0 records are changed.",
    )
    return (
        steps,
        alternates,
        (
            f"The {one} is stored, and the {in_sentence(action.entity)} is"
            f" {participle(action.verb)}.",
        ),
    )


def _of_keeping(brief: IdeaBrief, ids: dict[Behaviour, str]) -> Iterator[_Case]:
    """One use case for each entity: somebody looks after its records."""
    for entity in brief.entities:
        one, many = in_sentence(entity.name), in_sentence(entity.plural)
        actor = _keeper(entity, brief)
        case_ids = tuple(id for b, id in ids.items() if b.entity == entity.name)
        steps = (
            f"The {in_sentence(actor)} opens the list of {many}.",
            f"The {in_sentence(actor)} searches for the {one}, or asks for a new one.",
            "The system shows the record, or an empty form.",
            f"The {in_sentence(actor)} changes the values and sends the form.",
            f"The system checks the values, stores the {one} and shows it.",
        )
        alternates = (
            f"No {one} contains the text: the list says that nothing was found.",
            "A value does not fit: the form comes back with a sentence beside the field.",
            f"The {one} is to be removed: the system asks first, and refuses while"
            " other records refer to it.",
        )
        flow = (
            steps,
            alternates,
            (f"The stored {many} are as the {in_sentence(actor)} left them.",),
        )
        yield f"{actor}: look after {many}", actor, case_ids, flow


def _keeper(entity: Entity, brief: IdeaBrief) -> str:
    doing = [a.actor for a in brief.actions if a.entity == entity.name]
    keeping = [a.actor for a in brief.actions if a.entity == entity.name and a.verb in _KEEPING]
    names = {e.name for e in brief.entities}
    outside = [actor.name for actor in brief.actors if actor.name not in names]
    return (keeping or outside or doing or [brief.actors[0].name])[0]


def _of_looking(brief: IdeaBrief, ids: dict[Behaviour, str]) -> Iterator[_Case]:
    case_ids = tuple(id for b, id in ids.items() if not b.entity)
    actor = brief.actors[-1].name
    steps = (
        f"The {in_sentence(actor)} opens the first page.",
        "The system shows how many records of each kind are stored.",
        f"The {in_sentence(actor)} follows one of the numbers to its list.",
    )
    after = ("Nothing has been changed.",)
    alternates = (
        "Nothing is stored yet: the numbers are 0, and each list offers to add the first record.",
    )
    yield f"{actor}: see what is kept", actor, case_ids, (steps, alternates, after)
