"""Checks of an idea brief: who and what it names fits together."""

import keyword
import re
from collections.abc import Iterator

from domain.agents.artifacts import Entity, FieldType, IdeaBrief
from domain.agents.findings import Finding, error
from domain.agents.review.ids import check_text, check_unique_names


def review_brief(brief: IdeaBrief) -> tuple[Finding, ...]:
    """Names are unique, fields can be stored, relations and actions point at what exists."""
    return tuple(_findings(brief))


def _findings(brief: IdeaBrief) -> Iterator[Finding]:
    yield from check_text(
        "brief", title=brief.title, summary=brief.summary, problem=brief.problem
    )  # fmt: skip
    if not brief.actors:
        yield error("missing_actors", "actors", "Name at least one actor who uses the system.")
    if not brief.entities:
        yield error("missing_entities", "entities", "Name at least one thing the system keeps.")
    if not brief.actions:
        yield error("missing_actions", "actions", "Name at least one thing an actor does.")
    yield from check_unique_names("actors", (actor.name for actor in brief.actors))
    yield from check_unique_names("entities", (entity.name for entity in brief.entities))
    for actor in brief.actors:
        yield from check_text("actor", name=actor.name)
    for entity in brief.entities:
        yield from check_text("entity", name=entity.name, plural=entity.plural)
        yield from _field_findings(entity)
    yield from _relation_findings(brief)
    yield from _action_findings(brief)


_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def _name_findings(subject: str, name: str) -> Iterator[Finding]:
    if not _SNAKE_CASE.fullmatch(name):
        yield error("not_snake_case", subject, f"Write the name {name!r} in snake_case.")
    elif keyword.iskeyword(name):
        yield error("reserved_name", subject, f"Rename {name!r}: it is a word of Python.")


def _field_findings(entity: Entity) -> Iterator[Finding]:
    if not entity.fields:
        yield error("missing_fields", entity.name, "Name at least one fact to keep about it.")
    yield from check_unique_names(
        f"fields of {entity.name}", (field.name for field in entity.fields)
    )
    for field in entity.fields:
        subject = f"{entity.name}.{field.name}"
        yield from _name_findings(subject, field.name)
        if field.type is FieldType.CHOICE:
            if not field.choices:
                yield error("missing_choices", subject, "List the choices of this CHOICE field.")
            yield from check_unique_names(f"choices of {subject}", field.choices)
            if any(not choice.strip() for choice in field.choices):
                yield error("empty_text", subject, "Give each choice a name.")
        elif field.choices:
            yield error("stray_choices", subject, "Drop the choices, or make the type CHOICE.")


def _relation_findings(brief: IdeaBrief) -> Iterator[Finding]:
    fields = {entity.name: {field.name for field in entity.fields} for entity in brief.entities}
    seen: set[tuple[str, str]] = set()
    for relation in brief.relations:
        subject = f"{relation.source}.{relation.name}"
        yield from _name_findings(subject, relation.name)
        for end in (relation.source, relation.target):
            if end not in fields:
                yield error("unknown_entity", subject, f"{end!r} is no entity; name one that is.")
        if relation.name in fields.get(relation.source, set()):
            yield error("duplicate_name", subject, "A field has this name; rename the relation.")
        if (relation.source, relation.name) in seen:
            yield error("duplicate_name", subject, "Two relations have this name; rename one.")
        seen.add((relation.source, relation.name))


def _action_findings(brief: IdeaBrief) -> Iterator[Finding]:
    actors = {actor.name for actor in brief.actors}
    entities = {entity.name for entity in brief.entities}
    for action in brief.actions:
        subject = f"{action.actor} {action.verb} {action.entity}"
        yield from check_text(subject, verb=action.verb)
        if action.actor not in actors:
            yield error("unknown_actor", subject, f"{action.actor!r} is no actor; name one.")
        if action.entity not in entities:
            yield error("unknown_entity", subject, f"{action.entity!r} is no entity; name one.")
