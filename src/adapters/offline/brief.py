"""Composes the brief of an idea: what was understood, said in the idea's own words."""

import re
from collections.abc import Iterable, Iterator

from adapters.offline.english.inflection import (
    does,
    doing,
    in_sentence,
    is_plural,
    joined,
    plural,
    with_article,
)
from adapters.offline.english.tokens import cleaned, one_line
from adapters.offline.english.words import VAGUE, word_set
from adapters.offline.identifiers import words_of
from adapters.offline.lexicon import EntityKind, known_entity
from adapters.offline.lexicon.entry import field_named
from adapters.offline.lexicon.field_types import STATUS_CHOICES
from adapters.offline.limits import left_out
from adapters.offline.reading.interpretation import interpret
from adapters.offline.reading.model import Candidate, Deed, Interpretation
from domain.agents.artifacts import (
    Action,
    Actor,
    Cardinality,
    Entity,
    EntityField,
    FieldType,
    Idea,
    IdeaBrief,
    Relation,
)

MAX_FIELDS = 14
MAX_ACTIONS = 18


def compose_brief(idea: Idea) -> IdeaBrief:
    """The brief of ``idea``; never fails, whatever the text is."""
    read = interpret(idea.title, idea.idea)
    title = title_of(idea)
    actors = tuple(_actors(read))
    entities = tuple(_entity(candidate, read) for candidate in read.entities)
    relations = tuple(_relations(read, entities))
    actions = tuple(_actions(read, actors))
    return IdeaBrief(
        title=title,
        summary=_summary(idea, title, entities),
        problem=_problem(read, entities),
        actors=actors,
        goals=tuple(_goals(read, entities, actors)),
        entities=entities,
        relations=relations,
        actions=actions,
        assumptions=tuple(_assumptions(read, entities, relations)),
        out_of_scope=left_out(idea.idea),
        open_questions=tuple(_questions(idea, read, actors)),
    )


def title_of(idea: Idea) -> str:
    """The idea's title, or its first words when it has none."""
    title = one_line(idea.title, 100)
    if not title:
        # The first clause of an idea mostly says what it is; its article is no part of a name.
        words = _CLAUSE_END.split(one_line(idea.idea, 400), maxsplit=1)[0]
        title = one_line(re.sub(r"^(an?|the)\s+", "", words, flags=re.IGNORECASE), 70)
    title = title.rstrip(".!?,;: ")
    return title[:1].upper() + title[1:] or "Untitled system"


_CLAUSE_END = re.compile(r"(?<=\w\w)\s*[:;.!?।(]\s|\s[-–—]\s|, ")


def _actors(read: Interpretation) -> Iterator[Actor]:
    named = list(read.actors)
    if not named:
        named = [("User", "Uses the system every day.")]
    if not any(_may_keep(name) for name, _ in named):
        # Those who are served are not those who look after the records.
        named.append(("Administrator", "Sets the system up and looks after its records."))
    for name, about in named:
        deeds = [d for d in read.deeds if d.actor == name]
        done = joined([doing(deed.verb, _many(read, deed.entity)) for deed in deeds[:3]])
        told = f"Comes to {done}." if done else ""
        yield Actor(name=name, description=f"{about} {told}".strip() or f"{name} of the system.")


def _many(read: Interpretation, entity: str) -> str:
    found = next((c.plural for c in read.entities if c.name == entity), plural(entity))
    return in_sentence(found)


def _entity(candidate: Candidate, read: Interpretation) -> Entity:
    # A job that refers to a company needs no text that says the company once more.
    referred = {_reference_name(k.target) for k in read.links if k.source == candidate.name}
    usual = _fields(candidate)
    fields = [field for field in usual if field.name not in referred] or usual
    known = candidate.known
    about = known.about if known else f"{_article(candidate.name)} as the idea speaks of it."
    return Entity(
        name=candidate.name, plural=candidate.plural, description=about, fields=tuple(fields)
    )


def _article(name: str) -> str:
    phrase = with_article(name)
    return phrase[:1].upper() + phrase[1:]


def _fields(candidate: Candidate) -> list[EntityField]:
    """What the idea tells, then what the lexicon knows to belong there."""
    known = list(candidate.known.fields) if candidate.known else []
    told = [
        _told_field(name, known, first=position == 0)
        for position, name in enumerate(_column_names(candidate.fields))
    ]
    if candidate.told and len(told) > 1:
        record = candidate.kind is EntityKind.RECORD
        kept = [f for f in known if f.required and (record or f.type is FieldType.CHOICE)]
    else:
        kept = known or _usual_fields(candidate)
    fields = {field.name: field for field in [*told, *kept, *candidate.extras]}
    named = any(field.required and field.type is FieldType.TEXT for field in fields.values())
    naming = [field for field in known if field.name in ("name", "title", "subject", "number")]
    if not named and (naming or candidate.known is None):
        first = naming[0] if naming else field_named("name", required=True)
        fields = {first.name: first, **fields}
    return [_with_states(field, candidate) for field in _stated(fields, candidate)][:MAX_FIELDS]


