"""The offline model as its port describes it."""

import asyncio

import msgspec
import pytest

from adapters.offline import OfflineLanguageModel
from adapters.offline.language_model import COMPOSERS
from application.ports.language_model import (
    FailureKind,
    ModelCallFailed,
    ModelRequest,
    RawReply,
    StopReason,
)
from domain.agents.artifacts import CodePlan, FileBatch, IdeaBrief, Reply
from domain.agents.pipelines import Depth, ModelTier
from domain.billing.usage import NO_USAGE
from tests.unit.offline.making import make

MADE = make("Members borrow books.")
INPUTS = {
    "idea": MADE.idea,
    "brief": MADE.brief,
    "requirements": MADE.requirements,
    "product": MADE.product,
    "plan": MADE.plan,
    "files": ("app/records.py", "README.md"),
    "codebase": MADE.codebase,
}


async def ask(instructions: str, makes: type[Reply], **inputs: object) -> RawReply:
    request = ModelRequest(
        makes=makes,
        instructions=instructions,
        inputs=inputs,
        tier=ModelTier.DEFAULT,
        depth=Depth.STANDARD,
    )
    model = OfflineLanguageModel()
    assert await model.upper_bound(request, ()) == 0
    return await model.reply(request, (), lambda tokens: None)


@pytest.mark.parametrize(("instructions", "makes"), COMPOSERS, ids=str)
async def test_every_registered_request_is_answered_whole_and_free(
    instructions: str, makes: type[Reply]
) -> None:
    reply = await ask(instructions, makes, **INPUTS)
    assert isinstance(msgspec.json.decode(reply.text, type=makes), makes)
    assert (reply.stop, reply.usage, reply.cost_nano_usd) == (StopReason.COMPLETE, NO_USAGE, 0)
    assert reply == await ask(instructions, makes, **INPUTS)


async def test_exactly_the_files_asked_for_are_written() -> None:
    reply = await ask("code.files", FileBatch, **INPUTS)
    batch = msgspec.json.decode(reply.text, type=FileBatch)
    assert [file.path for file in batch.files] == ["app/records.py", "README.md"]


async def test_rules_repair_nothing() -> None:
    reply = await ask("repair", FileBatch, **INPUTS)
    assert msgspec.json.decode(reply.text, type=FileBatch) == FileBatch(files=())


@pytest.mark.parametrize(
    ("instructions", "makes", "inputs"),
    [
        ("horoscope", IdeaBrief, INPUTS),
        ("idea", CodePlan, INPUTS),
        ("idea", IdeaBrief, {}),
        ("code.plan", CodePlan, {**INPUTS, "brief": MADE.idea}),
        ("code.files", FileBatch, {**INPUTS, "files": ("setup.py",)}),
    ],
)
async def test_what_no_rule_makes_is_refused_for_good(
    instructions: str, makes: type[Reply], inputs: dict[str, object]
) -> None:
    with pytest.raises(ModelCallFailed) as caught:
        await ask(instructions, makes, **inputs)
    assert caught.value.kind is FailureKind.PERMANENT


async def test_the_loop_goes_on_while_code_is_composed() -> None:
    task = asyncio.create_task(ask("code.plan", CodePlan, **INPUTS))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 3


async def test_it_says_that_no_language_model_was_asked() -> None:
    model = OfflineLanguageModel()
    assert model.provider.offline
    assert "without a language model" in model.provider.notice
    assert model.version("idea", ModelTier.CHEAP) == model.version("idea", ModelTier.STRONG)
    await model.ping()
