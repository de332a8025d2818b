"""Reads lists of facts: "each patient has a name, a phone and a blood group"."""

from collections.abc import Iterator, Sequence

from adapters.offline.english.inflection import base_form, plural, singular
from adapters.offline.english.words import MODALS, STOP_WORDS, VERBS, word_set
from adapters.offline.lexicon import LONGEST_NAME, field_names, known_entity, known_role
from adapters.offline.lexicon.field_types import type_of
from adapters.offline.reading.phrases import DETERMINERS, JOINTS, MARKS, Facts, Noun, noun_of
from domain.agents.artifacts import FieldType

INTRODUCING = frozenset({"with", "has", "have", "having", "including", "contains", ":", "("})
"""Words before a list of facts."""

_COUNTING = frozenset({"has", "have", "having"})


def is_fact(name: str) -> bool:
    """Whether a word or two, joined by ``_``, sound like a fact rather than like a thing."""
    if {name, singular(name), plural(name)} & (field_names() | _FACTS):
        return True
    return type_of(name) is not FieldType.TEXT


def facts_after(noun: Noun, introduced: str, tokens: Sequence[str]) -> Facts | None:
    """What ``tokens``, a list after the word ``introduced``, tell about ``noun``."""
    counted = introduced in _COUNTING
    fields: list[str] = []
    many: list[Noun] = []
    one: list[Noun] = []
    for item in _items(tokens):
        words = [word for word in item if word not in DETERMINERS and word not in MODALS]
        if "of" in words:
            inner = noun_of(words[words.index("of") + 1 :])
            if counted and inner is not None and inner.plural:
                many.append(inner)
                continue
            words = words[: words.index("of")]
        if _is_clause(words):
            break
        if counted and _MANY.intersection(item):
            inner = noun_of(words)
            many.extend([inner] if inner is not None and inner.plural else [])
            continue
        for part in _parts(words):
            name, known = "_".join(part), known_entity(" ".join(part))
            inner = noun_of(part)
            if is_fact(name):
                fields.append(as_field(name))
            elif known is None and (counted or not any(map(known_entity, part))):
                fields.append(name)
            elif inner is not None and counted:
                (many if inner.plural else one).append(inner)
    facts = [name for name in dict.fromkeys(fields) if name not in _NOT_KEPT]
    # "A gym with trainers" and "Lab booking: students …" tell no facts.
    if not counted and not any(is_fact(name) for name in facts):
        facts = []
    if introduced in (":", "(") and sum(map(is_fact, facts)) < 2:
        return None
    if not facts and not many and not one:
        return None
    return Facts(noun, tuple(facts), tuple(many), tuple(one))


def _items(tokens: Sequence[str]) -> Iterator[list[str]]:
    """The words between commas and conjunctions, up to where the list ends."""
    words: list[str] = []
    for position, token in enumerate(tokens[:80]):
        following = tokens[position + 1] if position + 1 < len(tokens) else ""
        if token == "in" and following == "stock":
            # "Quantity in stock" is one fact.
            words.append("in")
        elif token in JOINTS:
            yield words
            words = []
        elif token in MARKS or token in _LIST_END:
            break
        else:
            words.append(token)
    yield words


def _is_clause(words: Sequence[str]) -> bool:
    """Whether the list has ended and a new clause begins."""
    if len(words) > 2 * LONGEST_NAME or any(word in _PRONOUNS for word in words):
        return True
    for position, word in enumerate(words):
        actor = known_role(word) or known_entity(singular(word))
        rest = words[position + 1 : position + 2]
        if actor is not None and rest and base_form(rest[0], VERBS) and not is_fact(rest[0]):
            return True
    verb = bool(words) and len(words) > 1 and base_form(words[0], VERBS) == words[0]
    return verb and not is_fact("_".join(words)) and not is_fact(words[0])


def _parts(words: Sequence[str]) -> Iterator[list[str]]:
    """An item as one fact, or as several when a comma between known ones was forgotten."""
    kept = [word for word in words if word not in STOP_WORDS or word in ("in", "number", "time")]
    if not kept or len(kept) > 2 * LONGEST_NAME:
        return
    if (len(kept) > 1 and not is_fact("_".join(kept)) and all(is_fact(w) for w in kept)) or (
        "_".join(kept) not in field_names()
        and len(kept) > 1
        and all(word in field_names() or word in _NOT_KEPT for word in kept)
    ):
        for word in kept:
            yield [word]
    elif len(kept) <= LONGEST_NAME:
        yield kept


def as_field(name: str) -> str:
    """The name of the field that is meant: the lexicon's spelling where it has one."""
    known = (form for form in (name, singular(name), plural(name)) if form in field_names())
    return next(known, name)


_FACTS = word_set("name title code photo photos image images picture pictures video videos id")
_NOT_KEPT = word_set("photo photos image images picture pictures video videos")
_MANY = word_set("many several multiple various different")
_PRONOUNS = word_set("them they it he she we you who")
_LIST_END = word_set(
    """
    so that when where if because which who while can should must will to for by from are is with
    in on at using as then but
    """
)
