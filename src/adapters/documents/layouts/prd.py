"""The product requirements document: for whom, why, what first, and how success is seen."""

from adapters.documents.blocks import (
    Block,
    Bullets,
    Heading,
    Label,
    Paragraph,
    Reference,
    anchor_of,
    line,
)
from adapters.documents.layouts.sections import (
    NONE_STATED,
    bullets,
    joined,
    prose,
    references,
    table,
    words,
)
from domain.agents.artifacts import Feature, Persona, ProductSpec, Release


def lay_out(spec: ProductSpec) -> tuple[Block, ...]:
    """From the vision down to what may go wrong."""
    names = {feature.id: feature.name for feature in spec.features}
    return (
        Heading(1, "Vision"),
        *prose(spec.vision),
        Heading(1, "Problem"),
        *prose(spec.problem),
        Heading(1, "Personas"),
        *(block for persona in spec.personas for block in _persona(persona)),
        Heading(1, "Features"),
        table(
            "Features",
            (("Id", 12), ("Feature", 44), ("Priority", 16), ("Release", 28)),
            (
                (references([f.id]), f.name, words(f.priority), _releases_of(f, spec))
                for f in spec.features
            ),
        ),
        *(block for feature in spec.features for block in _feature(feature)),
        Heading(1, "Success metrics"),
        table(
            "Success metrics",
            (("Metric", 30), ("Target", 25), ("How it is counted", 45)),
            ((metric.name, metric.target, metric.measured_by) for metric in spec.metrics),
        ),
        Heading(1, "Releases"),
        *(block for release in spec.releases for block in _release(release, names)),
        Heading(1, "Risks"),
        table(
            "Risks",
            (("What may go wrong", 50), ("What is done about it", 50)),
            ((risk.description, risk.mitigation) for risk in spec.risks),
        ),
    )


def _persona(persona: Persona) -> tuple[Block, ...]:
    return (
        Heading(2, persona.name),
        Paragraph(line(persona.role or NONE_STATED)),
        Label("Needs"),
        bullets(persona.needs),
        Label("Pains"),
        bullets(persona.pains),
    )


def _releases_of(feature: Feature, spec: ProductSpec) -> str:
    names = [release.name for release in spec.releases if feature.id in release.feature_ids]
    return ", ".join(names) or "Not planned"


def _feature(feature: Feature) -> tuple[Block, ...]:
    return (
        Heading(2, f"{feature.id} {feature.name}", anchor_of(feature.id)),
        *prose(feature.story),
        Label("Done when"),
        bullets(feature.done_when),
    )


def _release(release: Release, names: dict[str, str]) -> tuple[Block, ...]:
    shipped = [
        joined([Reference(f"{id_} {names.get(id_, '')}".strip(), anchor_of(id_))])
        for id_ in release.feature_ids
    ]
    return (
        Heading(2, release.name),
        *prose(release.outcome),
        Bullets(tuple(shipped)) if shipped else Paragraph(line(NONE_STATED)),
    )
