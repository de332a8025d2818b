"""What was understood of an idea, as values."""

from dataclasses import dataclass, field

from adapters.offline.english.tokens import Sentence
from adapters.offline.lexicon import Domain, EntityKind, KnownEntity
from domain.agents.artifacts import EntityField


@dataclass(slots=True)
class Candidate:
    """An entity that the idea may be about, and what speaks for it.

    ``fields`` are told by the idea, ``extras`` usual in its line of work; ``states`` follow
    from the verbs that are done to it.
    """

    name: str
    plural: str
    known: KnownEntity | None
    score: float = 0.0
    fields: list[str] = field(default_factory=list)
    extras: list[EntityField] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    told: bool = False

    @property
    def kind(self) -> EntityKind:
        """What it is; what no list knows is taken for a thing."""
        return self.known.kind if self.known else EntityKind.THING


@dataclass(frozen=True, slots=True)
class Link:
    """``source`` refers to ``target``, both names of entities."""

    source: str
    target: str
    required: bool


@dataclass(frozen=True, slots=True)
class Deed:
    """``actor`` does ``verb`` to ``entity``. ``actor`` is empty where the idea does not say."""

    actor: str
    verb: str
    entity: str


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What was understood of an idea."""

    sentences: tuple[Sentence, ...]
    domain: Domain | None
    entities: tuple[Candidate, ...]
    actors: tuple[tuple[str, str], ...]
    deeds: tuple[Deed, ...]
    links: tuple[Link, ...]
    recognised: bool
