"""Behaviours beyond single fields, as the declarations that the generated code has of them."""

from adapters.offline.behaviours import Behaviour, Kind
from adapters.offline.codebase.blueprint import Blueprint, EntityPlan
from adapters.offline.codebase.python_source import Call


def rule_calls(entity: EntityPlan, blueprint: Blueprint) -> list[Call]:
    """The entity's rules, in the order in which they are checked."""
    calls = [_CALLS[b.kind](b, entity, blueprint) for b in entity.behaviours if b.kind in _CALLS]
    return list(dict.fromkeys(calls))


def workflow_call(entity: EntityPlan) -> Call | None:
    """The entity's workflow."""
    if entity.machine is None:
        return None
    told: list[tuple[str, object]] = [
        ("field", entity.field(entity.machine.field).name),
        ("initial", entity.machine.initial),
        ("moves", dict(entity.machine.moves)),
    ]
    if entity.stamps:
        told.append(("stamps", dict(entity.stamps)))
    return Call("Workflow", tuple(told))


def deadline_call(entity: EntityPlan) -> Call | None:
    """What makes the entity's records late."""
    for behaviour in entity.of_kind(Kind.DEADLINE):
        told: list[tuple[str, object]] = [
            ("field", entity.field(behaviour.field).name),
            ("flag", behaviour.limit),
        ]
        if behaviour.states and entity.machine is not None:
            told.append(("pending", behaviour.states))
        return Call("Deadline", tuple(told))
    return None


def _unique(behaviour: Behaviour, entity: EntityPlan, blueprint: Blueprint) -> Call:
    return Call("Unique", (("field", entity.field(behaviour.field).name),))


def _follows(behaviour: Behaviour, entity: EntityPlan, blueprint: Blueprint) -> Call:
    return Call("FollowsWorkflow", ())


def _not_before(behaviour: Behaviour, entity: EntityPlan, blueprint: Blueprint) -> Call:
    earlier, later = entity.field(behaviour.field).name, entity.field(behaviour.until).name
    return Call("NotBefore", (("earlier", earlier), ("later", later)))


def _capacity(behaviour: Behaviour, entity: EntityPlan, blueprint: Blueprint) -> Call:
    told: list[tuple[str, object]] = [
        ("reference", entity.field(behaviour.relation).name),
        ("limit", blueprint.entity(behaviour.target).field(behaviour.limit).name),
    ]
    if behaviour.amount:
        told.append(("amount", entity.field(behaviour.amount).name))
    if behaviour.states and entity.machine is not None:
        told.append(("counted", behaviour.states))
    return Call("Capacity", tuple(told))


def _stock(behaviour: Behaviour, entity: EntityPlan, blueprint: Blueprint) -> Call:
    told: list[tuple[str, object]] = [
        ("reference", entity.field(behaviour.relation).name),
        ("quantity", entity.field(behaviour.amount).name),
        ("stock", blueprint.entity(behaviour.target).field(behaviour.limit).name),
    ]
    if behaviour.states and entity.machine is not None:
        told.append(("released", behaviour.states))
    return Call("TakesStock", tuple(told))


def _exclusive(behaviour: Behaviour, entity: EntityPlan, blueprint: Blueprint) -> Call:
    told: list[tuple[str, object]] = [
        ("reference", entity.field(behaviour.relation).name),
        ("start", entity.field(behaviour.field).name),
        ("end", entity.field(behaviour.until).name),
    ]
    if behaviour.slot:
        told.append(("slot", entity.field(behaviour.slot).name))
    if behaviour.states and entity.machine is not None:
        told.append(("released", behaviour.states))
    return Call("NoOverlap", tuple(told))


_CALLS = {
    Kind.UNIQUE: _unique,
    Kind.WORKFLOW: _follows,
    Kind.ORDER: _not_before,
    Kind.CAPACITY: _capacity,
    Kind.STOCK: _stock,
    Kind.EXCLUSIVE: _exclusive,
}
