"""Clauses, lists of facts and relations in one sentence, by position and word lists.

This is no parser of English. It knows the forms in which ideas are written: "members can
borrow books", "librarians manage titles and copies", "products with name, price and
stock", "each patient has a name and a phone", "each order belongs to a customer".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.offline.english.inflection import base_form, is_plural, participle, singular
from adapters.offline.english.words import ADJECTIVES, MODALS, STOP_WORDS, VERBS
from adapters.offline.lexicon import LONGEST_NAME, field_names, known_entity, known_role

_JOINTS = frozenset({",", "and", "or"})
_MARKS = frozenset({",", "(", ")", ":", "=", "'s"})
_BE = frozenset({"is", "are", "be", "was", "were", "been", "being", "gets", "get"})
_SKIPPED = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "its",
        "their",
        "his",
        "her",
        "our",
        "my",
        "your",
        "each",
        "every",
        "all",
        "any",
        "some",
        "other",
        "new",
        "own",
        "more",
        "many",
        "several",
        "multiple",
        "different",
        "various",
        "one",
        "two",
        "three",
        "which",
    ]
)
_GENERIC_HEADS = frozenset(
    [
        "record",
        "detail",
        "information",
        "list",
        "report",
        "history",
        "entry",
        "data",
        "profile",
        "management",
        "tracking",
        "schedule",
        "statistic",
        "log",
        "database",
        "register",
        "summary",
        "status",
        "activity",
        "update",
        "reminder",
        "notification",
        "alert",
        "dashboard",
        "feature",
        "module",
        "analytic",
        "insight",
        "calendar",
        "progress",
        "copy",
        "request_form",
        "catalogue",
        "catalog",
        "collection_list",
        "name",
    ]
)


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun phrase: its words in lower case, the last one singular."""

    words: tuple[str, ...]
    plural: bool

    @property
    def name(self) -> str:
        """The words as one name."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Clause:
    """Somebody does something to things. ``subject`` is None where the idea does not say."""

    subject: Noun | None
    verb: str
    objects: tuple[Noun, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said to be kept about ``noun``: field names, or other nouns it has."""

    noun: Noun
    fields: tuple[str, ...]
    has_many: tuple[Noun, ...]
    has_one: tuple[Noun, ...]


@dataclass(frozen=True, slots=True)
class Belonging:
    """``part`` refers to ``whole``."""

    part: Noun
    whole: Noun


