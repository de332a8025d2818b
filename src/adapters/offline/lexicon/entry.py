"""What the lexicon's entries say. They are written down in the TOML files beside this one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from adapters.offline.english.inflection import plural
from adapters.offline.lexicon.field_types import choices_of, label_of, type_of
from domain.agents.artifacts import EntityField, FieldType


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntity:
    """Something that ideas often speak of, with the facts that are kept about it."""

    name: str
    plural: str
    about: str
    fields: tuple[EntityField, ...]
    references: tuple["KnownReference", ...]
    aliases: tuple[str, ...]
    kind: "EntityKind"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReference:
    """What an entity refers to: the first of the ``alternatives`` that is present."""

    alternatives: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Somebody who uses the system without being one of its records."""

    name: str
    plural: str
    about: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A line of work. ``actions`` are (actor, verb, entity), ``extras`` fields that an entity
    has in this line of work only."""

    label: str
    words: tuple[str, ...]
    problem: str
    actors: tuple[str, ...]
    entities: tuple[str, ...]
    actions: tuple[tuple[str, str, str], ...]
    extras: tuple[tuple[str, EntityField], ...]


class EntityKind(StrEnum):
    """Whether an entity is somebody, something, or what happens between them."""

    PERSON = "person"
    THING = "thing"
    RECORD = "record"


def read_entity(entry: Mapping[str, str], kind: EntityKind) -> KnownEntity:
    """The entity that an entry of the lexicon declares."""
    name = entry["name"]
    return KnownEntity(
        name=name,
        plural=entry.get("plural") or plural(name),
        about=entry["about"],
        fields=tuple(read_field(word) for word in entry["fields"].split()),
        references=tuple(
            KnownReference(
                alternatives=tuple(group.strip().removesuffix("!").split("|")),
                required=group.strip().endswith("!"),
            )
            for group in entry.get("refs", "").split("&")
            if group.strip()
        ),
        aliases=tuple(alias.replace("_", " ") for alias in entry.get("aliases", "").split()),
        kind=kind,
    )


def read_field(word: str) -> EntityField:
    """The field that a declaration such as ``price!`` means."""
    declared, _, listed = word.partition("=")
    required = "!" in declared
    declared, _, typed = declared.replace("!", "").partition(":")
    choices = tuple(choice.replace("+", " ") for choice in listed.split("|") if choice)
    return field_named(
        declared,
        required=required or bool(choices),
        type_=FieldType(typed) if typed else None,
        choices=choices,
    )


def field_named(
    name: str,
    *,
    required: bool,
    type_: FieldType | None = None,
    choices: tuple[str, ...] = (),
) -> EntityField:
    """A field whose type and choices follow from its name unless they are given."""
    type_ = FieldType.CHOICE if choices else type_ or type_of(name)
    return EntityField(
        name=name,
        type=type_,
        required=required,
        description=f"{label_of(name)}.",
        choices=(choices or choices_of(name)) if type_ is FieldType.CHOICE else (),
    )
