"""How the lexicon is written down: short declarations, read when they are looked up.

A field is ``name``, ``name!`` when it is required, ``name:type`` where the type does not
follow from the name, or ``name=first|second`` for a choice (``+`` stands for a space).
"""

from dataclasses import dataclass

from adapters.offline.lexicon.field_types import choices_of, label_of, type_of
from domain.agents.artifacts import EntityField, FieldType


@dataclass(frozen=True, slots=True)
class KnownEntity:
    """Something that ideas often speak of, with the facts that are kept about it.

    ``refs`` are other entities it refers to: groups apart by blanks between ``&``,
    alternatives by ``|``, the first one present is taken; ``!`` makes it required.
    """

    name: str
    fields: str
    about: str
    aliases: str = ""
    refs: str = ""
    plural: str = ""

    @property
    def entity_fields(self) -> tuple[EntityField, ...]:
        """The declared fields."""
        return tuple(read_field(word) for word in self.fields.split())

    @property
    def references(self) -> tuple[tuple[tuple[str, ...], bool], ...]:
        """For each reference its alternatives, lower-case, and whether it is required."""
        groups = [group.strip() for group in self.refs.split("&") if group.strip()]
        return tuple(
            (tuple(group.rstrip("!").split("|")), group.endswith("!")) for group in groups
        )


@dataclass(frozen=True, slots=True)
class Role:
    """Somebody who uses the system without being one of its records."""

    name: str
    about: str
    aliases: str = ""
    plural: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """A line of work: what an idea means when it names little more than this.

    ``actions`` are ``Actor verb Entity`` clauses, apart by semicolons.
    """

    words: str
    label: str
    problem: str
    actors: str
    entities: str
    actions: str


@dataclass(frozen=True, slots=True)
class Linking:
    """A verb that joins a person and a thing in a record of its own, such as a loan."""

    verbs: str
    entity: str


def read_field(word: str) -> EntityField:
    """The field that a declaration such as ``price!`` means."""
    declared, _, listed = word.partition("=")
    declared, _, typed = declared.partition(":")
    required = declared.endswith("!") or bool(listed)
    name = declared.rstrip("!")
    choices = tuple(choice.replace("+", " ") for choice in listed.split("|") if choice)
    type_ = FieldType.CHOICE if choices else FieldType(typed) if typed else type_of(name)
    if type_ is FieldType.CHOICE and not choices:
        choices = choices_of(name)
    return EntityField(
        name=name,
        type=type_,
        required=required,
        description=f"{label_of(name)}.",
        choices=choices,
    )
