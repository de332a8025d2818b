"""From sentences to a model: which entities, actors, actions and relations an idea has."""

from collections import Counter
from collections.abc import Iterator

from adapters.offline.english.inflection import base_form, plural, singular, title_case
from adapters.offline.english.tokens import Sentence, sentences
from adapters.offline.english.words import STATUS_OF_VERB, STOP_WORDS, VERBS, word_set
from adapters.offline.lexicon import (
    Domain,
    EntityKind,
    KnownEntity,
    domain_of,
    field_names,
    is_domain_word,
    known_entity,
    known_role,
    linking_entity,
)
from adapters.offline.reading.facts import as_field, is_fact
from adapters.offline.reading.grammar import SentenceReader
from adapters.offline.reading.links import with_known_links
from adapters.offline.reading.model import Candidate, Deed, Interpretation, Link
from adapters.offline.reading.phrases import Belonging, Clause, Facts, Noun, sounds_like_person
from adapters.offline.reading.verbs import ORGANISATIONS

MAX_ENTITIES = 8
MAX_ACTORS = 6
ENOUGH = 4
"""With so many entities named, an idea says for itself what its trade needs."""
USUAL = 5
"""So many entities a system has, where the idea names fewer and its trade is known."""


def interpret(title: str, idea: str) -> Interpretation:
    """Understand an idea as far as the rules go; there are always two entities at least."""
    read = sentences(idea)
    words = [token for sentence in (*sentences(title), *read) for token in sentence.tokens]
    interpreter = _Interpreter(read or sentences(title), domain_of(words))
    return interpreter.interpretation(words)


