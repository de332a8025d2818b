"""The way out to webhook endpoints, without one; and figures written down."""

from collections.abc import Callable

from application.ports.webhooks import WebhookAnswer, WebhookRequest, WebhookSender

Script = Callable[[WebhookRequest], WebhookAnswer]


class ScriptedWebhookSender(WebhookSender):
    """Remembers what was sent, and answers by URL; a URL without a script is nowhere."""

    def __init__(self) -> None:
        self.sent: list[WebhookRequest] = []
        self._scripts: dict[str, Script] = {}

    def on(self, url: str, answer: WebhookAnswer | Script) -> None:
        """Answer so at that URL from now on."""
        self._scripts[url] = answer if callable(answer) else lambda _: answer

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        script = self._scripts.get(request.url)
        if script is None:
            return WebhookAnswer(error="connect", excerpt="nobody answers at that port")
        self.sent.append(request)
        return script(request)


class RecordingWebhookMetrics:
    """Remembers outcomes and what was switched off, in order."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.disabled: list[str] = []

    def attempted(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def endpoint_disabled(self, reason: str) -> None:
        self.disabled.append(reason)
