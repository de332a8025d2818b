"""The contract of language models, for the one that asks nobody."""

import pytest

from application.ports.language_model import LanguageModel
from tests.contracts.language_model_contract import LanguageModelContract

offline = pytest.importorskip("adapters.offline", exc_type=ImportError)
if not hasattr(offline, "OfflineLanguageModel"):
    pytest.skip("the offline model is not there yet", allow_module_level=True)


class TestOffline(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        return offline.OfflineLanguageModel()