class _Interpreter:
    def __init__(self, read: tuple[Sentence, ...], domain: Domain | None) -> None:
        self._sentences = read
        self._domain = domain
        self._candidates: dict[str, Candidate] = {}
        self._actors: dict[str, str] = {}
        self._deeds: dict[Deed, None] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._spoken: dict[str, Counter[str]] = {}
        self._joined: set[str] = set()
        self._latest: Candidate | None = None

    def interpretation(self, words: list[str]) -> Interpretation:
        for sentence in self._sentences:
            reader = SentenceReader(sentence.tokens)
            for noun in reader.nouns():
                self._mentioned(noun)
            for clause in reader.clauses():
                self._done(clause)
            for facts in reader.facts():
                self._told(facts)
            for belonging in reader.belongings():
                self._belongs(belonging)
        recognised = bool(self._strong())
        self._fill_from_domain()
        self._fill_from_words(words)
        chosen = self._chosen()
        links = with_known_links(self._links.values(), chosen, frozenset(self._joined))
        names = {candidate.name for candidate in chosen}
        own = self._own_words(chosen)
        for candidate in chosen:
            if own[candidate.name] != candidate.name:
                candidate.name = own[candidate.name]
                candidate.plural = plural(candidate.name)
        return Interpretation(
            sentences=self._sentences,
            domain=self._domain,
            entities=tuple(chosen),
            actors=tuple((own.get(n, n), about) for n, about in self._actors.items())[:MAX_ACTORS],
            deeds=tuple(
                Deed(own.get(deed.actor, deed.actor), deed.verb, own[deed.entity])
                for deed in self._deeds
                if deed.entity in names
            ),
            links=tuple(Link(own[k.source], own[k.target], k.required) for k in links),
            recognised=recognised,
        )

    def _own_words(self, chosen: list[Candidate]) -> dict[str, str]:
        """For each entity the idea's own word for it: a buyer stays a buyer, no customer."""
        own = {candidate.name: candidate.name for candidate in chosen}
        for candidate in chosen:
            spoken = self._spoken.get(candidate.name)
            if spoken and candidate.name.lower() not in spoken:
                word = title_case(spoken.most_common(1)[0][0])
                if word not in own.values() and word not in candidate.name.split():
                    own[candidate.name] = word
        return own

    def _mentioned(self, noun: Noun) -> None:
        known, modifiers = _known(noun)
        if known is not None:
            self._spoken.setdefault(known.name, Counter())[_spoken(noun)] += 1
            self._candidate(known.name, known).score += _weight(noun)
            for owner in modifiers:
                self._join(known.name, owner.name, required=False)
        role = known_role(noun.words[-1])
        if role is not None:
            self._actors.setdefault(role.name, role.about)
        elif known is not None and known.kind is EntityKind.PERSON:
            self._actors.setdefault(known.name, known.about)
        elif known is None and noun.plural and sounds_like_person(noun.words[-1]):
            self._actors.setdefault(_name(noun), "")

    def _done(self, clause: Clause) -> None:
        actor = self._actor(clause.subject, clause.verb)
        if self._told_of_latest(clause):
            return
        linking = linking_entity(clause.verb)
        found = [c for noun in clause.objects if (c := self._object(noun)) is not None]
        for candidate in found:
            candidate.score += 3.0
            self._latest = candidate
            state = STATUS_OF_VERB.get(clause.verb)
            if state and state not in candidate.states:
                candidate.states.append(state)
            self._deeds.setdefault(Deed(actor, clause.verb, candidate.name))
            self._follows(actor, clause.verb, linking, candidate)
        if linking is not None and not found and actor:
            self._candidate(linking.name, linking).score += 2.0
            self._deeds.setdefault(Deed(actor, "make", linking.name))

    def _follows(
        self, actor: str, verb: str, linking: KnownEntity | None, candidate: Candidate
    ) -> None:
        """What is kept besides because ``actor`` does ``verb`` to ``candidate``."""
        doer = known_entity(actor) if actor else None
        if doer is not None and doer.name == candidate.name:
            return
        joins = candidate.kind is not EntityKind.RECORD
        if linking is not None and doer is not None and joins and _can_join(linking, candidate):
            self._linked(linking, candidate, doer)
        elif linking is not None and not actor and linking.name != candidate.name:
            self._candidate(linking.name, linking).score += 1.5
        elif doer is not None and verb in _MAKING:
            self._join(candidate.name, doer.name, required=False)
            self._candidate(doer.name, doer).score += 1.0

    def _told_of_latest(self, clause: Clause) -> bool:
        """Whether the clause lists facts of what was spoken of last: "record litres and fat"."""
        names = [noun.name.replace(" ", "_") for noun in clause.objects]
        if len(names) < 2 or self._latest is None or clause.verb not in _NOTING:
            return False
        if not all(is_fact(name) for name in names):
            return False
        self._latest.told = True
        told = [as_field(name) for name in names]
        self._latest.fields.extend(name for name in told if name not in self._latest.fields)
        return True

    def _linked(self, linking: KnownEntity, thing: Candidate, doer: KnownEntity) -> None:
        """A person and a thing meet in a record, which refers to both."""
        # Blood that is donated is a blood donation, if there is such a thing.
        special = known_entity(f"{thing.name.split()[0]} {linking.name}")
        linking = special or linking
        self._candidate(linking.name, linking).score += 5.0
        person = self._candidate(doer.name, doer)
        person.score += 3.0
        others = [k for k in self._links.values() if k.source == linking.name and k.required]
        other = next((k for k in others if k.target not in (thing.name, person.name)), None)
        if other is not None and linking.name in self._joined:
            # "Reserve desks and rooms": a reservation is of one or the other.
            self._links[other.source, other.target] = Link(other.source, other.target, False)
        self._joined.add(linking.name)
        if special is None:
            self._join(linking.name, thing.name, required=other is None)
        self._join(linking.name, person.name, required=True)

    def _told(self, facts: Facts) -> None:
        candidate = self._object(facts.noun, counted=bool(facts.fields or facts.has_many))
        if candidate is None:
            return
        self._latest = candidate
        candidate.score += 4.0 if facts.fields or facts.has_many else 2.0
        candidate.told = candidate.told or bool(facts.fields)
        candidate.fields.extend(name for name in facts.fields if name not in candidate.fields)
        for noun in facts.has_many:
            part = self._object(noun)
            if part is not None and part.name != candidate.name:
                part.score += 3.0
                self._join(part.name, candidate.name, required=True)
        for noun in facts.has_one:
            whole = self._object(noun)
            if whole is not None and whole.name != candidate.name:
                whole.score += 2.0
                self._join(candidate.name, whole.name, required=False)

    def _belongs(self, belonging: Belonging) -> None:
        part, _ = _known(belonging.part)
        whole, _ = _known(belonging.whole)
        if part is not None and whole is not None and part.name != whole.name:
            if any(part.name.lower() in ref.alternatives for ref in whole.references):
                return
            self._join(part.name, whole.name, required=False)
            self._candidate(part.name, part).score += 1.0
            self._candidate(whole.name, whole).score += 1.5

    def _actor(self, noun: Noun | None, verb: str) -> str:
        """The name of who acts; a role, somebody who is kept, or somebody no list knows."""
        if noun is None:
            return ""
        role = known_role(noun.words[-1])
        if role is not None:
            self._actors.setdefault(role.name, role.about)
            return role.name
        known, _ = _known(noun)
        if known is not None and (
            known.kind is EntityKind.PERSON or known.name.lower() in ORGANISATIONS
        ):
            self._actors.setdefault(known.name, known.about)
            return known.name
        if known is None and (
            sounds_like_person(noun.words[-1]) or (noun.plural and verb in _HUMAN)
        ):
            name = _name(noun)
            self._actors.setdefault(name, "")
            return name
        return ""

    def _object(self, noun: Noun, *, counted: bool = False) -> Candidate | None:
        """The candidate that ``noun`` names, unless it names somebody who only acts.

        ``counted`` says that the sentence treats it as one of many: "each hive has".
        """
        known, modifiers = _known(noun)
        if known is not None:
            for owner in modifiers:
                self._join(known.name, owner.name, required=False)
            return self._candidate(known.name, known)
        if known_role(noun.words[-1]) is not None or is_domain_word(noun.words[-1]):
            return None
        name = _name(noun)
        if name in self._candidates:
            return self._candidates[name]
        if not _sounds_like_thing(noun, counted=counted):
            return None
        candidate = self._candidate(name, None)
        if not noun.plural and not counted:
            candidate.score -= 1.5
        return candidate

    def _candidate(self, name: str, known: KnownEntity | None) -> Candidate:
        if name not in self._candidates:
            many = known.plural if known else plural(name)
            self._candidates[name] = Candidate(name=name, plural=many, known=known)
        return self._candidates[name]

    def _join(self, source: str, target: str, *, required: bool) -> None:
        if source == target or (target, source) in self._links:
            return
        former = self._links.get((source, target))
        self._links[source, target] = Link(
            source, target, required or (former.required if former else False)
        )

    def _strong(self) -> list[Candidate]:
        return [c for c in self._candidates.values() if c.score >= (1.5 if c.known else 3.0)]

    def _fill_from_domain(self) -> None:
        """What the trade needs, where the idea itself names little."""
        for name, extra in self._domain.extras if self._domain else ():
            self._candidate(name, known_entity(name)).extras.append(extra)
        if self._domain is None or (len(self._strong()) >= ENOUGH and len(self._deeds) >= 2):
            self._weigh_mentions()
            return
        present = {candidate.name for candidate in self._strong()}
        lacking = [name for name in self._domain.entities if name not in present]
        for rank, name in enumerate(lacking[: max(0, USUAL - len(present))]):
            self._candidate(name, known_entity(name)).score += 2.5 - 0.1 * rank
        for name in self._domain.actors:
            if len(self._actors) < 3:
                self._actors.setdefault(name, _about(name))
        spoken = {deed.entity for deed in self._deeds}
        for actor, verb, entity in self._domain.actions:
            if entity in spoken:
                continue
            self._deeds.setdefault(Deed(actor, verb, entity))
            if actor not in self._actors and len(self._actors) < MAX_ACTORS:
                self._actors[actor] = _about(actor)

    def _weigh_mentions(self) -> None:
        """Somebody who acts on what is kept is worth keeping too, where there is room."""
        for candidate in self._candidates.values():
            if candidate.kind is EntityKind.PERSON and candidate.name in self._actors:
                candidate.score += 0.5

    def _fill_from_words(self, words: list[str]) -> None:
        if len(self._strong()) >= 2:
            return
        weak = sorted(self._candidates.values(), key=lambda candidate: -candidate.score)
        met = [candidate.name for candidate in weak if candidate.score >= 1.0]
        for name in [*met, *_content_names(words), "Record"]:
            if len(self._strong()) >= (2 if name in met else 1):
                break
            self._candidate(name, known_entity(name)).score += 3.0
        if len(self._strong()) < 2:
            first = self._strong()[0].name
            name = "Category" if first != "Category" else "Record"
            self._candidate(name, known_entity(name)).score += 3.0
            self._join(first, name, required=False)

    def _chosen(self) -> list[Candidate]:
        strong = self._strong()
        best = sorted(strong, key=lambda c: -c.score)[:MAX_ENTITIES]
        # People and things come before the records between them, else as they were met.
        order = {EntityKind.THING: 0, EntityKind.PERSON: 0, EntityKind.RECORD: 1}
        kept = [candidate for candidate in strong if candidate in best]
        return sorted(kept, key=lambda candidate: order[candidate.kind])


