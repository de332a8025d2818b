"""Deterministic checks an artifact passes before it is accepted.

They read the artifact and nothing else, so the same artifact always gets the same
findings. An error sends it back to its agent with the messages, which say what to do; a
warning is recorded and shown.
"""

from domain.agents.findings import Finding, Severity, sends_back
from domain.agents.review.brief import review_brief
from domain.agents.review.codebase import review_batch, review_codebase
from domain.agents.review.dispatch import review
from domain.agents.review.plan import review_plan
from domain.agents.review.product import review_product
from domain.agents.review.requirements import review_requirements

__all__ = [
    "Finding",
    "Severity",
    "review",
    "review_batch",
    "review_brief",
    "review_codebase",
    "review_plan",
    "review_product",
    "review_requirements",
    "sends_back",
]
