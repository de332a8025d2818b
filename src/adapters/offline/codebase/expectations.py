"""What the tests of an entity expect: the data with which their template is filled."""

from collections.abc import Sequence
from typing import Any

from adapters.offline.behaviours import Kind
from adapters.offline.codebase.blueprint import Blueprint, EntityPlan, FieldPlan
from adapters.offline.codebase.samples import other_value, sample, unfit_values
from adapters.offline.workflow import StateMachine, way_to
from domain.agents.artifacts import FieldType

_WORDS = (FieldType.TEXT, FieldType.LONG_TEXT)


def expectations(entity: EntityPlan, blueprint: Blueprint) -> dict[str, Any]:
    """The expectations of ``entity``, by the names that the template uses."""
    status = entity.machine.field if entity.machine else ""
    required = [field for field in entity.fields if field.required]
    typed = [field for field in required if field.source != status or field.to]
    optional = [field.name for field in entity.fields if not field.required]
    words = next((f for f in entity.fields if f.type in _WORDS), None)
    return {
        "required": [field.name for field in typed],
        "put_required": [field.name for field in required],
        "unfit": unfit_values(entity),
        "search": _search(entity, blueprint),
        "edit": _edit(entity),
        "text_field": words.name if words else "",
        "other_field": (optional or [field.name for field in entity.fields])[0],
        "references": _references(entity, blueprint),
        "unique": [
            {"name": entity.field(b.field).name, "ids": _ids(blueprint, [b])}
            for b in entity.of_kind(Kind.UNIQUE)
        ],
        "workflow": _workflow(entity.machine, entity) if entity.machine else None,
        "orders": _orders(entity, blueprint),
        "deadline": _deadline(entity),
        "capacities": _capacities(entity, blueprint),
        "stocks": _stocks(entity, blueprint),
        "overlaps": _overlaps(entity, blueprint),
    }


def ids_of(entity: EntityPlan, blueprint: Blueprint) -> dict[str, list[str]]:
    """The ids of the requirements for each kind of behaviour that the entity has."""
    return {kind.value: _ids(blueprint, entity.of_kind(kind)) for kind in Kind}


def _ids(blueprint: Blueprint, found: Sequence[Any]) -> list[str]:
    return [blueprint.ids[b] for b in found if b in blueprint.ids]


def _search(entity: EntityPlan, blueprint: Blueprint) -> dict[str, str] | None:
    for type_, value in (
        (FieldType.TEXT, "Zephyr 77"),
        (FieldType.LONG_TEXT, "Zephyr 77"),
        (FieldType.EMAIL, "zephyr@example.com"),
    ):
        for field in entity.fields:
            if field.type is type_:
                return {"field": field.name, "value": value, "target": ""}
    for reference in entity.fields:
        if reference.to and not reference.many:
            target = blueprint.entity(reference.target)
            for name in target.titled_by:
                field = next(f for f in target.fields if f.name == name)
                if field.type in _WORDS:
                    return {
                        "field": name,
                        "value": "Zephyr 77",
                        "target": reference.to,
                        "reference": reference.name,
                    }
    return None


def _edit(entity: EntityPlan) -> dict[str, object] | None:
    status = entity.machine.field if entity.machine else ""
    for types in (
        (FieldType.TEXT,),
        (
            FieldType.LONG_TEXT,
            FieldType.DECIMAL,
            FieldType.INTEGER,
            FieldType.EMAIL,
            FieldType.BOOLEAN,
        ),
        (FieldType.CHOICE,),
    ):
        for field in entity.fields:
            if field.type in types and field.source != status:
                value = other_value(field, entity)
                return {"field": field.name, "value": value, "patch": {field.name: value}}
    return None


def _references(entity: EntityPlan, blueprint: Blueprint) -> list[dict[str, Any]]:
    found = []
    for field in entity.fields:
        if field.to:
            related = [b for b in entity.of_kind(Kind.RELATE) if b.relation == field.source]
            word = field.name.removesuffix("_id").removesuffix("_ids")
            found.append(
                {
                    "name": field.name,
                    "word": word,
                    "to": field.to,
                    "many": field.many,
                    "ids": _ids(blueprint, related),
                }
            )
    return found