class SentenceReader:
    """Reads the tokens of one sentence."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._verbs = self._find_verbs()

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
                agent = self._agent_after(position)
                if nearest is not None:
                    found.append(Clause(agent, verb, (nearest,)))
                continue
            if nearest is not None:
                subject = nearest
            elif self._starts_afresh(position):
                subject = None
            found.append(Clause(subject, verb, tuple(self._noun_list(position + 1)[0])))
        return found

    def facts(self) -> list[Facts]:
        """What is said to be kept about nouns."""
        found: list[Facts] = []
        for position, token in enumerate(self._tokens):
            if token not in _HAVING:
                continue
            noun = self._noun_before(position, across=())
            if noun is None:
                continue
            items = self._items(position + 1)
            told = _told(noun, items, counted=token in ("has", "have", "having"))
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
            elif token == "of" or token == "'s":
                left, right = self._noun_before(position, across=()), self._noun_after(position + 1)
                part, whole = (left, right) if token == "of" else (right, left)
            else:
                continue
            if part is not None and whole is not None and part != whole:
                found.append(Belonging(part, whole))
        return found

    def _find_verbs(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for position, token in enumerate(self._tokens):
            verb = base_form(token, VERBS)
            if verb and self._acts(position, token, verb, found):
                found[position] = verb
        return found

    def _acts(self, position: int, token: str, verb: str, found: dict[int, str]) -> bool:
        """Whether the form of ``verb`` at ``position`` is a verb here and not a noun."""
        before, after = self._token(position - 1), self._token(position + 1)
        if known_role(token) is not None and base_form(after, VERBS) not in ("", after):
            return False
        if token.endswith("ing"):
            return (token == "booking" and before in MODALS) or (
                known_entity(token) is None and self._starts_noun(position + 1)
            )
        if before in MODALS or before in ("then", "also", "not"):
            return token == verb
        if before in _BE:
            return token == participle(verb)
        if token not in (verb, f"{verb}s", f"{verb}es", f"{verb[:-1]}ies"):
            return False
        if before in _JOINTS and found and self._starts_noun(position + 1):
            last = max(found)
            return token == self._tokens[last] or (
                token == verb and self._tokens[last] == found[last]
            )
        if not self._starts_noun(position + 1):
            return False
        if position == 0 or before in (":", "(", ""):
            return token == verb
        if before in _MARKS or before in STOP_WORDS or before in ADJECTIVES:
            return before in ("who", "that", "which", "they", "we", "i", "users") and token == verb
        # A plural subject takes the bare form, a singular one the form with s.
        return (token == verb) == is_plural(before) and self._could_act(before)

    def _could_act(self, word: str) -> bool:
        one = singular(word)
        entity = known_entity(one)
        if known_role(one) is not None or (entity is not None and entity.kind == "person"):
            return True
        return sounds_like_person(one)

    def _is_passive(self, position: int) -> bool:
        verb = self._verbs[position]
        return self._token(position - 1) in _BE and self._tokens[position] == participle(verb)

    def _agent_after(self, position: int) -> Noun | None:
        if self._token(position + 1) != "by":
            return None
        return self._noun_after(position + 2)

    def _starts_afresh(self, position: int) -> bool:
        return position == 0 or self._token(position - 1) not in (*_JOINTS, *MODALS)

    def _noun_list(self, position: int) -> tuple[list[Noun], int]:
        """The nouns from ``position`` on that are joined by commas and conjunctions."""
        found: list[Noun] = []
        while True:
            noun, after = self._noun_at(self._skip(position))
            if noun is None or (found and self._acts_next(after)):
                return found, position
            found.append(noun)
            position = after
            while self._token(after) in _JOINTS:
                after += 1
            if after == position or self._skip(after) in self._verbs:
                return found, position
            position = after

    def _acts_next(self, position: int) -> bool:
        """Whether the noun that ends at ``position`` is the subject of what follows."""
        return position in self._verbs or self._token(position) in (*MODALS, *_BE)

    def _noun_before(self, position: int, across: Sequence[str] = tuple(MODALS)) -> Noun | None:
        """The noun phrase that ends right before ``position``, modals and adverbs apart."""
        end = position
        while end > 0 and (
            self._tokens[end - 1] in across
            or self._tokens[end - 1] in (*_BE, "also", "only", "be", "able", "who", "which", "not")
        ):
            end -= 1
        start = end
        while start > 0 and self._is_noun_word(start - 1) and end - start < LONGEST_NAME:
            start -= 1
        noun = _noun(self._tokens[start:end])
        if noun is not None or start == end or end - start == 1:
            return noun
        return _noun(self._tokens[end - 1 : end])

    def _noun_after(self, position: int) -> Noun | None:
        return self._noun_at(self._skip(position))[0]

    def _noun_at(self, position: int) -> tuple[Noun | None, int]:
        end = position
        while end < len(self._tokens) and self._is_noun_word(end) and end - position < LONGEST_NAME:
            end += 1
        return _noun(self._tokens[position:end]), end

    def _skip(self, position: int) -> int:
        while self._token(position) in _SKIPPED or self._token(position) in ADJECTIVES:
            position += 1
        return position

    def _starts_noun(self, position: int) -> bool:
        start = self._skip(position)
        if start >= len(self._tokens):
            return False
        return self._is_noun_word(start)

    def _is_noun_word(self, position: int) -> bool:
        token = self._tokens[position]
        if position in getattr(self, "_verbs", ()) or token in _MARKS:
            return False
        return token not in STOP_WORDS and token not in ADJECTIVES and not token.isdecimal()

    def _items(self, position: int) -> list[tuple[str, ...]]:
        """The items of a list: words between commas and conjunctions, determiners kept."""
        items: list[tuple[str, ...]] = []
        words: list[str] = []
        for token in (*self._tokens[position : position + 60], ")"):
            if token in _JOINTS:
                items.append(tuple(words))
                words = []
            elif token in _MARKS or token in _LIST_END:
                items.append(tuple(words))
                break
            else:
                words.append(token)
        return [item for item in items if item]

    def _facts_of(self) -> list[Facts]:
        """Facts told as "the name, phone and address of each patient"."""
        found: list[Facts] = []
        for position in self._verbs:
            objects, after = self._noun_list(position + 1)
            fields = [noun.name.replace(" ", "_") for noun in objects]
            whole = self._noun_after(after + 1)
            if (
                self._token(after) in ("of", "for")
                and whole is not None
                and len(fields) > 1
                and all(field in field_names() for field in fields)
            ):
                found.append(Facts(whole, tuple(fields), (), ()))
        return found

    def _token(self, position: int) -> str:
        return self._tokens[position] if 0 <= position < len(self._tokens) else ""


_HAVING = frozenset({"with", "has", "have", "having", "including", "contains", ":", "("})
_LIST_END = frozenset(
    [
        "so",
        "that",
        "when",
        "where",
        "if",
        "because",
        "which",
        "who",
        "while",
        "can",
        "should",
        "must",
        "will",
        "to",
        "for",
        "by",
        "from",
        "are",
        "is",
        "with",
        "in",
        "on",
        "at",
        "using",
        "as",
        "then",
    ]
)
_PERSON_ENDINGS = ("er", "or", "ist", "ian", "ee", "ant", "man", "eer", "wala", "wali", "ess")
_NOT_PEOPLE = frozenset(
    [
        "order",
        "number",
        "paper",
        "letter",
        "matter",
        "center",
        "centre",
        "computer",
        "server",
        "folder",
        "reminder",
        "offer",
        "error",
        "sensor",
        "door",
        "floor",
        "color",
        "colour",
        "factor",
        "tractor",
        "motor",
        "newspaper",
        "counter",
        "register",
        "plant",
        "meter",
        "fee",
        "coffee",
        "committee",
        "degree",
        "dinner",
        "summer",
        "winter",
        "weather",
        "water",
        "user",
        "container",
        "poster",
        "filter",
        "restaurant",
        "grant",
        "tree",
        "river",
        "chapter",
        "quarter",
        "master",
        "layer",
        "timer",
        "tower",
        "error",
        "mirror",
        "corridor",
        "printer",
        "scanner",
        "router",
        "voucher",
        "ledger",
        "locker",
        "calendar",
        "career",
        "monitor",
        "flavour",
        "behavior",
        "transfer",
        "render",
        "parlour",
        "parlor",
        "vendor-list",
        "tender",
        "cylinder",
        "sticker",
        "banner",
    ]
)


def sounds_like_person(word: str) -> bool:
    """Whether a singular word that no list knows is likely to be a person: ``beekeeper``."""
    return len(word) > 4 and word.endswith(_PERSON_ENDINGS) and word not in _NOT_PEOPLE


def _told(noun: Noun, items: Sequence[tuple[str, ...]], *, counted: bool) -> Facts | None:
    fields: list[str] = []
    many: list[Noun] = []
    one: list[Noun] = []
    for item in items:
        words = [word for word in item if word not in _SKIPPED and word not in MODALS]
        if not 0 < len(words) <= LONGEST_NAME or (
            base_form(words[0], VERBS) == words[0] and len(words) > 1
        ):
            break
        name = "_".join(words)
        inner = _noun(words)
        known = known_entity(" ".join(words))
        if name in field_names() or singular(name) in field_names():
            fields.append(name if name in field_names() else singular(name))
        elif known is not None and inner is not None and inner.plural and counted:
            many.append(inner)
        elif known is not None and inner is not None and counted:
            one.append(inner)
        elif known is None:
            fields.append(name)
    if not fields and not many and not one:
        return None
    # "A gym with members" tells no facts; a list does, or a word that is always a fact.
    if not counted and len(items) < 2 and fields and fields[0] not in field_names():
        return None
    return Facts(noun, tuple(dict.fromkeys(fields)), tuple(many), tuple(one))


def _noun(tokens: Sequence[str]) -> Noun | None:
    words = list(tokens)
    if not words:
        return None
    plural = is_plural(words[-1])
    words[-1] = singular(words[-1])
    while len(words) > 1 and words[-1] in _GENERIC_HEADS:
        words.pop()
        plural = plural or is_plural(words[-1])
        words[-1] = singular(words[-1])
    if words[-1] in _GENERIC_HEADS or len(words[-1]) < 2:
        return None
    return Noun(tuple(words), plural)
