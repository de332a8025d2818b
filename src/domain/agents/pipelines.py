"""Which agents a mode runs, and in what order: graphs declared as data.

A mode is added by adding a :class:`Pipeline` to :data:`PIPELINES`. Nothing else may
assume which steps there are, how many, or in what order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from domain.agents.artifacts import (
    Artifact,
    Codebase,
    IdeaBrief,
    Mode,
    ProductSpec,
    Requirements,
    Verification,
)
from domain.shared.errors import InvalidValue


class ModelTier(StrEnum):
    """How strong a model an agent asks for; a setting says which model that is."""

    CHEAP = "cheap"
    DEFAULT = "default"
    STRONG = "strong"


class Depth(StrEnum):
    """How far an agent goes: a sketch, the usual, or everything."""

    BRIEF = "brief"
    STANDARD = "standard"
    THOROUGH = "thorough"


class Method(StrEnum):
    """How an agent works: one question, plan-then-files, or runs in the sandbox."""

    ASK = "ask"
    WRITE_CODEBASE = "write_codebase"
    VERIFY = "verify"


class DocumentType(StrEnum):
    """What a document is about. The seed's ``documents.type``."""

    IDEA_BRIEF = "idea_brief"
    SRS = "srs"
    PRD = "prd"
    CODEBASE = "codebase"
    VERIFICATION_REPORT = "verification_report"


ArtifactType = type[Artifact]
"""The type of an artifact, as a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent is data: what it reads, what it makes, and how it is instructed.

    ``instructions`` names a template of the model adapter; ``reads`` are artifact types
    made earlier in the pipeline. The idea itself is always an input.
    """

    type: str
    title: str
    reads: tuple[ArtifactType, ...]
    makes: ArtifactType
    method: Method
    instructions: str
    tier: ModelTier
    depth: Depth
    documents: tuple[DocumentType, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An agent's place in a pipeline. ``weight`` is its share of the progress bar."""

    name: str
    agent: Agent
    after: tuple[str, ...] = ()
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A mode's directed acyclic graph of steps.

    Raises:
        InvalidValue: names repeat, a step waits for an unknown one, the graph has a
            cycle, or an agent reads what no earlier step makes.
    """

    mode: Mode
    version: int
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if not names or len(set(names)) != len(names):
            raise InvalidValue("steps", "A pipeline needs steps with names of their own.")
        if min(step.weight for step in self.steps) < 1:
            raise InvalidValue("weight", "Each step has a share of the progress, 1 or more.")
        for step in self.steps:
            unknown = set(step.after) - set(names)
            if unknown:
                raise InvalidValue("after", f"{step.name} waits for unknown {sorted(unknown)}.")
        for step in self.steps:
            made = {
                type_ for name in self.upstream(step.name) for type_ in (self[name].agent.makes,)
            }
            missing = set(step.agent.reads) - made
            if missing:
                lacking = sorted(type_.__name__ for type_ in missing)
                raise InvalidValue(
                    "reads", f"{step.name} reads {lacking}, which nothing before it makes."
                )

    def __getitem__(self, name: str) -> Step:
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def upstream(self, name: str) -> frozenset[str]:
        """Every step that ``name`` comes after, near and far.

        Raises:
            InvalidValue: the graph has a cycle through ``name``.
        """
        seen: set[str] = set()
        frontier = list(self[name].after)
        while frontier:
            current = frontier.pop()
            if current == name:
                raise InvalidValue("after", f"{name} comes after itself.")
            if current not in seen:
                seen.add(current)
                frontier.extend(self[current].after)
        return frozenset(seen)

    def ready(self, finished: Iterable[str], started: Iterable[str]) -> tuple[Step, ...]:
        """The steps whose predecessors are all finished and that were not started yet."""
        done, begun = set(finished), set(started)
        return tuple(
            step
            for step in self.steps
            if step.name not in done and step.name not in begun and done.issuperset(step.after)
        )

    def source_of(self, reader: str, artifact: type[Artifact]) -> Step:
        """The step before ``reader`` that makes ``artifact``.

        Raises:
            KeyError: none does; ``__post_init__`` rules that out for declared reads.
        """
        before = self.upstream(reader)
        for step in reversed(self.steps):
            if step.name in before and step.agent.makes is artifact:
                return step
        raise KeyError(artifact.__name__)

    def progress(self, finished: Iterable[str]) -> int:
        """Share of the work done, 0 to 100, by the steps' weights."""
        done = set(finished)
        total = sum(step.weight for step in self.steps)
        return 100 * sum(step.weight for step in self.steps if step.name in done) // total


IDEA = Agent(
    type="idea",
    title="Idea analyst",
    reads=(),
    makes=IdeaBrief,
    method=Method.ASK,
    instructions="idea",
    tier=ModelTier.DEFAULT,
    depth=Depth.STANDARD,
    documents=(DocumentType.IDEA_BRIEF,),
)
SRS = Agent(
    type="srs",
    title="Requirements engineer",
    reads=(IdeaBrief,),
    makes=Requirements,
    method=Method.ASK,
    instructions="srs",
    tier=ModelTier.DEFAULT,
    depth=Depth.STANDARD,
    documents=(DocumentType.SRS,),
)
PRD = Agent(
    type="prd",
    title="Product manager",
    reads=(IdeaBrief,),
    makes=ProductSpec,
    method=Method.ASK,
    instructions="prd",
    tier=ModelTier.DEFAULT,
    depth=Depth.STANDARD,
    documents=(DocumentType.PRD,),
)
CODE = Agent(
    type="code",
    title="Software engineer",
    reads=(IdeaBrief, Requirements, ProductSpec),
    makes=Codebase,
    method=Method.WRITE_CODEBASE,
    instructions="code",
    tier=ModelTier.DEFAULT,
    depth=Depth.STANDARD,
    documents=(DocumentType.CODEBASE,),
)
VERIFY = Agent(
    type="verify",
    title="Verifier",
    reads=(IdeaBrief, Requirements, Codebase),
    makes=Verification,
    method=Method.VERIFY,
    instructions="repair",
    tier=ModelTier.DEFAULT,
    depth=Depth.STANDARD,
    documents=(DocumentType.VERIFICATION_REPORT,),
)

DEVELOPER = Pipeline(
    mode=Mode.DEVELOPER,
    version=1,
    steps=(
        Step(name="idea", agent=IDEA, weight=1),
        Step(name="srs", agent=SRS, after=("idea",), weight=2),
        Step(name="prd", agent=PRD, after=("idea",), weight=2),
        Step(name="code", agent=CODE, after=("srs", "prd"), weight=4),
        Step(name="verify", agent=VERIFY, after=("code",), weight=2),
    ),
)

PIPELINES: Mapping[Mode, Pipeline] = MappingProxyType({DEVELOPER.mode: DEVELOPER})


def pipeline_for(mode: Mode) -> Pipeline:
    """The pipeline of ``mode``.

    Raises:
        InvalidValue: no pipeline is offered for that mode; the message lists those that are.
    """
    try:
        return PIPELINES[mode]
    except KeyError:
        offered = ", ".join(sorted(PIPELINES))
        raise InvalidValue(
            "mode", f"The mode {mode} is not offered; choose one of: {offered}."
        ) from None
