"""The fake and the real renderer keep the same contract."""

import pytest

from adapters.documents import TemplatedDocumentRenderer
from application.ports.documents import DocumentRenderer
from tests.contracts.document_renderer_contract import DocumentRendererContract
from tests.fakes.document_renderer import PlainTextRenderer


class TestFake(DocumentRendererContract):
    @pytest.fixture
    def renderer(self) -> DocumentRenderer:
        return PlainTextRenderer()


class TestTemplated(DocumentRendererContract):
    @pytest.fixture
    def renderer(self) -> DocumentRenderer:
        return TemplatedDocumentRenderer()
