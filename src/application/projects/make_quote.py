"""Say what a run will probably cost, before there is one. Nothing is kept and nothing begun."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from application.billing.price_book import PriceBook
from application.ports.clock import Clock
from application.ports.history import StepHistory
from application.ports.language_model import LanguageModel
from application.ports.persistence import UnitOfWork
from application.projects.show_project import owned_project
from domain.agents.artifacts import Mode
from domain.agents.pipelines import Depth, ModelTier, Pipeline, pipeline_for
from domain.billing.estimates import SIZES, tokens_of
from domain.billing.ledger import Balance
from domain.billing.quote import (
    ObservedStep,
    Quote,
    Tariff,
    depth_of,
    offline_quote,
    quote,
    usual_prompt,
)
from domain.projects.project import MAX_IDEA_LENGTH, MIN_IDEA_LENGTH, clean_idea
from domain.shared.errors import InvalidValue
from domain.shared.ids import ProjectId, UserId

KEEP_HISTORY: Final = timedelta(minutes=10)
"""How long the aggregates of history are used: one run more hardly moves a percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """A mode with an idea, or with its length in characters; ``depth`` None is the mode's own."""

    user_id: UserId
    mode: Mode
    depth: Depth | None = None
    idea: str | None = None
    idea_length: int | None = None


@dataclass(slots=True)
class MakeQuote:
    """Quotes runs. The same question may be asked any number of times."""

    uow: UnitOfWork
    book: PriceBook
    history: StepHistory
    model: LanguageModel
    clock: Clock
    _known: "dict[tuple[object, ...], _Known]" = field(default_factory=dict)

    async def __call__(self, request: QuoteRequest) -> tuple[Quote, Balance]:
        """The quote, and what the person has.

        Raises:
            InvalidValue: mode, depth or idea do not fit.
            UnknownPrice: a model that would be asked has no price today.
        """
        pipeline = pipeline_for(request.mode)
        depth_of(pipeline, request.depth)
        idea_tokens = _idea_tokens(request)
        async with self.uow.begin(request.user_id) as tx:
            balance = await tx.ledger.balance(request.user_id)
        return await self._quoted(pipeline, idea_tokens), balance

    async def of_project(self, user_id: UserId, project_id: ProjectId) -> tuple[Quote, Balance]:
        """The quote of executing a project as it is now, and what the person has.

        Raises:
            NotFound: no such project, or another person's.
            UnknownPrice: a model that would be asked has no price today.
        """
        async with self.uow.begin(user_id) as tx:
            project = await owned_project(tx, project_id)
            balance = await tx.ledger.balance(user_id)
        idea_tokens = tokens_of(len(project.idea.encode()))
        return await self._quoted(pipeline_for(project.mode), idea_tokens), balance

    async def _quoted(self, pipeline: Pipeline, idea_tokens: int) -> Quote:
        now = self.clock.now()
        rate = await self.book.rate(now)
        if self.model.provider.offline:
            return offline_quote(pipeline, idea_tokens, rate, now.date())
        tariff = Tariff(
            prices=await self.book.prices(),
            models={tier: self.model.model_of(tier) for tier in ModelTier},
            rate=rate,
            on=now.date(),
        )
        return quote(pipeline, idea_tokens, tariff, await self._observed(pipeline, tariff, now))

    async def _observed(
        self, pipeline: Pipeline, tariff: Tariff, now: datetime
    ) -> "dict[str, ObservedStep]":
        rows = {
            step.name: tariff.prices.row(
                tariff.models[step.agent.tier], tariff.on, usual_prompt(step.agent)
            )
            for step in pipeline.steps
            if SIZES[step.agent.type]
        }
        key = (pipeline.mode, pipeline.version, *sorted(rows.items(), key=lambda row: row[0]))
        known = self._known.get(key)
        if known is None or not timedelta(0) <= now - known.at < KEEP_HISTORY:
            # Other prices make other keys: what was known at the old ones is dropped.
            self._known = {
                other: kept for other, kept in self._known.items() if other[0] != pipeline.mode
            }
            known = _Known(dict(await self.history.observed(pipeline, rows)), now)
            self._known[key] = known
        return known.steps


@dataclass(frozen=True, slots=True)
class _Known:
    steps: dict[str, ObservedStep]
    at: datetime


def _idea_tokens(request: QuoteRequest) -> int:
    if (request.idea is None) == (request.idea_length is None):
        raise InvalidValue("idea", "Give either the idea or its idea_length, not both.")
    if request.idea is not None:
        return tokens_of(len(clean_idea(request.idea).encode()))
    length = request.idea_length or 0
    if not MIN_IDEA_LENGTH <= length <= MAX_IDEA_LENGTH:
        raise InvalidValue(
            "idea_length", f"Give {MIN_IDEA_LENGTH} to {MAX_IDEA_LENGTH} characters."
        )
    return tokens_of(length)