_MAKING = word_set(
    """
    write post upload place raise file submit report request log publish create own sell grow
    teach make offer list send author perform weave raise bake stitch knit paint
    """
)
_ABSTRACT_ENDINGS = (
    "ness",
    "ity",
    "ism",
    "ship",
    "ance",
    "ence",
    "able",
    "ful",
    "ly",
    "ive",
    "ous",
    "ical",
)
_FACT_WORDS = word_set(
    """
    date name price amount phone email address quantity stock cost id code type level photo
    picture image status password count total percentage email-id fact result-sheet location value
    summary balance expiry rating performance money food help work access support quality
    experience need problem people person sms whatsapp notification reminder otp pdf qr gps ai upi
    receipt-number fitness return team-work process paper
    """
)


def _can_join(linking: KnownEntity, candidate: Candidate) -> bool:
    """Whether the record ``linking`` may refer to ``candidate``."""
    names = {name for reference in linking.references for name in reference.alternatives}
    return candidate.known is None or "@thing" in names or candidate.name.lower() in names


_NOTING = word_set("record note enter store keep log track save")
_HUMAN = VERBS - word_set(
    """
    show store keep contain help run process generate calculate fill support measure notify remind
    print list match note work open close start stop change include grow
    """
)


def _known(noun: Noun) -> tuple[KnownEntity | None, list[KnownEntity]]:
    """The entity that the end of ``noun`` names, and those that the words before it name."""
    for start in range(len(noun.words)):
        name = " ".join(noun.words[start:])
        known = known_entity(name)
        if known is not None:
            before = (known_entity(word) for word in noun.words[:start])
            return known, [entity for entity in before if entity is not None and entity != known]
    return None, []


