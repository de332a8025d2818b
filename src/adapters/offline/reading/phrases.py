"""The parts of sentences that are read: nouns, clauses, facts and belongings."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.offline.english.inflection import is_plural, singular
from adapters.offline.english.words import ADJECTIVES, STOP_WORDS, VERBS, word_set

JOINTS = frozenset({",", "and", "or"})
MARKS = frozenset({",", "(", ")", ":", "=", "'s"})
BE = frozenset({"is", "are", "be", "was", "were", "been", "being", "gets", "get"})
DETERMINERS = word_set(
    """
    a an the this that these those its their his her our my your each every all any some other new
    own more many several multiple different various one two three which
    """
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
    has_many: tuple[Noun, ...] = ()
    has_one: tuple[Noun, ...] = ()


@dataclass(frozen=True, slots=True)
class Belonging:
    """``part`` refers to ``whole``."""

    part: Noun
    whole: Noun


def noun_of(tokens: Sequence[str]) -> Noun | None:
    """The noun phrase that ``tokens`` make; None when they name nothing that is kept."""
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


def names_things(token: str) -> bool:
    """Whether ``token`` may stand in a noun phrase."""
    if token in MARKS or token in STOP_WORDS or token in ADJECTIVES or token.isdecimal():
        return False
    return not (token.endswith("ly") and len(token) > 4 and token not in _NO_ADVERBS)


def sounds_like_person(word: str) -> bool:
    """Whether a singular word that no list knows is likely to be a person: ``beekeeper``."""
    if len(word) < 5 or word in _NOT_PEOPLE or word in VERBS:
        return False
    return word.endswith(_PERSON_ENDINGS)


_NO_ADVERBS = word_set("family supply assembly reply anomaly july monopoly butterfly")
_GENERIC_HEADS = word_set(
    """
    record detail information list report history entry data profile management tracking schedule
    statistic log database register summary status activity update reminder notification alert
    dashboard feature module analytic insight calendar progress copy catalogue catalog name
    system availability return
    """
)
_PERSON_ENDINGS = (
    "er", "or", "ist", "ian", "ee", "ant", "man", "eer", "wala", "wali", "ess", "naut", "smith",
    "mate",
)  # fmt: skip
_NOT_PEOPLE = word_set(
    """
    order number paper letter matter center centre computer server folder reminder offer error
    sensor door floor color colour factor tractor motor newspaper counter register plant meter fee
    coffee committee degree dinner summer winter weather water user container poster filter
    restaurant grant tree river chapter quarter master layer timer tower mirror corridor printer
    scanner router voucher ledger locker calendar career monitor flavour behavior transfer render
    parlour parlor tender cylinder sticker banner process business address access success fitness
    illness witness newsletter charger trailer drawer flower cancer fever tyre tiger spider cover
    border power corner finger shower sweater blazer burger cracker pepper ginger butter copper
    silver leather feather laser wafer jumper helicopter scooter trekker antenna climate estimate
    certificate template chocolate plate debate committee employee-id guarantee trophy elephant
    restaurant instrument pant warrant variant constant assistant-id bluetooth
    """
)
