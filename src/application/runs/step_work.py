"""An agent at one step: its inputs, its tools, and what it hands over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from application.ports.language_model import ModelRequest
from application.ports.sandbox import Sandbox
from application.runs.model_calls import StepCalls
from domain.agents.artifacts import (
    Artifact,
    Codebase,
    Idea,
    IdeaBrief,
    ProductSpec,
    Reply,
    Requirements,
)
from domain.agents.findings import Finding
from domain.agents.pipelines import Agent

A = TypeVar("A")

INPUT_NAMES: Mapping[type[Artifact], str] = {
    IdeaBrief: "brief",
    Requirements: "requirements",
    ProductSpec: "product",
    Codebase: "codebase",
}
"""Under which name an artifact stands in a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWork:
    """What an agent works with. ``upstream`` holds the artifacts it declared to read."""

    agent: Agent
    idea: Idea
    upstream: Mapping[type[Artifact], Artifact]
    calls: StepCalls
    sandbox: Sandbox

    def read(self, type_: type[A]) -> A:
        """An upstream artifact.

        Raises:
            TypeError: the agent did not declare that it reads it.
        """
        for candidate, value in self.upstream.items():
            if candidate is type_ and isinstance(value, type_):
                return value
        raise TypeError(f"the {self.agent.type} agent does not read a {type_.__name__}")

    @property
    def inputs(self) -> dict[str, object]:
        """The idea and the upstream artifacts, in the order the agent declares them."""
        named: dict[str, object] = {"idea": self.idea}
        for type_ in self.agent.reads:
            named[INPUT_NAMES[type_]] = self.upstream[type_]
        return named

    def request(
        self, makes: type[Reply], instructions: str, inputs: Mapping[str, object]
    ) -> ModelRequest:
        """A question at the agent's tier and depth."""
        return ModelRequest(
            makes=makes,
            instructions=instructions,
            inputs=inputs,
            tier=self.agent.tier,
            depth=self.agent.depth,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step made, in one line too, and what review still holds against it.

    ``delivered`` is the codebase with its repairs, when the step repaired any.
    """

    artifact: Artifact
    summary: str
    findings: tuple[Finding, ...]
    delivered: Codebase | None = None
