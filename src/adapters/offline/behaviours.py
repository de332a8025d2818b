"""What a system does, derived from its brief alone.

The requirements say these behaviours and the code has them: both are made from the same
list, so that neither promises what the other lacks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from adapters.offline.english.inflection import in_sentence, with_article
from adapters.offline.english.words import word_set
from adapters.offline.lexicon.field_types import label_of
from adapters.offline.workflow import is_done, releases, workflow_of
from domain.agents.artifacts import Entity, EntityField, FieldType, IdeaBrief, Relation


class Kind(StrEnum):
    """The sorts of behaviour that the composition knows."""

    CREATE = "create"
    LIST = "list"
    EDIT = "edit"
    DELETE = "delete"
    RELATE = "relate"
    UNIQUE = "unique"
    ORDER = "order"
    WORKFLOW = "workflow"
    DEADLINE = "deadline"
    CAPACITY = "capacity"
    STOCK = "stock"
    EXCLUSIVE = "exclusive"
    OVERVIEW = "overview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One thing the system does. Names are those of the brief.

    ``field`` is what it is about; ``relation`` and ``target`` whom it refers to; ``limit``
    the target's field that bounds it; ``amount`` what counts against that; ``until`` a
    later day and ``slot`` a part of a day; ``states`` those in which it holds, or those in
    which it is released.
    """

    kind: Kind
    title: str
    entity: str = ""
    field: str = ""
    relation: str = ""
    target: str = ""
    limit: str = ""
    amount: str = ""
    until: str = ""
    slot: str = ""
    states: tuple[str, ...] = ()


def behaviours(brief: IdeaBrief) -> tuple[Behaviour, ...]:
    """All behaviours of the system that ``brief`` describes, titles unlike one another."""
    return tuple(_distinct(_behaviours(brief)))


def _distinct(found: Iterator[Behaviour]) -> Iterator[Behaviour]:
    titles: set[str] = set()
    for behaviour in found:
        if behaviour.title not in titles:
            titles.add(behaviour.title)
            yield behaviour


def _behaviours(brief: IdeaBrief) -> Iterator[Behaviour]:
    entities = {entity.name: entity for entity in brief.entities}
    for entity in entities.values():
        one, many = with_article(entity.name), in_sentence(entity.plural)
        name = entity.name
        yield Behaviour(kind=Kind.CREATE, entity=name, title=f"Store {one}")
        yield Behaviour(kind=Kind.LIST, entity=name, title=f"List and search {many}")
        yield Behaviour(kind=Kind.EDIT, entity=name, title=f"Change {one}")
        yield Behaviour(kind=Kind.DELETE, entity=name, title=f"Remove {one}")
        yield from _of_fields(entity)
        relations = [r for r in brief.relations if r.source == name and r.target in entities]
        for relation in relations:
            yield from _of_relation(entity, entities[relation.target], relation)
    yield Behaviour(kind=Kind.OVERVIEW, title="Show how much is kept")


def _of_fields(entity: Entity) -> Iterator[Behaviour]:
    one = with_article(entity.name)
    for field in entity.fields:
        if field.name in _UNIQUE and field.type is FieldType.TEXT:
            yield Behaviour(
                kind=Kind.UNIQUE,
                entity=entity.name,
                field=field.name,
                title=f"Keep the {_label(field)} of {one} unique",
            )
    days = [field for field in entity.fields if field.type is FieldType.DATE]
    starts = [field for field in days if re.search(_START, field.name)]
    ends = [field for field in days if re.search(_END, field.name)]
    for end in ends if starts else []:
        yield Behaviour(
            kind=Kind.ORDER,
            entity=entity.name,
            field=starts[0].name,
            until=end.name,
            title=f"Keep the dates of {one} in order: {_label(starts[0])}, {_label(end)}",
        )
    workflow = workflow_of(entity)
    if workflow is not None:
        yield Behaviour(
            kind=Kind.WORKFLOW,
            entity=entity.name,
            field=workflow.field,
            title=f"Move {one} from state to state",
        )
    deadline = next((field for field in days if re.search(_DEADLINE, field.name)), None)
    if deadline is not None:
        flag = "expired" if "expir" in deadline.name or "valid" in deadline.name else "overdue"
        pending = tuple(
            s for s in (workflow.moves if workflow else ()) if workflow and not is_done(s, workflow)
        )
        yield Behaviour(
            kind=Kind.DEADLINE,
            entity=entity.name,
            field=deadline.name,
            limit=flag,
            states=pending,
            title=f"Mark {flag} {in_sentence(entity.plural)}",
        )


def _of_relation(source: Entity, target: Entity, relation: Relation) -> Iterator[Behaviour]:
    same = in_sentence(target.name) == relation.name.replace("_", " ")
    by = "" if same else f" ({label_of(relation.name).lower()})"
    one = with_article(target.name)
    yield Behaviour(
        kind=Kind.RELATE,
        entity=source.name,
        relation=relation.name,
        target=target.name,
        title=f"Show the {in_sentence(source.plural)} of {one}{by}",
    )
    if relation.cardinality != "many_to_one":
        return
    rule = _exclusive(source, target, relation) or _limited(source, target, relation, one)
    if rule is not None:
        yield rule


