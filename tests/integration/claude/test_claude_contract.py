"""The contract of language models, for Claude over HTTP."""

from collections.abc import AsyncIterator

import pytest

from adapters.claude import ClaudeLanguageModel, ClaudeSettings
from application.ports.language_model import LanguageModel
from tests.contracts.language_model_contract import LanguageModelContract
from tests.fakes.prices import FixedPrices
from tests.servers.messages_api import MessagesServer


class TestClaude(LanguageModelContract):
    @pytest.fixture
    async def model(self) -> AsyncIterator[LanguageModel]:
        async with MessagesServer() as server:
            model = ClaudeLanguageModel(
                ClaudeSettings(api_key="k", base_url=server.url), FixedPrices()
            )
            yield model
            await model.aclose()
