"""The plain method: one question, one artifact."""

from typing import cast

from application.runs.asking import ask_reviewed
from application.runs.step_work import StepResult, StepWork
from domain.agents.artifacts import (
    Artifact,
    IdeaBrief,
    ProductSpec,
    Reply,
    Requirements,
)
from domain.agents.findings import Finding
from domain.agents.review import review


async def ask_agent(work: StepWork) -> StepResult:
    """Ask the model for the agent's artifact, reviewed."""
    makes = cast(type[Reply], work.agent.makes)

    def check(reply: Reply) -> tuple[Finding, ...]:
        return review(reply, dict(work.upstream))

    request = work.request(makes, work.agent.instructions, work.inputs)
    artifact, findings = await ask_reviewed(work.calls, request, check)
    made = cast(Artifact, artifact)
    return StepResult(artifact=made, summary=summary_of(made), findings=findings)


def summary_of(artifact: Artifact) -> str:
    """One line on what was made, counted from it."""
    match artifact:
        case IdeaBrief():
            return (
                f"{_count(artifact.actors, 'actor')}, {_count(artifact.entities, 'entity')}, "
                f"{_count(artifact.actions, 'action')}"
            )
        case Requirements():
            return (
                f"{_count(artifact.functional, 'requirement')}, "
                f"{_count(artifact.use_cases, 'use case')}"
            )
        case ProductSpec():
            return f"{_count(artifact.features, 'feature')}, {_count(artifact.releases, 'release')}"
        case _:
            return ""


def _count(items: tuple[object, ...], noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{len(items)} {noun if len(items) == 1 else plural}"