def _exclusive(source: Entity, target: Entity, relation: Relation) -> Behaviour | None:
    """What can be taken by one record at a time: a hall from day to day, a doctor at a time."""
    if not _BOOKED.intersection(target.name.lower().split()):
        return None
    days = [field for field in source.fields if field.type is FieldType.DATE]
    start = next((field for field in days if re.search(_TAKEN_FROM, field.name)), None)
    end = next((field for field in days if re.search(_TAKEN_UNTIL, field.name)), None)
    slot = next((field for field in source.fields if field.name in _SLOTS), None)
    workflow = workflow_of(source)
    if start is None or (end is None and slot is None):
        return None
    return Behaviour(
        kind=Kind.EXCLUSIVE,
        entity=source.name,
        field=start.name,
        relation=relation.name,
        target=target.name,
        until=end.name if end and not slot else start.name,
        slot=slot.name if slot else "",
        states=tuple(s for s in workflow.moves if s in releases(workflow)) if workflow else (),
        title=f"Refuse {in_sentence(source.plural)} of {with_article(target.name)} that collide",
    )


def _limited(source: Entity, target: Entity, relation: Relation, one: str) -> Behaviour | None:
    """A stock that records take from, or a number of places that they fill."""
    amount = next((f for f in source.fields if f.name in _AMOUNTS and _whole(f)), None)
    stock = next((f for f in target.fields if f.name in _STOCKS and _whole(f)), None)
    workflow = workflow_of(source)
    released = tuple(s for s in workflow.moves if s in releases(workflow)) if workflow else ()
    shared = {"entity": source.name, "relation": relation.name, "target": target.name}
    incoming = bool(_INCOMING.intersection(source.name.lower().split()))
    if amount is not None and stock is not None and not incoming:
        title = f"Take {in_sentence(source.plural)} out of the {_label(stock)} of {one}"
        return Behaviour(
            kind=Kind.STOCK,
            limit=stock.name,
            amount=amount.name,
            states=released,
            title=title,
            **shared,
        )
    places = next((f for f in target.fields if f.name in _PLACES and _whole(f)), None)
    seats = next((f for f in source.fields if f.name in _SEATS and _whole(f)), None)
    if places is None or (workflow is None and seats is None) or relation.name == "class":
        return None
    counted = tuple(s for s in workflow.moves if s not in released) if workflow else ()
    return Behaviour(
        kind=Kind.CAPACITY,
        limit=places.name,
        amount=seats.name if seats else "",
        states=counted,
        title=f"Keep {in_sentence(source.plural)} within the {_label(places)} of {one}",
        **shared,
    )


def _label(field: EntityField) -> str:
    label = label_of(field.name)
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def _whole(field: EntityField) -> bool:
    return field.type is FieldType.INTEGER


_UNIQUE = word_set(
    """
    isbn sku roll_number membership_number registration_number vehicle_number serial_number
    invoice_number tracking_number account_number bag_number tag_number licence_number
    license_number employee_code student_code admission_number policy_number barcode
    """
)
_START = (
    r"^(start|issued|check_?in|admitted|from|opens|loaned|borrowed|received|"
    r"given|allotted|rented|began|opened|planted|sown)(_|$)"
)
_END = (
    r"^(end|due|returned|check_?out|discharged|until|closes|return|vacated|"
    r"promised|valid_until|to|harvest|harvested|closed)(_|$)"
)
_TAKEN_FROM = (
    r"^(start|check_?in|from|scheduled|reserved|booked|booking|appointment|"
    r"event|visit|date)(_|$)"
)
_TAKEN_UNTIL = r"^(end|check_?out|until|to|return_by)(_|$)"
_DEADLINE = (
    r"^(due|due_.*|.*_due|deadline|expiry|expiry_date|expires_.*|valid_until|"
    r"return_by|needed_by|promised_on)$"
)
_SLOTS = word_set(
    """
    time_slot slot time start_time show_time timing
    """
)
_BOOKED = word_set(
    """
    room hall court ground turf venue doctor vehicle car bike bus property house flat stylist
    trainer teacher tutor table mechanic equipment machine studio desk lawyer therapist counsellor
    slot field boat camera auditorium
    """
)
_AMOUNTS = word_set("quantity units qty count")
_STOCKS = word_set(
    """
    stock stock_quantity quantity quantity_in_stock units_in_stock available_units
    available_quantity quantity_available available_stock
    """
)
_PLACES = word_set(
    """
    copies capacity seats beds total_copies total_seats available_seats places slots
    max_members
    """
)
_SEATS = word_set(
    """
    seats guests persons tickets people attendees copies
    """
)
_INCOMING = word_set(
    """
    purchase supply delivery restock procurement receipt production
    """
)