def _column_names(fields: Iterable[str]) -> list[str]:
    names = ["_".join(words_of(name.replace("_", " ")))[:32].strip("_") for name in fields]
    return [name for name in dict.fromkeys(names) if name and not name[0].isdecimal()]


def _told_field(name: str, known: list[EntityField], *, first: bool) -> EntityField:
    same = next((field for field in known if field.name == name), None)
    return same or field_named(name, required=first or name in ("name", "title"))


def _usual_fields(candidate: Candidate) -> list[EntityField]:
    last = candidate.name.split()[-1].lower()
    fields = [field_named("name", required=True)]
    if last.endswith(("ing", "tion", "sion", "ment", "ion", "check", "visit", "run")):
        fields.append(field_named("held_on", required=True, type_=FieldType.DATE))
    return [*fields, field_named("description", required=False)]


def _stated(fields: dict[str, EntityField], candidate: Candidate) -> list[EntityField]:
    """The fields, with a status where the idea's verbs lead from one state to another."""
    if candidate.states and not any("status" in name for name in fields):
        first = "draft" if "published" in candidate.states else "pending"
        choices = (first, *candidate.states)
        fields["status"] = field_named("status", required=True, choices=choices)
    return list(fields.values())


def _with_states(field: EntityField, candidate: Candidate) -> EntityField:
    if field.type is not FieldType.CHOICE or field.name != "status" or not candidate.states:
        return field
    added = [state for state in candidate.states if state not in field.choices]
    endings = [choice for choice in field.choices if choice in _ENDINGS]
    others = [choice for choice in field.choices if choice not in _ENDINGS]
    new_endings = [state for state in added if state in _ENDINGS]
    steps = [state for state in added if state not in _ENDINGS]
    if field.choices == STATUS_CHOICES:
        return field_named("status", required=True, choices=("open", *candidate.states))
    last = others[-1:] if len(others) > 1 and steps else []
    choices = [*others[: len(others) - len(last)], *steps, *last, *endings, *new_endings]
    return field_named("status", required=True, choices=tuple(choices))


_ENDINGS = word_set(
    """
    cancelled rejected closed waived lost withdrawn archived failed expired
    """
)


def _reference_name(target: str) -> str:
    name = "_".join(words_of(target)) or "record"
    return f"related_{name}" if name[0].isdecimal() else name


def _relations(read: Interpretation, entities: tuple[Entity, ...]) -> Iterator[Relation]:
    taken = {entity.name: {field.name for field in entity.fields} for entity in entities}
    for link in read.links:
        name = _reference_name(link.target)
        while name in taken[link.source] or f"{name}_id" in taken[link.source]:
            name = f"related_{name}"
        taken[link.source].add(name)
        yield Relation(
            source=link.source,
            target=link.target,
            name=name,
            cardinality=Cardinality.MANY_TO_ONE,
            required=link.required,
        )


def _actions(read: Interpretation, actors: tuple[Actor, ...]) -> Iterator[Action]:
    """What the idea says is done, and for what is left somebody who looks after it."""
    keeper = keeper_of(actors)
    names = {actor.name for actor in actors}
    deeds = list(dict.fromkeys(_with_actor(deed, names, keeper) for deed in read.deeds))
    spoken = {deed.entity for deed in deeds}
    left = [Deed(keeper, "manage", c.name) for c in read.entities if c.name not in spoken]
    for deed in [*deeds[: MAX_ACTIONS - len(left)], *left]:
        thing = with_article(deed.entity)
        if deed.verb in ("manage", "track", "maintain", "handle", "keep", "view", "see", "search"):
            thing = _many(read, deed.entity)
        yield Action(
            actor=deed.actor,
            verb=deed.verb,
            entity=deed.entity,
            description=f"{_article(deed.actor)} {does(deed.verb, thing)}.",
        )


def _with_actor(deed: Deed, names: set[str], keeper: str) -> Deed:
    return deed if deed.actor in names else Deed(keeper, deed.verb, deed.entity)


def keeper_of(actors: tuple[Actor, ...]) -> str:
    """Who looks after the records: the first who is not kept as a record themselves."""
    return next((actor.name for actor in actors if _may_keep(actor.name)), actors[0].name)


