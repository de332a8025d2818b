"""Clauses, lists of facts and relations in one sentence, by position and word lists.

This is no parser of English. It knows the forms in which ideas are written: "members can
borrow books", "librarians manage titles and copies", "products with name, price and
stock", "each patient has a name and a phone", "each order belongs to a customer".
"""

from collections.abc import Sequence

from adapters.offline.english.inflection import participle
from adapters.offline.english.words import ADJECTIVES, MODALS
from adapters.offline.lexicon import LONGEST_NAME
from adapters.offline.reading.facts import INTRODUCING, facts_after, is_fact
from adapters.offline.reading.phrases import (
    BE,
    DETERMINERS,
    JOINTS,
    Belonging,
    Clause,
    Facts,
    Noun,
    names_things,
    noun_of,
)
from adapters.offline.reading.verbs import verbs_in


class SentenceReader:
    """Reads the tokens of one sentence."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = _joined_verbs(tokens)
        self._verbs = verbs_in(self._tokens)

    def nouns(self) -> list[Noun]:
        """Every noun phrase, in order."""
        found: list[Noun] = []
        position = 0
        while position < len(self._tokens):
            noun, after = self._noun_at(position)
            if noun is not None:
                found.append(noun)
            position = max(after, position + 1)
        return found

    def clauses(self) -> list[Clause]:
        """Every clause: active, passive, and without a subject."""
        found: list[Clause] = []
        subject: Noun | None = None
        for position in sorted(self._verbs):
            verb = self._verbs[position]
            nearest = self._noun_before(position)
            if self._is_passive(position):
                if nearest is not None:
                    found.append(Clause(self._agent_after(position), verb, (nearest,)))
                continue
            if nearest is not None:
                subject = nearest
            elif self._starts_afresh(position):
                subject = None
            found.append(Clause(subject, verb, self._objects(position)))
        return found

    def facts(self) -> list[Facts]:
        """What is said to be kept about nouns."""
        found: list[Facts] = []
        for position, token in enumerate(self._tokens):
            noun = self._noun_before(position, across=()) if token in INTRODUCING else None
            told = facts_after(noun, token, self._tokens[position + 1 :]) if noun else None
            if told is not None:
                found.append(told)
        found.extend(self._facts_of())
        return found

    def belongings(self) -> list[Belonging]:
        """What is said to belong to something."""
        found: list[Belonging] = []
        for position, token in enumerate(self._tokens):
            if token in ("belongs", "belong") and self._token(position + 1) == "to":
                part, whole = self._noun_before(position), self._noun_after(position + 2)
            elif token in ("of", "'s"):
                left, right = self._noun_before(position, across=()), self._noun_after(position + 1)
                part, whole = (left, right) if token == "of" else (right, left)
            else:
                continue
            if part is not None and whole is not None and part != whole:
                found.append(Belonging(part, whole))
        return found

    def _facts_of(self) -> list[Facts]:
        """Facts told as "the name, phone and address of each patient"."""
        found: list[Facts] = []
        for position in self._verbs:
            objects, after = self._noun_list(self._after_preposition(position))
            whole = self._noun_after(after + 1)
            fields = [noun.name.replace(" ", "_") for noun in objects]
            told = len(fields) > 1 and all(is_fact(field) for field in fields)
            if told and whole is not None and self._token(after) in ("of", "for"):
                found.append(Facts(whole, tuple(fields)))
        return found

    def _objects(self, position: int) -> tuple[Noun, ...]:
        """What is done to, or what the next verb is done to: "approve or reject requests"."""
        for _ in range(_SHARED):
            objects, after = self._noun_list(self._after_preposition(position))
            while self._token(after) in JOINTS:
                after += 1
            if objects or after not in self._verbs:
                return tuple(objects)
            position = after
        return ()

    def _after_preposition(self, position: int) -> int:
        following = self._token(position + 1)
        return position + (2 if following in _PREPOSITIONS else 1)

    def _is_passive(self, position: int) -> bool:
        verb = self._verbs[position]
        return self._token(position - 1) in BE and self._tokens[position] == participle(verb)

    def _agent_after(self, position: int) -> Noun | None:
        return self._noun_after(position + 2) if self._token(position + 1) == "by" else None

    def _starts_afresh(self, position: int) -> bool:
        return position == 0 or self._token(position - 1) not in (*JOINTS, *MODALS)

    def _noun_list(self, position: int) -> tuple[list[Noun], int]:
        """The nouns from ``position`` on that are joined by commas and conjunctions."""
        found: list[Noun] = []
        while True:
            noun, after = self._noun_at(self._skip(position))
            if noun is None or (found and self._acts_next(after)):
                return found, position
            found.append(noun)
            position = after
            while self._token(after) in JOINTS:
                after += 1
            if after == position or self._skip(after) in self._verbs:
                return found, position
            position = after

    def _acts_next(self, position: int) -> bool:
        """Whether the noun that ends at ``position`` is the subject of what follows."""
        return position in self._verbs or self._token(position) in _PREDICATES

    def _noun_before(self, position: int, across: Sequence[str] = tuple(MODALS)) -> Noun | None:
        """The noun phrase that ends right before ``position``, modals and adverbs apart."""
        end = position
        while end > 0 and self._tokens[end - 1] in (*across, *BE, *_BETWEEN):
            end -= 1
        start = end
        while start > 0 and self._is_noun_word(start - 1) and end - start < LONGEST_NAME:
            start -= 1
        noun = noun_of(self._tokens[start:end])
        if noun is not None or end - start < 2:
            return noun
        return noun_of(self._tokens[end - 1 : end])

    def _noun_after(self, position: int) -> Noun | None:
        return self._noun_at(self._skip(position))[0]

    def _noun_at(self, position: int) -> tuple[Noun | None, int]:
        end = position
        while end < len(self._tokens) and self._is_noun_word(end) and end - position < LONGEST_NAME:
            end += 1
        return noun_of(self._tokens[position:end]), end

    def _skip(self, position: int) -> int:
        while self._token(position) in DETERMINERS or self._token(position) in ADJECTIVES:
            position += 1
        return position

    def _is_noun_word(self, position: int) -> bool:
        return position not in self._verbs and names_things(self._tokens[position])

    def _token(self, position: int) -> str:
        return self._tokens[position] if 0 <= position < len(self._tokens) else ""


_SHARED = 6
"""So many verbs in a row share their object; more are no sentence."""
_PREPOSITIONS = frozenset({"for", "in", "to", "on", "at", "with", "into", "about"})
_BETWEEN = frozenset({"also", "only", "able", "who", "which", "not", "then"})
_PREDICATES = frozenset({*MODALS, *BE, "has", "have", "belongs", "belong"})
_PARTICLES = {("sign", "up"): "signup", ("check", "out"): "checkout", ("check", "in"): "checkin"}


def _joined_verbs(tokens: Sequence[str]) -> tuple[str, ...]:
    """The tokens, with verbs that are written apart as one word."""
    joined: list[str] = []
    for token in tokens:
        pair = (joined[-1], token) if joined else ("", token)
        if pair in _PARTICLES:
            joined[-1] = _PARTICLES[pair]
        else:
            joined.append(token)
    return tuple(joined)
