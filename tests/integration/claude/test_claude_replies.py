"""Whole, cut and continued replies of the real SDK, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from adapters.claude import ClaudeLanguageModel, ClaudeSettings
from application.ports.language_model import (
    CallProgress,
    FailureKind,
    ModelCallFailed,
    ModelRequest,
    RawReply,
    StopReason,
)
from domain.agents.artifacts import CodePlan, FileBatch, Idea, IdeaBrief, Mode
from domain.agents.pipelines import ModelTier
from domain.billing.usage import TokenUsage
from tests.contracts.language_model_contract import IDEA_REQUEST, request_for
from tests.fakes.prices import PUBLISHED, FixedPrices
from tests.servers.messages_api import MessagesServer, Turn

KEY = "sk-ant-test-4f1c"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BRIEF = json.dumps({"title": "Library", "list": [f"item {n} of many" for n in range(400)]})


@pytest.fixture
async def server() -> AsyncIterator[MessagesServer]:
    async with MessagesServer(api_key=KEY) as server:
        yield server


@pytest.fixture
async def model(server: MessagesServer) -> AsyncIterator[ClaudeLanguageModel]:
    model = ClaudeLanguageModel(
        ClaudeSettings(api_key=KEY, base_url=server.url), FixedPrices(), now=lambda: NOW
    )
    yield model
    await model.aclose()


def ignore(progress: CallProgress) -> None:
    """Progress is of no interest."""


async def ask(
    model: ClaudeLanguageModel, request: ModelRequest = IDEA_REQUEST, *so_far: RawReply
) -> RawReply:
    return await model.reply(request, so_far, ignore)


async def test_a_whole_reply_is_the_text_the_model_wrote(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text=BRIEF, piece=7))

    reply = await ask(model)

    assert (reply.text, reply.stop) == (BRIEF, StopReason.COMPLETE)
    assert (reply.model, reply.provider_request_id) == ("claude-sonnet-5-5", "req_test")


async def test_every_bucket_is_counted_and_priced(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    usage = {
        "input_tokens": 1_000,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3_000,
        "output_tokens": 40,
    }
    server.script(Turn(text="{}", usage=usage))

    reply = await ask(model)

    assert reply.usage == TokenUsage(input=1_000, output=40, cache_write=200, cache_read=3_000)
    assert reply.cost_nano_usd == 1_000 * 2_000 + 40 * 10_000 + 200 * 2_500 + 3_000 * 100


async def test_a_long_prompt_is_priced_in_its_band(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    usage = {"input_tokens": 1, "cache_read_input_tokens": 100_000, "output_tokens": 1}
    server.script(Turn(text="{}", usage={**usage, "cache_creation_input_tokens": 0}))

    reply = await ask(model, replace(IDEA_REQUEST, tier=ModelTier.CHEAP))

    assert reply.cost_nano_usd == 1 * 500 + 100_000 * 50 + 1 * 2_500


async def test_thinking_is_paid_for_and_not_part_of_the_answer(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text="{}", thinking="Let me see. " * 100))
    seen: list[int] = []

    reply = await model.reply(IDEA_REQUEST, (), lambda progress: seen.append(progress.usage.output))

    assert reply.text == "{}"
    assert seen[1] == 300
    assert seen[-1] == reply.usage.output == (2 + 1200) // 4 + 1


async def test_progress_grows_while_the_text_streams(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text="x" * 4_000, piece=1_000))
    seen: list[int] = []

    await model.reply(IDEA_REQUEST, (), lambda progress: seen.append(progress.usage.output))

    assert seen[1:] == [250, 500, 750, 1_000, 1_001]


async def test_tool_input_is_no_text(server: MessagesServer, model: ClaudeLanguageModel) -> None:
    server.script(Turn(text='{"a": 1}', as_tool_input=True, stop_reason="tool_use"))

    with pytest.raises(ModelCallFailed, match="tool_use") as failed:
        await ask(model)

    assert failed.value.kind is FailureKind.TRANSIENT
    assert failed.value.usage.output == 3


async def test_json_that_is_no_artifact_is_handed_on_as_it_is(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text='{"title": "Li'))

    reply = await ask(model)

    assert (reply.text, reply.stop) == ('{"title": "Li', StopReason.COMPLETE)


async def test_the_request_is_what_the_api_takes(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    await ask(model)

    call = server.calls[0]
    assert call.key == KEY
    assert call.headers["x-stainless-retry-count"] == "0"
    assert call.body["stream"] is True
    assert call.body["max_tokens"] == 32_000
    assert call.body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert call.body["output_config"]["format"]["schema"]["title"] == "IdeaBrief"


def plan_of(files: int) -> CodePlan:
    return msgspec.convert(
        {
            "title": "Library",
            "language": "python",
            "architecture": "One module for each entity. " * 400,
            "files": [
                {
                    "path": f"library/m{n}.py",
                    "purpose": "p",
                    "requirement_ids": ["FR-1"],
                    "symbols": [],
                    "is_test": False,
                }
                for n in range(files)
            ],
            "start": ["python3", "-m", "library"],
            "test": ["python3", "-m", "unittest"],
            "probe_path": "/health",
        },
        CodePlan,
    )


async def test_batches_made_together_share_their_prefix_and_pay_for_it_once(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    plan = plan_of(files=12)
    batches = [
        request_for(FileBatch, "code.files", plan=plan, files=(f"library/m{n}.py",))
        for n in range(6)
    ]

    replies = await asyncio.gather(*(ask(model, batch) for batch in batches))

    bodies = [call.body for call in server.calls]
    prefixes = [(b["system"], b["messages"][0]["content"][:2], b["output_config"]) for b in bodies]
    assert all(prefix == prefixes[0] for prefix in prefixes)
    assert prefixes[0][1][-1]["cache_control"] == {"type": "ephemeral", "ttl": "5m"}
    assert sum(reply.usage.cache_write > 0 for reply in replies) == 1
    assert sum(reply.usage.cache_read > 3_000 for reply in replies) == 5


async def test_a_cut_reply_is_continued_over_three_parts(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    first, second = len(BRIEF) // 3, 2 * len(BRIEF) // 3
    server.script(
        Turn(text=BRIEF[:first], stop_reason="max_tokens"),
        Turn(text=BRIEF[first - 60 : second], stop_reason="max_tokens"),
        Turn(text=f"```json\n{BRIEF[second:]}\n```\nDone."),
    )
    parts: list[RawReply] = []

    while not parts or parts[-1].stop is StopReason.TRUNCATED:
        parts.append(await ask(model, IDEA_REQUEST, *parts))

    assert "".join(part.text for part in parts) == BRIEF
    assert [part.stop for part in parts] == [
        StopReason.TRUNCATED,
        StopReason.TRUNCATED,
        StopReason.COMPLETE,
    ]
    last = server.calls[2].body
    assert [turn["role"] for turn in last["messages"]] == [
        "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert "format" not in last["output_config"]


async def test_a_reply_that_was_all_thinking_is_asked_for_again_with_its_schema(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text="", thinking="hm", stop_reason="max_tokens"), Turn(text=BRIEF))

    cut = await ask(model)
    reply = await ask(model, IDEA_REQUEST, cut)

    assert (cut.text, cut.stop, reply.text) == ("", StopReason.TRUNCATED, BRIEF)
    assert server.calls[0].body["messages"] == server.calls[1].body["messages"]


async def test_a_reply_whose_end_was_announced_counts_though_the_connection_breaks(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text=BRIEF, cut_before_stop=True))

    assert (await ask(model)).text == BRIEF


async def test_cancelling_closes_the_connection_at_once(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text=BRIEF, hang_after=2))
    streaming = asyncio.Event()
    call = asyncio.ensure_future(model.reply(IDEA_REQUEST, (), lambda tokens: streaming.set()))
    await asyncio.wait_for(streaming.wait(), 20)

    call.cancel()

    await asyncio.wait_for(server.calls[0].disconnected.wait(), 20)
    with pytest.raises(asyncio.CancelledError):
        await call


COUNTED = {
    "input_tokens": 900,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 1,
}


async def test_a_call_that_is_cut_has_told_what_it_came_to(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text="x" * 4_000, piece=1_000, hang_after=2, usage=COUNTED))
    seen: list[CallProgress] = []
    call = asyncio.ensure_future(model.reply(IDEA_REQUEST, (), seen.append))
    async with asyncio.timeout(20):
        while len(seen) < 3:
            await asyncio.sleep(0.01)

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    row = PUBLISHED.row(seen[-1].model, NOW.date(), 900)
    assert seen[0].usage.prompt == 900
    assert (seen[-1].usage.input, seen[-1].usage.output) == (900, 500)
    assert seen[-1].cost_nano_usd == row.cost(seen[-1].usage)
    assert seen[-1].estimated


async def test_cancelling_before_the_first_byte_closes_the_connection_too(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    server.script(Turn(text=BRIEF, delay_first_byte=30))
    call = asyncio.ensure_future(ask(model))
    seen = await server.next_call()

    call.cancel()

    await asyncio.wait_for(seen.disconnected.wait(), 20)


async def test_a_slow_reply_is_waited_for_while_it_moves(server: MessagesServer) -> None:
    settings = ClaudeSettings(api_key=KEY, base_url=server.url, read_timeout=2)
    model = ClaudeLanguageModel(settings, FixedPrices(), now=lambda: NOW)
    server.script(Turn(text="x" * 8, piece=1, delay_between=0.3))

    reply = await ask(model)

    assert reply.text == "x" * 8


async def test_the_held_amount_covers_what_the_server_counted(
    server: MessagesServer, model: ClaudeLanguageModel
) -> None:
    idea = Idea(title="पुस्तकालय", idea="सदस्य किताबें उधार लेते हैं। " * 200, mode=Mode.DEVELOPER)
    request = replace(IDEA_REQUEST, inputs={"idea": idea})

    reply = await ask(model, request)

    assert reply.cost_nano_usd <= await model.upper_bound(request, ())


async def test_the_default_tier_is_the_model_the_settings_name(
    server: MessagesServer,
) -> None:
    settings = ClaudeSettings(
        api_key=KEY,
        base_url=server.url,
        models=dict.fromkeys(ModelTier, "claude-opus-5-5"),
    )

    reply = await ask(ClaudeLanguageModel(settings, FixedPrices(), now=lambda: NOW))

    assert server.calls[0].body["model"] == reply.model == "claude-opus-5-5"
    row = PUBLISHED.row("claude-opus-5-5", NOW.date(), reply.usage.prompt)
    assert reply.cost_nano_usd == row.cost(reply.usage)
    assert msgspec.json.decode(reply.text, type=IdeaBrief).title