def _workflow(machine: StateMachine, entity: EntityPlan) -> dict[str, Any]:
    moves: list[tuple[str, str, bool]] = []
    for state, following in machine.moves.items():
        moves += [(state, target, True) for target in following]
        refused = [s for s in machine.moves if s != state and s not in following]
        moves += [(state, target, False) for target in refused[:1]]
    return {
        "field": entity.field(machine.field).name,
        "initial": machine.initial,
        "next": machine.moves[machine.initial][0],
        "later": list(machine.moves)[-1],
        "moves": moves,
        "stamps": [
            {"state": state, "field": name, "way": way_to(machine, state)}
            for state, name in entity.stamps.items()
        ],
        "ways": {state: way_to(machine, state) for state in machine.moves},
    }


def _orders(entity: EntityPlan, blueprint: Blueprint) -> list[dict[str, Any]]:
    found = []
    for behaviour in entity.of_kind(Kind.ORDER):
        earlier, later = entity.field(behaviour.field).name, entity.field(behaviour.until).name
        days = {earlier: "2026-06-10", later: "2026-06-09"}
        found.append(
            {"earlier": earlier, "later": later, "days": days, "ids": _ids(blueprint, [behaviour])}
        )
    return found


def _deadline(entity: EntityPlan) -> dict[str, Any] | None:
    for behaviour in entity.of_kind(Kind.DEADLINE):
        field = entity.field(behaviour.field)
        done: tuple[str, ...] = ()
        if entity.machine is not None and behaviour.states:
            finished = [s for s in entity.machine.moves if s not in behaviour.states]
            done = way_to(entity.machine, finished[0]) if finished else ()
        status = entity.field(entity.machine.field).name if entity.machine else ""
        return {
            "field": field.name,
            "flag": behaviour.limit,
            "required": field.required,
            "done": done,
            "status": status,
        }
    return None


def _capacities(entity: EntityPlan, blueprint: Blueprint) -> list[dict[str, Any]]:
    found = []
    for behaviour in entity.of_kind(Kind.CAPACITY):
        reference = entity.field(behaviour.relation)
        target = blueprint.entity(behaviour.target)
        found.append(
            {
                "word": reference.name.removesuffix("_id"),
                "reference": reference.name,
                "to": reference.to,
                "limit": target.field(behaviour.limit).name,
                "amount": entity.field(behaviour.amount).name if behaviour.amount else "",
                "release": _release(
                    entity, [s for s in _states(entity) if s not in behaviour.states]
                ),
                "ids": _ids(blueprint, [behaviour]),
            }
        )
    return found


def _stocks(entity: EntityPlan, blueprint: Blueprint) -> list[dict[str, Any]]:
    found = []
    for behaviour in entity.of_kind(Kind.STOCK):
        reference = entity.field(behaviour.relation)
        found.append(
            {
                "reference": reference.name,
                "to": reference.to,
                "stock": blueprint.entity(behaviour.target).field(behaviour.limit).name,
                "quantity": entity.field(behaviour.amount).name,
                "release": _release(entity, list(behaviour.states)),
                "ids": _ids(blueprint, [behaviour]),
            }
        )
    return found


def _overlaps(entity: EntityPlan, blueprint: Blueprint) -> list[dict[str, Any]]:
    found = []
    for behaviour in entity.of_kind(Kind.EXCLUSIVE):
        reference = entity.field(behaviour.relation)
        start, end = entity.field(behaviour.field).name, entity.field(behaviour.until).name
        slot = entity.field(behaviour.slot) if behaviour.slot else None
        same = {slot.name: sample(entity)[slot.name]} if slot else {}
        found.append(
            {
                "word": reference.name.removesuffix("_id"),
                "reference": reference.name,
                "to": reference.to,
                "start": start,
                "first": {
                    **same,
                    end: "2026-06-12",
                    start: "2026-06-10" if end != start else "2026-06-12",
                },
                "meeting": {**same, end: "2026-06-14", start: "2026-06-12"}
                if end != start
                else {**same, start: "2026-06-12"},
                "apart": {end: "2026-06-29", start: "2026-06-28"},
                "ids": _ids(blueprint, [behaviour]),
            }
        )
    return found


def _release(entity: EntityPlan, released: list[str]) -> tuple[str, ...]:
    """The moves that lead to a state in which a record holds nothing any more."""
    if entity.machine is None or not released:
        return ()
    return way_to(entity.machine, released[0])


def _states(entity: EntityPlan) -> tuple[str, ...]:
    return tuple(entity.machine.moves) if entity.machine else ()


def simplest(blueprint: Blueprint) -> tuple[EntityPlan, FieldPlan | None]:
    """An entity that needs no other, and a field of its that holds words."""
    entity = next(e for e in blueprint.entities if not any(f.to and f.required for f in e.fields))
    return entity, next((f for f in entity.fields if f.type in _WORDS), None)
