"""Quotes: what a run will probably cost, before there is one."""

from datetime import date
from uuid import UUID

import msgspec
from litestar import Controller
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK

from application.ports.language_model import ModelProvider
from application.ports.security import Principal
from application.projects.make_quote import MakeQuote, QuoteRequest
from domain.agents.artifacts import Mode
from domain.agents.pipelines import Depth
from domain.billing.estimates import Span
from domain.billing.ledger import Balance
from domain.billing.quote import METHOD, METHOD_VERSION, Quote, StepQuote
from domain.identity.user import Permission
from domain.shared.ids import ProjectId
from domain.shared.money import rupees
from entrypoints.http.access import requires
from entrypoints.http.price_schemas import RateView
from entrypoints.http.routing import post


class IdeaQuoteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to quote: a mode with the idea, or with its length in characters."""

    mode: Mode = Mode.DEVELOPER
    depth: Depth | None = None
    idea: str | None = None
    idea_length: int | None = None


class AmountView(msgspec.Struct):
    """Credits, and the same in rupees."""

    credits: int
    cost: str

    @classmethod
    def of(cls, credits: int) -> "AmountView":
        return cls(credits, rupees(credits))


class StepQuoteView(msgspec.Struct):
    """A step's share. ``basis`` is ``measured``, ``history`` (of ``samples`` steps), ``offline``.

    ``tokens`` are those expected. A step without a model asks none that is charged.
    """

    step: str
    title: str
    model: str
    low: AmountView
    expected: AmountView
    high: AmountView
    tokens: int
    basis: str
    samples: int

    @classmethod
    def of(cls, quoted: StepQuote) -> "StepQuoteView":
        return cls(
            step=quoted.step,
            title=quoted.title,
            model=quoted.model,
            **_amounts(quoted.credits),
            tokens=quoted.tokens,
            basis=quoted.basis.value,
            samples=quoted.samples,
        )


class MethodView(msgspec.Struct):
    """How the figures came about; the version changes when the rule does."""

    version: int
    text: str


class QuoteView(msgspec.Struct):
    """What a run will probably cost. ``affordable``: the balance covers the high figure."""

    mode: str
    depth: str
    low: AmountView
    expected: AmountView
    high: AmountView
    steps: list[StepQuoteView]
    credits_available: int
    affordable: bool
    exchange_rate: RateView
    prices_on: date
    method: MethodView
    offline: bool
    notice: str

    @classmethod
    def of(cls, quoted: Quote, balance: Balance, provider: ModelProvider) -> "QuoteView":
        return cls(
            mode=quoted.pipeline.mode.value,
            depth=quoted.depth.value,
            **_amounts(quoted.credits),
            steps=[StepQuoteView.of(step) for step in quoted.steps],
            credits_available=balance.available,
            affordable=balance.available >= quoted.credits.high,
            exchange_rate=RateView.of(quoted.rate),
            prices_on=quoted.on,
            method=MethodView(METHOD_VERSION, METHOD),
            offline=provider.offline,
            notice=provider.notice,
        )


class QuoteController(Controller):
    """Quotes. Asking has no effect: nothing is kept, begun or charged."""

    tags = ("Billing",)

    @post(
        "/quotes",
        guards=[requires(Permission.PROJECTS_READ)],
        status_code=HTTP_200_OK,
        summary="Quote an idea",
    )
    async def quote_idea(
        self,
        data: JSONBody[IdeaQuoteRequest],
        principal: NamedDependency[Principal],
        make_quote: NamedDependency[MakeQuote],
        provider: NamedDependency[ModelProvider],
    ) -> QuoteView:
        """What executing such an idea will probably cost. Has no effect."""
        quoted, balance = await make_quote(
            QuoteRequest(
                user_id=principal.user_id,
                mode=data.mode,
                depth=data.depth,
                idea=data.idea,
                idea_length=data.idea_length,
            )
        )
        return QuoteView.of(quoted, balance, provider)

    @post(
        "/projects/{project_id:str}/quote",
        guards=[requires(Permission.PROJECTS_READ)],
        status_code=HTTP_200_OK,
        summary="Quote a project",
    )
    async def quote_project(
        self,
        project_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        make_quote: NamedDependency[MakeQuote],
        provider: NamedDependency[ModelProvider],
    ) -> QuoteView:
        """What executing the project as it is now will probably cost. Has no effect."""
        quoted, balance = await make_quote.of_project(principal.user_id, ProjectId(project_id))
        return QuoteView.of(quoted, balance, provider)


def _amounts(span: Span) -> dict[str, AmountView]:
    return {
        "low": AmountView.of(span.low),
        "expected": AmountView.of(span.expected),
        "high": AmountView.of(span.high),
    }
