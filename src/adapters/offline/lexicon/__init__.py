"""What the composition knows of the world: entities, roles, linking verbs, lines of work."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from adapters.offline.english.inflection import plural, singular
from adapters.offline.lexicon.entry import (
    Domain,
    EntityKind,
    KnownEntity,
    Role,
    read_entity,
    read_field,
)
from domain.agents.artifacts import EntityField

__all__ = [
    "Domain",
    "EntityKind",
    "KnownEntity",
    "Role",
    "domain_of",
    "field_names",
    "is_domain_word",
    "known_entity",
    "known_role",
    "linking_entity",
]

LONGEST_NAME = 3
"""Words of the longest name that is looked up."""


def known_entity(name: str) -> KnownEntity | None:
    """The entity with that name or alias, in any case, singular or plural."""
    return _entities().get(_key(name))


def known_role(name: str) -> Role | None:
    """The role with that name or alias, in any case, singular or plural."""
    return _roles().get(_key(name))


def linking_entity(verb: str) -> KnownEntity | None:
    """The record by which ``verb`` joins a person and a thing, e.g. a loan for ``borrow``."""
    name = _linking().get(verb)
    return known_entity(name) if name else None


def domain_of(words: Sequence[str]) -> Domain | None:
    """The line of work that ``words`` speak of most; the first named when in doubt."""
    counts: dict[int, float] = {}
    singulars = [singular(word) for word in words]
    pairs = [f"{first}_{second}" for first, second in pairwise(singulars)]
    for position, word in enumerate(dict.fromkeys([*words, *singulars])):
        for index in _domain_words().get(word, ()):
            # The first words of an idea say what it is about; later ones give examples.
            counts[index] = counts.get(index, 0.0) + (3.0 if position < 12 else 1.0)
    for pair in dict.fromkeys(pairs):
        for index in _domain_words().get(pair, ()):
            counts[index] = counts.get(index, 0.0) + 4.0
    if not counts:
        return None
    best = max(counts, key=lambda index: (counts[index], -index))
    return _domains()[best]


def is_domain_word(word: str) -> bool:
    """Whether ``word`` names a place or trade rather than something that is kept."""
    return word in _domain_words()


def field_names() -> frozenset[str]:
    """Every name of a field in the lexicon: what sounds like a fact rather than a thing."""
    return _field_names()


def _key(name: str) -> str:
    head, _, last = name.lower().rpartition(" ")
    return f"{head} {singular(last)}" if head else singular(last)


def _read(file: str) -> Mapping[str, list[dict[str, Any]]]:
    source = resources.files(__name__).joinpath(f"{file}.toml").read_text(encoding="utf-8")
    return tomllib.loads(source)


@cache
def _entities() -> Mapping[str, KnownEntity]:
    found: dict[str, KnownEntity] = {}
    aliases: dict[str, KnownEntity] = {}
    for file, kind in (
        ("people", EntityKind.PERSON),
        ("things", EntityKind.THING),
        ("records", EntityKind.RECORD),
    ):
        for entry in _read(file)["entity"]:
            entity = read_entity(entry, kind)
            found[_key(entity.name)] = entity
            for alias in entity.aliases:
                aliases.setdefault(_key(alias), entity)
    return MappingProxyType({**aliases, **found})


@cache
def _roles() -> Mapping[str, Role]:
    roles: dict[str, Role] = {}
    for entry in _read("people")["role"]:
        role = Role(
            name=entry["name"],
            plural=entry.get("plural") or plural(entry["name"]),
            about=entry["about"],
            aliases=tuple(entry.get("aliases", "").split()),
        )
        for name in (role.name, *role.aliases):
            roles[_key(name)] = role
    return MappingProxyType(roles)


@cache
def _linking() -> Mapping[str, str]:
    return MappingProxyType(
        {
            verb: entry["entity"]
            for entry in _read("records")["linking"]
            for verb in entry["verbs"].split()
        }
    )


@cache
def _domains() -> tuple[Domain, ...]:
    return tuple(
        Domain(
            label=entry["label"],
            words=tuple(entry["words"].split()),
            problem=entry["problem"],
            actors=_listed(entry["actors"]),
            entities=_listed(entry["entities"]),
            actions=tuple(_clause(clause, entry) for clause in _listed(entry["actions"])),
            extras=tuple(_extra(text) for text in _listed(entry.get("extras", ""))),
        )
        for entry in _read("domains")["domain"]
    )


@cache
def _domain_words() -> Mapping[str, tuple[int, ...]]:
    words: dict[str, tuple[int, ...]] = {}
    for index, domain in enumerate(_domains()):
        for word in domain.words:
            words[word] = (*words.get(word, ()), index)
            words.setdefault(singular(word), words[word])
    return MappingProxyType(words)


@cache
def _field_names() -> frozenset[str]:
    names = {field.name for entity in _entities().values() for field in entity.fields}
    return frozenset(names)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _extra(text: str) -> tuple[str, EntityField]:
    name, _, declared = text.rpartition(" ")
    return name, read_field(declared)


def _clause(text: str, entry: Mapping[str, str]) -> tuple[str, str, str]:
    """An action of a domain; actors and entities are told apart from the verb by their names."""
    actor = next(name for name in _listed(entry["actors"]) if text.startswith(f"{name} "))
    verb, _, entity = text.removeprefix(f"{actor} ").partition(" ")
    return actor, verb, entity
