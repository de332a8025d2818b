"""The idea brief: who, what, why, and what is left out."""

from adapters.documents.blocks import Block, Heading, Paragraph, code, line
from adapters.documents.layouts.sections import bullets, prose, table, words
from domain.agents.artifacts import Entity, IdeaBrief


def lay_out(brief: IdeaBrief) -> tuple[Block, ...]:
    """The brief in the order in which it is questioned: purpose, people, things, limits."""
    return (
        Heading(1, "Summary"),
        *prose(brief.summary),
        Heading(1, "Problem"),
        *prose(brief.problem),
        Heading(1, "Goals"),
        bullets(brief.goals),
        Heading(1, "Actors"),
        table(
            "Actors",
            (("Actor", 30), ("Who that is", 70)),
            ((actor.name, actor.description) for actor in brief.actors),
        ),
        Heading(1, "What actors do"),
        table(
            "Actions",
            (("Actor", 20), ("Action", 20), ("On", 20), ("Description", 40)),
            ((a.actor, a.verb, a.entity, a.description) for a in brief.actions),
        ),
        Heading(1, "What the system keeps"),
        *(block for entity in brief.entities for block in _entity(entity)),
        Heading(2, "Relations"),
        table(
            "Relations",
            (("From", 22), ("Name", 22), ("To", 22), ("How many", 20), ("Required", 14)),
            (
                (
                    relation.source,
                    line(code(relation.name)),
                    relation.target,
                    words(relation.cardinality),
                    "Yes" if relation.required else "No",
                )
                for relation in brief.relations
            ),
        ),
        Heading(1, "Assumptions"),
        bullets(brief.assumptions),
        Heading(1, "Out of scope"),
        bullets(brief.out_of_scope),
        Heading(1, "Open questions"),
        bullets(brief.open_questions),
    )


def _entity(entity: Entity) -> tuple[Block, ...]:
    return (
        Heading(2, entity.name),
        Paragraph(line(entity.description or f"Plural: {entity.plural}.")),
        table(
            f"Fields of {entity.name}",
            (("Field", 25), ("Type", 17), ("Required", 13), ("Meaning", 45)),
            (
                (
                    line(code(field.name)),
                    words(field.type),
                    "Yes" if field.required else "No",
                    field.description
                    + (f" One of: {', '.join(field.choices)}." if field.choices else ""),
                )
                for field in entity.fields
            ),
        ),
    )