def _weight(noun: Noun) -> float:
    """How much the mere mention of something known speaks for it."""
    if not noun.plural and noun.name.replace(" ", "_") in field_names():
        # "Title" and "subject" are mostly facts of something else.
        return 0.0
    weight = 0.5 if len(noun.words) == 1 and is_domain_word(noun.name) else 1.0
    return weight + (0.5 if noun.plural else 0.0)


def _spoken(noun: Noun) -> str:
    """The words of ``noun`` by which an entity is known."""
    starts = range(len(noun.words))
    return next(w for s in starts if known_entity(w := " ".join(noun.words[s:])) is not None)


def _sounds_like_thing(noun: Noun, *, counted: bool) -> bool:
    word = noun.words[-1]
    if word in _FACT_WORDS or not 3 <= len(word) <= 24:
        return False
    if sounds_like_person(word):
        return counted
    return noun.plural or counted or not word.endswith(_ABSTRACT_ENDINGS)


def _name(noun: Noun) -> str:
    words = [word for word in noun.words if not is_domain_word(word)] or list(noun.words)
    return title_case(" ".join(words[-2:]))


def _about(name: str) -> str:
    role, known = known_role(name), known_entity(name)
    return role.about if role else known.about if known else ""


def _content_names(words: list[str]) -> Iterator[str]:
    """The words that an idea repeats most, as names, the earlier first among equals."""
    nouns = [
        singular(word)
        for word in words
        if word.isalpha() or not word.isascii()
        if word not in STOP_WORDS and 3 <= len(word) <= 24 and not base_form(word, VERBS)
    ]
    counts = Counter(nouns)
    # Where words carry their cases at the end, as in Tamil, the longest one says most.
    length = {word: 0 if word < "\u0980" else -len(word) for word in counts}
    order = sorted(counts, key=lambda word: (-counts[word], length[word], nouns.index(word)))
    for word in order[:5]:
        if any(character.isalpha() for character in word):
            yield title_case(word)
