"""The code before it is written: the brief's entities with the names they have in code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.offline.behaviours import Behaviour, Kind, behaviours
from adapters.offline.codebase.python_source import Call
from adapters.offline.english.inflection import title_case
from adapters.offline.english.tokens import one_line
from adapters.offline.english.words import word_set
from adapters.offline.identifiers import class_name, column_name, module_name, path_name
from adapters.offline.lexicon.field_types import label_of
from adapters.offline.requirements import requirement_ids
from adapters.offline.workflow import StateMachine, stamps_of, workflow_of
from domain.agents.artifacts import (
    Cardinality,
    Entity,
    EntityField,
    FieldType,
    IdeaBrief,
    Relation,
    Requirements,
)

TITLE_FIELDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPlan:
    """A field in code. ``to`` is the path referred to; ``source`` its name in the brief."""

    name: str
    label: str
    type: FieldType | None
    required: bool
    source: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    to: str = ""
    target: str = ""
    many: bool = False

    @property
    def class_name(self) -> str:
        """The class of :mod:`app.fields` that it is an instance of."""
        if self.to:
            return "References" if self.many else "Reference"
        return _CLASSES[self.type or FieldType.TEXT]

    @property
    def declaration(self) -> Call:
        """The field as it is declared."""
        told: list[tuple[str, object]] = [("name", self.name), ("label", self.label)]
        if self.to:
            told.append(("to", self.to))
        if self.required:
            told.append(("required", True))
        if self.choices:
            told.append(("choices", self.choices))
        if self.minimum is not None:
            told.append(("minimum", self.minimum))
        return Call(self.class_name, tuple(told))


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityPlan:
    """An entity in code, with its behaviours.

    ``limits`` are its fields, by their names in the brief, that bound other records.
    """

    name: str
    plural: str
    description: str
    class_name: str
    module: str
    path: str
    table: str
    titled_by: tuple[str, ...]
    fields: tuple[FieldPlan, ...]
    machine: StateMachine | None
    behaviours: tuple[Behaviour, ...]
    limits: frozenset[str]

    @property
    def stamps(self) -> Mapping[str, str]:
        """For each state the field that keeps the day on which it is reached."""
        if self.machine is None:
            return {}
        days = [f.source for f in self.fields if f.type is FieldType.DATE and not f.required]
        kept = stamps_of(self.machine, days)
        return {state: self.field(source).name for state, source in kept.items()}

    def field(self, source: str) -> FieldPlan:
        """The field that has the name ``source`` in the brief.

        Raises:
            KeyError: there is none.
        """
        for field in self.fields:
            if field.source == source:
                return field
        raise KeyError(source)

    def of_kind(self, kind: Kind) -> tuple[Behaviour, ...]:
        """The entity's behaviours of that kind."""
        return tuple(behaviour for behaviour in self.behaviours if behaviour.kind is kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """All that the templates are filled with."""

    title: str
    summary: str
    entities: tuple[EntityPlan, ...]
    overview: tuple[Behaviour, ...]
    ids: Mapping[Behaviour, str]
    statements: Mapping[str, str]
    quality: Mapping[str, str]

    def entity(self, name: str) -> EntityPlan:
        """The entity that has that name in the brief."""
        return next(entity for entity in self.entities if entity.name == name)

    def uses(self, kind: Kind) -> bool:
        """Whether any entity behaves so."""
        return any(entity.of_kind(kind) for entity in self.entities)

    @property
    def many_to_many(self) -> bool:
        """Whether any entity refers to any number of others."""
        return any(field.many for entity in self.entities for field in entity.fields)


def draw(brief: IdeaBrief, requirements: Requirements) -> Blueprint:
    """The blueprint of the code for ``brief``, answering ``requirements``."""
    entities = _unlike(brief.entities)
    names = [entity.name for entity in entities]
    classes: list[str] = []
    modules: list[str] = []
    paths: list[str] = []
    for entity in entities:
        classes.append(class_name(entity.name, classes))
        modules.append(module_name(entity.name, modules))
        paths.append(path_name(entity.plural or entity.name, paths))
    all_behaviours = behaviours(brief)
    plans = []
    for index, entity in enumerate(entities):
        relations = [r for r in brief.relations if r.source == entity.name and r.target in names]
        fields = tuple(_fields(entity, relations, dict(zip(names, paths, strict=True)), brief))
        machine = workflow_of(entity) if _own_status(entity, fields) else None
        own = tuple(
            b
            for b in all_behaviours
            if b.entity == entity.name and (b.kind is not Kind.WORKFLOW or machine is not None)
        )
        plans.append(
            EntityPlan(
                name=one_line(entity.name, 60),
                plural=one_line(entity.plural or entity.name, 60),
                description=one_line(entity.description, 200),
                class_name=classes[index],
                module=modules[index],
                path=paths[index],
                table=paths[index].replace("-", "_"),
                titled_by=_titled_by(fields),
                fields=fields,
                machine=machine,
                behaviours=own,
                limits=frozenset(b.limit for b in all_behaviours if b.target == entity.name),
            )
        )
    return Blueprint(
        title=one_line(brief.title, 100),
        summary=one_line(brief.summary, 600),
        entities=tuple(plans),
        overview=tuple(b for b in all_behaviours if not b.entity),
        ids=requirement_ids(brief, requirements),
        statements={r.id: r.statement for r in requirements.functional},
        quality=_quality_ids(requirements),
    )


_QUALITY = {
    "load": "a request for a page",
    "restart": "stopped and started",
    "escaping": "markup",
    "origin": "another site",
    "body": "above its limit",
    "labels": "a label",
}


def _quality_ids(requirements: Requirements) -> dict[str, str]:
    """The ids of the quality requirements that a test can show, by what they speak of."""
    return {
        key: requirement.id
        for key, words in _QUALITY.items()
        for requirement in requirements.quality
        if words in requirement.statement
    }


def _unlike(entities: Sequence[Entity]) -> list[Entity]:
    """The entities; of two with one name, the first."""
    return list({entity.name: entity for entity in reversed(entities)}.values())[::-1]


def _fields(
    entity: Entity, relations: Sequence[Relation], paths: Mapping[str, str], brief: IdeaBrief
) -> list[FieldPlan]:
    """References first, for a form asks what something belongs to before it asks the rest."""
    planned: list[FieldPlan] = []
    taken: list[str] = []
    machine = workflow_of(entity)
    for relation in relations:
        many = relation.cardinality is Cardinality.MANY_TO_MANY
        name = column_name(f"{relation.name} {'ids' if many else 'id'}", taken)
        taken.append(name)
        planned.append(
            FieldPlan(
                name=name,
                label=title_case(label_of(relation.name))
                if relation.name.isascii()
                else relation.target,
                type=None,
                required=relation.required and not _needs_itself(relation, brief),
                source=relation.name,
                to=paths[relation.target],
                target=relation.target,
                many=many,
            )
        )
    for field in entity.fields:
        name = column_name(field.name, taken)
        taken.append(name)
        # A state that may be missing would be one more state.
        stated = machine is not None and field.name == machine.field
        planned.append(_field(replace(field, required=True) if stated else field, name))
    if not planned:
        planned.append(
            _field(
                EntityField(name="name", type=FieldType.TEXT, required=True, description="Name."),
                "name",
            )
        )
    return planned


def _field(field: EntityField, name: str) -> FieldPlan:
    choices = tuple(dict.fromkeys(one_line(choice, 60) for choice in field.choices))
    choices = tuple(choice for choice in choices if choice)
    type_ = FieldType.TEXT if field.type is FieldType.CHOICE and not choices else field.type
    counted = type_ in (FieldType.INTEGER, FieldType.DECIMAL) and not _SIGNED.intersection(
        name.split("_")
    )
    return FieldPlan(
        name=name,
        label=one_line(label_of(field.name), 60) or label_of(name),
        type=type_,
        required=field.required and type_ is not FieldType.BOOLEAN,
        source=field.name,
        choices=choices if type_ is FieldType.CHOICE else (),
        minimum=0 if counted else None,
    )


_SIGNED = word_set(
    """
    balance latitude longitude temperature profit change adjustment delta
    """
)

_CLASSES = {
    FieldType.TEXT: "Text",
    FieldType.LONG_TEXT: "LongText",
    FieldType.INTEGER: "Integer",
    FieldType.DECIMAL: "Decimal",
    FieldType.BOOLEAN: "Boolean",
    FieldType.DATE: "Date",
    FieldType.EMAIL: "Email",
    FieldType.CHOICE: "Choice",
}


def _own_status(entity: Entity, fields: Sequence[FieldPlan]) -> bool:
    machine = workflow_of(entity)
    if machine is None:
        return False
    planned = next(field for field in fields if field.source == machine.field and not field.to)
    return set(planned.choices) == set(machine.moves)


def _needs_itself(relation: Relation, brief: IdeaBrief) -> bool:
    """Whether a required reference would lead back, so that no first record could be made."""
    frontier, seen = [relation.target], {relation.target}
    while frontier:
        current = frontier.pop()
        if current == relation.source:
            return True
        for other in brief.relations:
            if other.required and other.source == current and other.target not in seen:
                seen.add(other.target)
                frontier.append(other.target)
    return False


def _titled_by(fields: Sequence[FieldPlan]) -> tuple[str, ...]:
    """What tells a person which record it is."""
    for name in _NAMING:
        found = [field for field in fields if field.name == name and not field.to]
        if found:
            return (found[0].name,)
    words = [f.name for f in fields if f.required and f.type in (FieldType.TEXT, FieldType.EMAIL)]
    references = [f.name for f in fields if f.to and not f.many and f.required]
    days = [f.name for f in fields if f.type is FieldType.DATE and f.required]
    if references:
        return tuple([*references[:TITLE_FIELDS], *days[:1]])
    chosen = [*words[:1], *days[:1]] or [f.name for f in fields if f.required and not f.many]
    return tuple(chosen[:TITLE_FIELDS] or [field.name for field in fields][:1])


_NAMING = (
    "name",
    "title",
    "full_name",
    "subject",
    "headline",
    "registration_number",
    "tag_number",
    "bag_number",
    "invoice_number",
    "tracking_number",
    "account_number",
    "number",
    "question",
)