def _may_keep(name: str) -> bool:
    return known_entity(name) is None and name != "Parent"


def _summary(idea: Idea, title: str, entities: tuple[Entity, ...]) -> str:
    kept = joined([in_sentence(entity.plural) for entity in entities])
    words = one_line(idea.idea, 320)
    quoted = f" In the words of the idea: “{words}”" if words else ""
    return f"“{title}” is a web application that keeps {kept}.{quoted}"


_TROUBLE = re.compile(
    r"\b(currently|problem|difficult|manual(ly)?|paper|register|notebook|diary|los[et]|forget|"
    r"forgotten|waste|no way|hard to|mistakes?|delay(ed|s)?|late|queue|cannot|can't|unable|excel|"
    r"whatsapp group|phone calls?|spreadsheets?)\b",
    re.IGNORECASE,
)


def _problem(read: Interpretation, entities: tuple[Entity, ...]) -> str:
    told = [s.text for s in read.sentences if _TROUBLE.search(s.text) and len(s.tokens) > 4]
    if told:
        return f"The idea says: “{one_line(told[0], 280)}”"
    if read.domain is not None:
        return read.domain.problem
    kept = joined([in_sentence(entity.plural) for entity in entities[:3]])
    return (
        f"Where {kept} are kept in separate notes and memories, nobody sees all of them at once,"
        " and what belongs together is looked up by hand."
    )


def _goals(
    read: Interpretation, entities: tuple[Entity, ...], actors: tuple[Actor, ...]
) -> Iterator[str]:
    names = {actor.name for actor in actors}
    count = 0
    for actor in actors:
        deeds = [deed for deed in read.deeds if deed.actor == actor.name and deed.actor in names]
        if deeds:
            done = joined([doing(deed.verb, _many(read, deed.entity)) for deed in deeds[:4]])
            yield f"{plural(actor.name)} {done} in one place."
            count += 1
    kept = joined([in_sentence(entity.plural) for entity in entities])
    yield f"Every one of the {kept} is found by a search within one page."
    told = [s.text for s in read.sentences if 4 <= len(s.tokens) <= 40]
    if count == 0 and told:
        yield f"What the idea asks for is served: “{one_line(told[0], 200)}”"


def _assumptions(
    read: Interpretation, entities: tuple[Entity, ...], relations: tuple[Relation, ...]
) -> Iterator[str]:
    yield "One organisation uses one installation, on a computer that its people trust."
    if any(f.type is FieldType.DECIMAL for entity in entities for f in entity.fields):
        yield "Amounts are in Indian rupees with two decimal places."
    if read.domain is not None:
        yield f"The idea was read as one for {read.domain.label}."
    if not read.recognised:
        kept = joined([in_sentence(entity.plural) for entity in entities])
        yield f"The idea names little that is to be kept; {kept} were chosen for it by rule."
    told = {candidate.name for candidate in read.entities if candidate.told}
    guessed = [entity.plural for entity in entities if entity.name not in told]
    if guessed:
        yield (
            "The idea does not list the fields of"
            f" {joined([in_sentence(n) for n in guessed])}; the usual ones were taken."
        )
    for relation in relations[:8]:
        number = "exactly one" if relation.required else "at most one"
        yield f"{_article(relation.source)} refers to {number} {in_sentence(relation.target)}."
    for sentence in read.sentences:
        counted = _COUNTED.search(sentence.text)
        if counted and is_plural(counted[2].lower()):
            yield f"The idea speaks of {counted[1]} {counted[2].lower()}."


_COUNTED = re.compile(r"\b(\d[\d,]{1,9})\+?\s+([A-Za-z]{3,20})")


def _questions(idea: Idea, read: Interpretation, actors: tuple[Actor, ...]) -> Iterator[str]:
    words = re.findall(r"[a-z-]+", cleaned(idea.idea)[:20_000].lower())
    vague = [word for word in dict.fromkeys(words) if word in VAGUE and word in _MEASURABLE]
    for word in vague[:4]:
        yield f"The idea says “{word}”: which number would show that it is?"
    if len(actors) > 1:
        yield (
            "What may"
            f" {joined([in_sentence(plural(actor.name)) for actor in actors])} see and"
            " change of one another's records?"
        )
    for candidate in read.entities:
        if candidate.kind is EntityKind.RECORD and not candidate.told:
            yield f"Which facts does {with_article(candidate.name)} need beside the ones listed?"
            break
    yield "How many records are expected in the first year, and for how long are they kept?"


_MEASURABLE = VAGUE - word_set(
    """
    etc good better best great nice various several some many few simply
    """
)
