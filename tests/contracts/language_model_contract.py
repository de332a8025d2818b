"""What every language model does, whoever answers.

A module of tests subclasses :class:`LanguageModelContract` and gives the fixture
``model``.
"""

import asyncio
from typing import TypeVar

import msgspec

from application.ports.language_model import (
    CallProgress,
    LanguageModel,
    ModelRequest,
    RawReply,
    StopReason,
)
from domain.agents.artifacts import (
    CodePlan,
    FileBatch,
    Idea,
    IdeaBrief,
    Mode,
    ProductSpec,
    Reply,
    Requirements,
)
from domain.agents.pipelines import PIPELINES, Depth, ModelTier

R = TypeVar("R", bound=Reply)

IDEA = Idea(
    title="College library",
    idea=(
        "A library system for a college: members borrow books, librarians manage titles and "
        "copies, and overdue loans are fined."
    ),
    mode=Mode.DEVELOPER,
)


def request_for(makes: type[Reply], instructions: str, **inputs: object) -> ModelRequest:
    """A request of the default tier and depth; the idea is always its first input."""
    return ModelRequest(
        makes=makes,
        instructions=instructions,
        inputs={"idea": IDEA, **inputs},
        tier=ModelTier.DEFAULT,
        depth=Depth.STANDARD,
    )


IDEA_REQUEST = request_for(IdeaBrief, "idea")


def _ignore(progress: CallProgress) -> None:
    """Progress is of no interest here."""


async def _whole(model: LanguageModel, request: ModelRequest) -> RawReply:
    reply = await model.reply(request, (), _ignore)
    assert reply.stop is StopReason.COMPLETE
    return reply


async def _made(model: LanguageModel, makes: type[R], name: str, **inputs: object) -> R:
    reply = await _whole(model, request_for(makes, name, **inputs))
    return msgspec.json.decode(reply.text, type=makes)


class LanguageModelContract:
    """The suite; ``model`` is a fixture of the subclass."""

    async def test_every_reply_of_a_pipeline_is_json_of_the_type_asked_for(
        self, model: LanguageModel
    ) -> None:
        brief = await _made(model, IdeaBrief, "idea")
        requirements = await _made(model, Requirements, "srs", brief=brief)
        product = await _made(model, ProductSpec, "prd", brief=brief)
        known = {"brief": brief, "requirements": requirements, "product": product}
        plan = await _made(model, CodePlan, "code.plan", **known)
        paths = tuple(file.path for file in plan.files[:2])
        batch = await _made(model, FileBatch, "code.files", **known, plan=plan, files=paths)

        assert brief.title
        assert requirements.functional
        assert product.features
        assert batch.files

    async def test_a_reply_costs_no_more_than_was_held_for_it(self, model: LanguageModel) -> None:
        held = await model.upper_bound(IDEA_REQUEST, ())

        reply = await _whole(model, IDEA_REQUEST)

        assert 0 <= reply.cost_nano_usd <= held

    async def test_a_reply_names_its_model(self, model: LanguageModel) -> None:
        assert (await _whole(model, IDEA_REQUEST)).model

    async def test_progress_never_costs_more_than_was_held(self, model: LanguageModel) -> None:
        held = await model.upper_bound(IDEA_REQUEST, ())
        seen: list[CallProgress] = []

        await model.reply(IDEA_REQUEST, (), seen.append)

        assert all(0 <= progress.cost_nano_usd <= held for progress in seen)
        assert all(progress.model for progress in seen)

    async def test_replies_may_be_asked_for_at_the_same_time(self, model: LanguageModel) -> None:
        replies = await asyncio.gather(*(_whole(model, IDEA_REQUEST) for _ in range(5)))

        assert {type(msgspec.json.decode(r.text, type=IdeaBrief)) for r in replies} == {IdeaBrief}

    async def test_a_call_can_be_cancelled(self, model: LanguageModel) -> None:
        call = asyncio.ensure_future(model.reply(IDEA_REQUEST, (), _ignore))
        await asyncio.sleep(0)
        call.cancel()

        # A model that never waits is done by then; any other stops.
        ended = (await asyncio.gather(call, return_exceptions=True))[0]

        assert isinstance(ended, asyncio.CancelledError | RawReply)

    def test_a_version_is_known_for_whatever_an_agent_is_instructed_with(
        self, model: LanguageModel
    ) -> None:
        for pipeline in PIPELINES.values():
            for step in pipeline.steps:
                agent = step.agent
                first = model.version(agent.instructions, agent.tier)
                assert first
                assert first == model.version(agent.instructions, agent.tier)

    def test_instructions_have_versions_of_their_own(self, model: LanguageModel) -> None:
        names = ("idea", "srs", "prd", "code", "repair")

        versions = {model.version(name, ModelTier.DEFAULT) for name in names}

        assert len(versions) == len(names)

    async def test_a_provider_in_reach_answers_a_ping(self, model: LanguageModel) -> None:
        assert await model.ping() is None  # type: ignore[func-returns-value]  # that it returns

    def test_whoever_asks_no_model_discloses_it(self, model: LanguageModel) -> None:
        provider = model.provider

        assert provider.name
        assert provider.offline == bool(provider.notice)
