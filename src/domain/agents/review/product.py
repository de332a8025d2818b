"""Checks of a product specification: features are shipped, success is a number."""

from collections.abc import Iterator

from domain.agents.artifacts import ProductSpec
from domain.agents.findings import Finding, error, warning
from domain.agents.review.ids import (
    check_ids,
    check_references,
    check_text,
    check_unique_names,
)
from domain.agents.review.wording import check_wording, has_number


def review_product(spec: ProductSpec) -> tuple[Finding, ...]:
    """Every feature has an end and a release; releases and metrics hold what they name."""
    return tuple(_findings(spec))


def _findings(spec: ProductSpec) -> Iterator[Finding]:
    yield from check_text("product", title=spec.title, vision=spec.vision, problem=spec.problem)
    features = {feature.id for feature in spec.features}
    shipped = {id_ for release in spec.releases for id_ in release.feature_ids}
    if not spec.features:
        yield error("missing_features", "features", "Name at least one feature.")
    if not spec.personas:
        yield error("missing_personas", "personas", "Name at least one persona.")
    if not spec.metrics:
        yield error("missing_metrics", "metrics", "Name at least one measure of success.")
    if not spec.risks:
        yield warning("missing_risks", "risks", "Name what may go wrong.")
    yield from check_ids((feature.id for feature in spec.features), "F")
    yield from check_unique_names("releases", (release.name for release in spec.releases))
    for feature in spec.features:
        yield from check_text(feature.id, name=feature.name, story=feature.story)
        if not any(end.strip() for end in feature.done_when):
            yield error("no_end", feature.id, "Say when this feature is done.")
        for end in feature.done_when:
            yield from check_wording(feature.id, end, only_warn=True)
        if feature.id not in shipped:
            yield error("not_released", feature.id, "Put this feature into a release.")
    for release in spec.releases:
        yield from check_references(release.name, release.feature_ids, features)
        if not release.feature_ids:
            yield error("empty_release", release.name, "Name the features it ships, or drop it.")
        if len(set(release.feature_ids)) != len(release.feature_ids):
            yield error("duplicate_id", release.name, "Name each feature once in a release.")
    for metric in spec.metrics:
        yield from check_text(metric.name, name=metric.name, measured_by=metric.measured_by)
        if not has_number(metric.target):
            yield error("no_measure", metric.name, "Give the target a number.")
