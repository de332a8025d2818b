"""One entry to every check, by the artifact's type."""

from collections.abc import Mapping
from typing import TypeVar

from domain.agents.artifacts import (
    Artifact,
    Codebase,
    CodePlan,
    FileBatch,
    IdeaBrief,
    ProductSpec,
    Reply,
    Requirements,
    Verification,
)
from domain.agents.findings import Finding
from domain.agents.review.brief import review_brief
from domain.agents.review.codebase import review_batch, review_codebase
from domain.agents.review.plan import review_plan
from domain.agents.review.product import review_product
from domain.agents.review.requirements import review_requirements

Inputs = Mapping[type, object]


def review(artifact: Artifact | Reply, inputs: Inputs) -> tuple[Finding, ...]:
    """Check ``artifact`` against what it was made from.

    ``inputs`` holds those artifacts by their type; more than is needed does no harm. A
    Codebase and a FileBatch are held to the CodePlan where there is one. A Verification
    is computed from recorded runs, so there is nothing to check.

    Raises:
        KeyError: an artifact needed for the check is missing from ``inputs``.
        TypeError: an input is not of the type it stands under.
    """
    match artifact:
        case IdeaBrief():
            return review_brief(artifact)
        case Requirements():
            return review_requirements(artifact, _needed(inputs, IdeaBrief))
        case ProductSpec():
            return review_product(artifact)
        case CodePlan():
            return review_plan(artifact, _needed(inputs, Requirements))
        case FileBatch():
            return review_batch(artifact, _given(inputs, CodePlan))
        case Codebase():
            requirements = _needed(inputs, Requirements)
            return review_codebase(artifact, requirements, _given(inputs, CodePlan))
        case Verification():
            return ()


_A = TypeVar("_A")


def _needed(inputs: Inputs, type_: type[_A]) -> _A:
    value = inputs[type_]
    if not isinstance(value, type_):
        raise TypeError(f"the input for {type_.__name__} is a {type(value).__name__}")
    return value


def _given(inputs: Inputs, type_: type[_A]) -> _A | None:
    return _needed(inputs, type_) if type_ in inputs else None
