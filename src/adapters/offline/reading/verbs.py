"""Tells which words of a sentence are verbs there: many, such as "book", are also nouns."""

from collections.abc import Mapping, Sequence

from adapters.offline.english.inflection import base_form, is_plural, participle, singular
from adapters.offline.english.words import ADJECTIVES, MODALS, STOP_WORDS, VERBS, word_set
from adapters.offline.lexicon import EntityKind, known_entity, known_role, linking_entity
from adapters.offline.reading.phrases import (
    BE,
    DETERMINERS,
    JOINTS,
    MARKS,
    names_things,
    sounds_like_person,
)


def verbs_in(tokens: Sequence[str]) -> Mapping[int, str]:
    """The verbs of ``tokens`` in their base form, by position."""
    return _Finder(tokens).found


class _Finder:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self.found: dict[int, str] = {}
        for position, token in enumerate(tokens):
            verb = base_form(token, VERBS)
            if verb and self._acts(position, token, verb):
                self.found[position] = verb

    def _acts(self, position: int, token: str, verb: str) -> bool:
        before, after = self._token(position - 1), self._token(position + 1)
        if known_role(token) is not None and base_form(after, VERBS) not in ("", after):
            return False
        if token.endswith("ing"):
            return known_entity(token) is None and self._object_follows(position)
        if before in MODALS or before in ("then", "also", "not"):
            return token == verb
        if before in BE:
            return token == participle(verb)
        if token not in (verb, f"{verb}s", f"{verb}es", f"{verb[:-1]}ies"):
            return False
        if before in JOINTS and self.found and self._object_follows(position):
            last = max(self.found)
            bare = self._tokens[last] == self.found[last]
            return (token == verb) == bare and not self._subject_here(position)
        if not self._object_follows(position):
            # "Candidates apply" needs no object, for the record that follows is known.
            person = self._is_person(singular(before))
            return person and (token == verb) == is_plural(before) and bool(linking_entity(verb))
        if position == 0 or before in (":", "("):
            return token == verb
        if before in MARKS or before in STOP_WORDS or before in ADJECTIVES:
            return before in _PRONOUNS and token == verb
        # A plural subject takes the bare form, a singular one the form with s.
        if (token == verb) != is_plural(before):
            return False
        return self._could_act(singular(before), verb)

    def _object_follows(self, position: int) -> bool:
        """Whether there is something after ``position`` that a verb could be done to."""
        start = position + 1
        if self._token(start) in _PREPOSITIONS and self._tokens[position] in VERBS:
            start += 1
        elif self._token(start) in JOINTS and base_form(self._token(start + 1), VERBS):
            return self._tokens[position] in VERBS and self._token(start + 1) in VERBS
        while self._token(start) in DETERMINERS or self._token(start) in ADJECTIVES:
            start += 1
        return start < len(self._tokens) and names_things(self._tokens[start])

    def _subject_here(self, position: int) -> bool:
        """Whether the word at ``position`` is rather the subject of the verb after it."""
        token, after = self._tokens[position], self._token(position + 1)
        person = known_role(token) or sounds_like_person(singular(token))
        return bool(person) and bool(base_form(after, VERBS))

    def _is_person(self, word: str) -> bool:
        entity = known_entity(word)
        return known_role(word) is not None or (
            entity is not None and entity.kind is EntityKind.PERSON
        )

    def _could_act(self, word: str, verb: str) -> bool:
        entity = known_entity(word)
        if entity is not None:
            return entity.kind is EntityKind.PERSON or word in ORGANISATIONS
        if known_role(word) is not None or sounds_like_person(word):
            return True
        # "Astronauts log experiments": what no list knows may act, if the verb is only a verb.
        return known_entity(verb) is None and verb not in _OF_MACHINES

    def _token(self, position: int) -> str:
        return self._tokens[position] if 0 <= position < len(self._tokens) else ""


ORGANISATIONS = word_set("hospital company school department team club group shop society college")
"""Things that act as people do."""

_PRONOUNS = word_set("who that which they we i users")
_PREPOSITIONS = word_set("for in to on at with into about")
_OF_MACHINES = word_set(
    """
    show store keep contain help run process generate calculate fill support measure notify remind
    print list match note work open close start stop change
    """
)
