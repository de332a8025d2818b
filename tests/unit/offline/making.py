"""Makes everything that the offline composition makes of an idea."""

from dataclasses import dataclass

from adapters.offline.brief import compose_brief
from adapters.offline.codebase.files import write_files
from adapters.offline.codebase.plan import compose_plan
from adapters.offline.product import compose_product
from adapters.offline.requirements import compose_requirements
from domain.agents.artifacts import (
    Codebase,
    CodePlan,
    FileBatch,
    Idea,
    IdeaBrief,
    Mode,
    ProductSpec,
    Requirements,
    SourceFile,
)


@dataclass(frozen=True)
class Drawn:
    """One idea's documents."""

    brief: IdeaBrief
    requirements: Requirements
    product: ProductSpec


@dataclass(frozen=True)
class Made:
    """One idea's documents and code."""

    idea: Idea
    brief: IdeaBrief
    requirements: Requirements
    product: ProductSpec
    plan: CodePlan
    batch: FileBatch

    @property
    def codebase(self) -> Codebase:
        contents = {file.path: file.content for file in self.batch.files}
        return Codebase(
            title=self.plan.title,
            language=self.plan.language,
            architecture=self.plan.architecture,
            files=tuple(
                SourceFile(
                    path=file.path,
                    content=contents[file.path],
                    purpose=file.purpose,
                    requirement_ids=file.requirement_ids,
                    symbols=file.symbols,
                    is_test=file.is_test,
                )
                for file in self.plan.files
            ),
            start=self.plan.start,
            test=self.plan.test,
            probe_path=self.plan.probe_path,
        )

    def content(self, path: str) -> str:
        return next(file.content for file in self.batch.files if file.path == path)


def idea_of(text: str, title: str = "") -> Idea:
    return Idea(title=title, idea=text, mode=Mode.DEVELOPER)


def draw_up(text: str) -> Drawn:
    idea = idea_of(text)
    brief = compose_brief(idea)
    return Drawn(brief, compose_requirements(idea, brief), compose_product(idea, brief))


def make(text: str, title: str = "") -> Made:
    idea = idea_of(text, title)
    return make_from(idea, compose_brief(idea))


def make_from(idea: Idea, brief: IdeaBrief) -> Made:
    requirements = compose_requirements(idea, brief)
    plan = compose_plan(brief, requirements)
    batch = write_files(brief, requirements, [file.path for file in plan.files])
    return Made(idea, brief, requirements, compose_product(idea, brief), plan, batch)
