"""What every way out to webhook endpoints does: one request, and an answer whatever happens."""

from collections.abc import Callable
from typing import Protocol

from application.ports.webhooks import WebhookAnswer, WebhookRequest, WebhookSender


class Answering(Protocol):
    """Makes the endpoint answer so, and tells its URL."""

    def __call__(self, status: int, body: bytes, headers: dict[str, str]) -> str: ...


Heard = Callable[[], list[WebhookRequest]]
"""What the endpoint has received so far, with the signed headers alone."""

BODY = '{"id":"1","text":"₹"}'.encode()
SIGNED = {"webhook-id": "1", "webhook-timestamp": "2", "webhook-signature": "v1,aGk="}


class WebhookSenderContract:
    """Fixtures: ``sender``, ``answering``, ``heard``, and ``nowhere``, a URL nobody serves."""

    async def test_the_endpoint_gets_the_very_bytes_and_headers(
        self, sender: WebhookSender, answering: Answering, heard: Heard
    ) -> None:
        url = answering(200, b"thanks", {})
        answer = await sender.send(WebhookRequest(url=url, headers=SIGNED, body=BODY))
        assert (answer.status, answer.error, answer.excerpt) == (200, "", "thanks")
        assert answer.address
        assert heard() == [WebhookRequest(url=url, headers=SIGNED, body=BODY)]

    async def test_a_refusal_is_an_answer(
        self, sender: WebhookSender, answering: Answering
    ) -> None:
        url = answering(503, b"later", {"retry-after": "120"})
        answer = await sender.send(WebhookRequest(url=url, headers=SIGNED, body=BODY))
        assert (answer.status, answer.retry_after, answer.error) == (503, 120.0, "")

    async def test_a_redirect_is_told_and_not_followed(
        self, sender: WebhookSender, answering: Answering, heard: Heard
    ) -> None:
        url = answering(307, b"", {"location": "http://127.0.0.1:1/"})
        answer = await sender.send(WebhookRequest(url=url, headers=SIGNED, body=BODY))
        assert answer.status == 307
        assert len(heard()) == 1

    async def test_nobody_there_is_an_answer_too(self, sender: WebhookSender, nowhere: str) -> None:
        answer = await sender.send(WebhookRequest(url=nowhere, headers=SIGNED, body=BODY))
        assert answer == WebhookAnswer(error="connect", excerpt=answer.excerpt)
