"""Each way a call of the real SDK can fail over HTTP, and what it is called then."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from adapters.claude import ClaudeLanguageModel, ClaudeSettings
from application.ports.language_model import FailureKind, ModelCallFailed
from domain.billing.usage import NO_USAGE, TokenUsage
from tests.contracts.language_model_contract import IDEA_REQUEST
from tests.fakes.prices import FixedPrices
from tests.servers.messages_api import (
    MessagesServer,
    Turn,
    failing,
    overloaded,
    rate_limited,
    too_long,
)

KEY = "sk-ant-test-4f1c"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG = "x" * 4_000


@pytest.fixture
async def server() -> AsyncIterator[MessagesServer]:
    async with MessagesServer(api_key=KEY) as server:
        yield server


@pytest.fixture
def settings(server: MessagesServer) -> ClaudeSettings:
    return ClaudeSettings(api_key=KEY, base_url=server.url)


async def failure(settings: ClaudeSettings) -> ModelCallFailed:
    model = ClaudeLanguageModel(settings, FixedPrices(), now=lambda: NOW)
    with pytest.raises(ModelCallFailed) as failed:
        await model.reply(IDEA_REQUEST, (), lambda tokens: None)
    await model.aclose()
    return failed.value


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        (rate_limited(), FailureKind.RATE_LIMITED),
        (overloaded(), FailureKind.OVERLOADED),
        (failing(503, "overloaded_error"), FailureKind.OVERLOADED),
        (failing(500, "api_error"), FailureKind.TRANSIENT),
        (failing(504, "timeout_error"), FailureKind.TRANSIENT),
        (failing(502, ""), FailureKind.TRANSIENT),
        (failing(408, "timeout_error"), FailureKind.TRANSIENT),
        (failing(409, "conflict_error"), FailureKind.TRANSIENT),
        (too_long(), FailureKind.TOO_LONG),
        (failing(413, "invalid_request_error"), FailureKind.TOO_LONG),
        (failing(400, "invalid_request_error", "bad schema"), FailureKind.PERMANENT),
        (failing(401, "authentication_error"), FailureKind.PERMANENT),
        (failing(402, "billing_error"), FailureKind.PERMANENT),
        (failing(403, "permission_error"), FailureKind.PERMANENT),
        (failing(404, "not_found_error"), FailureKind.PERMANENT),
    ],
    ids=lambda value: f"{value.status} {value.error_type}" if isinstance(value, Turn) else None,
)
async def test_an_error_is_classed_and_asked_for_once(
    server: MessagesServer, settings: ClaudeSettings, turn: Turn, kind: FailureKind
) -> None:
    server.script(turn, turn)

    failed = await failure(settings)

    assert failed.kind is kind
    assert (failed.usage, failed.cost_nano_usd, failed.estimated) == (NO_USAGE, 0, False)
    assert "req_test" in failed.message
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "3"}, 3.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "Mon, 23 Nov 2026 12:00:20 GMT"}, 20.0),
        ({}, None),
    ],
)
async def test_the_wish_to_wait_is_passed_on(
    server: MessagesServer,
    settings: ClaudeSettings,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    server.script(rate_limited(**headers))

    assert (await failure(settings)).retry_after == seconds


async def test_a_spent_allowance_is_no_rate(
    server: MessagesServer, settings: ClaudeSettings
) -> None:
    server.script(replace(rate_limited(), details={"error_code": "enforced_spend_limit_reached"}))

    assert (await failure(settings)).kind is FailureKind.PERMANENT


COUNTED = {
    "input_tokens": 900,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 0,
    "output_tokens": 5,
}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"cut_after": 2}, FailureKind.TRANSIENT),
        ({"malformed_after": 2}, FailureKind.TRANSIENT),
        ({"error_after": 2, "error_type": "overloaded_error"}, FailureKind.OVERLOADED),
        ({"error_after": 2, "error_type": "rate_limit_error"}, FailureKind.RATE_LIMITED),
        ({"error_after": 2, "error_type": "api_error"}, FailureKind.TRANSIENT),
    ],
    ids=str,
)
async def test_a_reply_broken_in_the_middle_carries_what_it_has_cost(
    server: MessagesServer,
    settings: ClaudeSettings,
    fault: dict[str, object],
    kind: FailureKind,
) -> None:
    server.script(Turn(text=LONG, piece=1_000, usage=COUNTED, **fault))

    failed = await failure(settings)

    assert failed.kind is kind
    assert failed.usage == TokenUsage(input=900, cache_write=100, output=500)
    assert failed.cost_nano_usd == 900 * 2_000 + 100 * 2_500 + 500 * 10_000
    assert failed.estimated


async def test_a_stream_that_just_stops_is_transient(
    server: MessagesServer, settings: ClaudeSettings
) -> None:
    server.script(Turn(text=LONG, stop_reason=""))

    failed = await failure(settings)

    assert (failed.kind, failed.estimated) == (FailureKind.TRANSIENT, True)


@pytest.mark.parametrize(
    ("stop_reason", "kind"),
    [
        ("refusal", FailureKind.REFUSED),
        ("model_context_window_exceeded", FailureKind.TOO_LONG),
        ("pause_turn", FailureKind.TRANSIENT),
    ],
)
async def test_a_stop_without_an_answer_is_a_failure_that_was_paid_for(
    server: MessagesServer, settings: ClaudeSettings, stop_reason: str, kind: FailureKind
) -> None:
    server.script(Turn(text="", stop_reason=stop_reason, usage=COUNTED))

    failed = await failure(settings)

    assert failed.kind is kind
    assert failed.usage == TokenUsage(input=900, cache_write=100, output=5)
    assert failed.cost_nano_usd == 900 * 2_000 + 100 * 2_500 + 5 * 10_000
    assert not failed.estimated


async def test_a_refusal_says_its_category(
    server: MessagesServer, settings: ClaudeSettings
) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    server.script(Turn(text="", stop_reason="refusal", stop_details=details))

    assert "cyber" in (await failure(settings)).message


@pytest.mark.parametrize(
    "turn",
    [
        Turn(text=LONG, delay_first_byte=30),
        Turn(text=LONG, delay=30),
        Turn(text=LONG, hang_after=1),
    ],
    ids=["no first byte", "no delta", "no next delta"],
)
async def test_silence_is_transient_after_the_read_timeout(
    server: MessagesServer, settings: ClaudeSettings, turn: Turn
) -> None:
    server.script(turn)

    failed = await asyncio.wait_for(failure(replace(settings, read_timeout=0.2)), 20)

    assert failed.kind is FailureKind.TRANSIENT


async def test_a_reply_that_drips_for_ever_is_cut_at_the_total(
    server: MessagesServer, settings: ClaudeSettings
) -> None:
    server.script(Turn(text=LONG, piece=1, delay_between=0.01, usage=COUNTED))

    failed = await asyncio.wait_for(failure(replace(settings, total_timeout=2)), 20)

    assert failed.kind is FailureKind.TRANSIENT
    assert failed.usage.input == 900
    assert failed.estimated


async def test_nobody_listening_is_transient(server: MessagesServer) -> None:
    async with MessagesServer() as gone:
        url = gone.url

    failed = await failure(ClaudeSettings(api_key=KEY, base_url=url))

    assert failed.kind is FailureKind.TRANSIENT


async def test_instructions_that_do_not_exist_are_permanent_and_never_sent(
    server: MessagesServer, settings: ClaudeSettings
) -> None:
    model = ClaudeLanguageModel(settings, FixedPrices(), now=lambda: NOW)

    with pytest.raises(ModelCallFailed, match="poem") as failed:
        await model.reply(replace(IDEA_REQUEST, instructions="poem"), (), lambda tokens: None)

    assert failed.value.kind is FailureKind.PERMANENT
    assert server.calls == []


@pytest.mark.parametrize(
    "turn",
    [
        failing(401, "authentication_error", f"invalid x-api-key: {KEY}"),
        failing(500, "api_error"),
        Turn(text=LONG, cut_after=1),
        Turn(text=LONG, malformed_after=1),
        Turn(text=LONG, error_after=1, error_type="api_error", message=f"key {KEY}"),
    ],
    ids=["401", "500", "cut", "malformed", "error event"],
)
async def test_the_key_is_in_no_message_no_traceback_and_no_log(
    server: MessagesServer,
    settings: ClaudeSettings,
    turn: Turn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script(turn)

    failed = await failure(settings)

    shown = "".join(traceback.format_exception(failed))
    assert KEY not in str(failed) + shown
    assert failed.__cause__ is failed.__context__ is None
    logged = [record.getMessage() + (record.exc_text or "") for record in caplog.records]
    assert not [line for line in logged if KEY in line]
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        (failing(401, "authentication_error", f"invalid x-api-key: {KEY}"), FailureKind.PERMANENT),
        (overloaded(), FailureKind.OVERLOADED),
        (rate_limited(retry_after="7"), FailureKind.RATE_LIMITED),
    ],
)
async def test_a_ping_fails_as_a_call_does_and_buys_nothing(
    server: MessagesServer, settings: ClaudeSettings, turn: Turn, kind: FailureKind
) -> None:
    server.script(turn)
    model = ClaudeLanguageModel(settings, FixedPrices(), now=lambda: NOW)

    with pytest.raises(ModelCallFailed) as failed:
        await model.ping()

    assert failed.value.kind is kind
    assert KEY not in str(failed.value)
    assert server.calls == []


async def test_a_ping_with_a_wrong_key_is_permanent(settings: ClaudeSettings) -> None:
    model = ClaudeLanguageModel(
        replace(settings, api_key="sk-wrong"), FixedPrices(), now=lambda: NOW
    )

    with pytest.raises(ModelCallFailed, match="authentication_error") as failed:
        await model.ping()

    assert failed.value.kind is FailureKind.PERMANENT
    assert "sk-wrong" not in str(failed.value)
