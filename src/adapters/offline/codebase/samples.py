"""Values to test with: valid ones of each field, and ones that do not fit."""

import re

from adapters.offline.behaviours import Kind
from adapters.offline.codebase.blueprint import EntityPlan, FieldPlan
from domain.agents.artifacts import FieldType

_NAMES = {
    "person": "Asha Rao", "member": "Asha Rao", "student": "Kabir Nair", "patient": "Meera Joshi",
    "customer": "Farhan Ali", "doctor": "Dr. Leela Menon", "teacher": "Suresh Iyer",
    "book": "Wings of Fire", "product": "Basmati rice 5 kg", "medicine": "Paracetamol 500 mg",
    "course": "Mathematics for class X", "event": "Annual day", "project": "Village well",
    "category": "General", "supplier": "Shri Traders", "farmer": "Ramesh Patil",
}  # fmt: skip

_TEXTS: tuple[tuple[str, str], ...] = (
    (r"phone|mobile|contact", "98765 43210"),
    (r"isbn", "978-81-7371-146-6"),
    (r"author", "A. P. J. Abdul Kalam"),
    (r"city|place|location|village|venue|district", "Nagpur"),
    (r"time|slot|timing", "10:30"),
    (r"month", "June 2026"),
    (r"number|code|sku|reference|gst", "A-1001"),
    (r"colou?r", "green"),
)


def sample(entity: EntityPlan) -> dict[str, object]:
    """A valid record, without its references."""
    workflow = entity.machine
    values: dict[str, object] = {}
    for field in entity.fields:
        if field.to:
            continue
        if workflow is not None and field.source == workflow.field:
            values[field.name] = workflow.initial
        else:
            values[field.name] = _value(field, entity)
    return values


def other_value(field: FieldPlan, entity: EntityPlan) -> object:
    """A valid value unlike that of :func:`sample`."""
    value = _value(field, entity)
    match field.type:
        case FieldType.INTEGER:
            return 7 if value != 7 else 8
        case FieldType.DECIMAL:
            return "99.50"
        case FieldType.EMAIL:
            return "kabir@example.org"
        case FieldType.CHOICE:
            return next((choice for choice in field.choices if choice != value), value)
        case FieldType.BOOLEAN:
            return not value
        case _:
            return f"{value}, revised"


def unfit_values(entity: EntityPlan) -> list[tuple[str, object]]:
    """Values that do not fit: for each sort of field one, with the field's name."""
    found: dict[str, tuple[str, object]] = {}
    for field in entity.fields:
        if field.to or field.class_name in found:
            continue
        unfit: object
        match field.type:
            case FieldType.INTEGER | FieldType.DECIMAL if field.minimum == 0:
                found[f"{field.class_name} below"] = (field.name, -1)
                unfit = "many"
            case FieldType.INTEGER:
                unfit = "many"
            case FieldType.DECIMAL:
                unfit = "12.345"
            case FieldType.DATE:
                unfit = "2026-02-30"
            case FieldType.EMAIL:
                unfit = "nobody"
            case FieldType.CHOICE:
                unfit = "no such choice"
            case FieldType.BOOLEAN:
                unfit = "perhaps"
            case FieldType.TEXT:
                unfit = 5
            case _:
                unfit = ["not", "text"]
        found[field.class_name] = (field.name, unfit)
    return list(found.values())


def _value(field: FieldPlan, entity: EntityPlan) -> object:
    match field.type:
        case FieldType.INTEGER:
            return _number(field, entity)
        case FieldType.DECIMAL:
            return "250.00"
        case FieldType.BOOLEAN:
            return True
        case FieldType.DATE:
            return _day(field, entity)
        case FieldType.EMAIL:
            return "asha@example.com"
        case FieldType.CHOICE:
            return field.choices[0]
        case FieldType.LONG_TEXT:
            return f"{field.label} of a sample record"
        case _:
            return _text(field, entity)


def _number(field: FieldPlan, entity: EntityPlan) -> int:
    if any(field.source == b.amount for b in entity.behaviours if b.amount):
        return 2
    return 40 if field.source in entity.limits else 5


def _day(field: FieldPlan, entity: EntityPlan) -> str:
    """The days of one record are in order, and nothing is late on the tests' own day."""
    later = {b.until for b in entity.behaviours if b.kind in (Kind.ORDER, Kind.EXCLUSIVE)}
    late = {b.field for b in entity.of_kind(Kind.DEADLINE)}
    if field.source in late:
        return "2026-07-01"
    first = {b.field for b in entity.behaviours if b.kind in (Kind.ORDER, Kind.EXCLUSIVE)}
    return "2026-06-20" if field.source in later - first else "2026-06-10"


def _text(field: FieldPlan, entity: EntityPlan) -> str:
    for pattern, text in _TEXTS:
        if re.search(rf"(^|_)({pattern})(_|$)", field.name):
            return text
    if field.name in ("name", "title", "full_name"):
        known = _NAMES.get(entity.name.lower())
        return known or f"Sample {entity.name}"
    return f"{field.label} 1"
