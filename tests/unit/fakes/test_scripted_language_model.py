"""The fake language model keeps the contract, and does what is written down for it."""

import asyncio
from typing import Any

import msgspec
import pytest

from adapters.claude.instructions import ANSWERS
from adapters.claude.schemas import schema_of
from application.ports.language_model import (
    FailureKind,
    LanguageModel,
    ModelCallFailed,
    ModelRequest,
    StopReason,
)
from domain.agents.artifacts import Reply
from tests.contracts.language_model_contract import IDEA_REQUEST, LanguageModelContract
from tests.fakes.language_model import (
    PRICE,
    USAGE,
    Answer,
    ScriptedLanguageModel,
    answer,
    fail,
    scripted,
)
from tests.servers.answers import sample_of


def sample(makes: type[Reply]) -> Any:
    schema = schema_of(makes)
    return msgspec.convert(sample_of(schema, schema.get("$defs", {})), makes)


def ignore(progress: object) -> None:
    """Progress is of no interest."""


class TestScripted(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        return scripted({name: answer(sample(makes)) for name, makes in ANSWERS.items()})


async def test_plays_are_used_up_in_order_and_the_last_is_repeated() -> None:
    model = ScriptedLanguageModel(
        idea=[fail(FailureKind.RATE_LIMITED, retry_after=3.0), answer("a"), answer("b")]
    )

    with pytest.raises(ModelCallFailed) as failed:
        await model.reply(IDEA_REQUEST, (), ignore)
    texts = [(await model.reply(IDEA_REQUEST, (), ignore)).text for _ in range(3)]

    assert failed.value.retry_after == 3.0
    assert texts == ["a", "b", "b"]
    assert model.asked("idea") == (IDEA_REQUEST,) * 4


async def test_a_play_may_depend_on_the_request() -> None:
    def play(request: ModelRequest) -> Answer:
        return answer(request.instructions, stop=StopReason.TRUNCATED)

    reply = await ScriptedLanguageModel(idea=play).reply(IDEA_REQUEST, (), ignore)

    assert (reply.text, reply.stop) == ("idea", StopReason.TRUNCATED)
    assert (reply.usage, reply.cost_nano_usd) == (USAGE, PRICE.cost(USAGE))


async def test_a_gate_holds_calls_until_it_opens() -> None:
    gate = asyncio.Event()
    model = ScriptedLanguageModel(idea=answer("a", gate=gate))
    calls = [asyncio.ensure_future(model.reply(IDEA_REQUEST, (), ignore)) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    held = model.in_flight
    calls[0].cancel()
    gate.set()
    await asyncio.gather(*calls, return_exceptions=True)

    assert (held, model.in_flight, model.most_in_flight, model.cancelled) == (3, 0, 3, 1)


async def test_what_is_not_scripted_is_an_error_of_the_test() -> None:
    with pytest.raises(AssertionError, match="idea"):
        await ScriptedLanguageModel().reply(IDEA_REQUEST, (), ignore)
