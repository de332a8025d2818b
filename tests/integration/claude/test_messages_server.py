"""The stand-in as a process of its own, as a benchmark uses it."""

import asyncio
import json
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from adapters.claude import ClaudeLanguageModel, ClaudeSettings
from tests.contracts.language_model_contract import IDEA_REQUEST
from tests.fakes.prices import FixedPrices
from tests.servers.messages_api import serving_in_thread

ROOT = Path(__file__).parents[3]


async def test_a_process_answers_each_call_after_its_delay() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.servers.messages_api", "--delay", "1",
        cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        url = line.decode().split()[-1]
        model = ClaudeLanguageModel(ClaudeSettings(api_key="k", base_url=url), FixedPrices())
        began = time.monotonic()
        replies = await asyncio.gather(
            *(model.reply(IDEA_REQUEST, (), lambda tokens: None) for _ in range(8))
        )
        took = time.monotonic() - began
    finally:
        process.terminate()
    assert await process.wait() == 0
    assert all(json.loads(reply.text)["title"] for reply in replies)
    assert 1 <= took < 7  # one after another, they would take eight


def test_a_thread_serves_tests_that_block_their_loop() -> None:
    with (
        serving_in_thread() as url,
        urllib.request.urlopen(f"{url}/v1/models", timeout=5) as response,
    ):
        assert [m["id"] for m in json.load(response)["data"]] == [
            "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5",
        ]  # fmt: skip
        assert response.status == pytest.approx(200)
