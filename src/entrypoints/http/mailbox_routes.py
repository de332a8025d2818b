"""The mailbox of a laptop: what would have been sent. Local only."""

from collections.abc import Sequence
from html import escape
from typing import Annotated, Any

from litestar import Controller, Request, Response
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from adapters.mail import RedisMailbox
from application.ports.mail import Message
from entrypoints.http.access import OPERATIONS, public
from entrypoints.http.routing import get

_HEADERS = {
    # The letters bring styles of their own, as attributes; they run nothing and load nothing.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
}


class MailboxController(Controller):
    """Mail that nobody was sent."""

    path = "/mailbox"
    include_in_schema = False
    opt = {OPERATIONS: True}  # noqa: RUF012  # Litestar's own declaration

    @get(guards=[public], summary="The mailbox")
    async def mailbox_page(
        self,
        request: Request[Any, Any, Any],
        mailbox: NamedDependency[RedisMailbox],
        to: Annotated[str, QueryParameter(description="A recipient.")] = "",
    ) -> Response[Any]:
        """What would have been sent, the last first; as JSON to whoever accepts that."""
        messages = await mailbox.messages(to)
        if "application/json" in request.headers.get("accept", ""):
            return Response(
                [
                    {"to": each.to, "subject": each.subject, "text": each.text, "html": each.html}
                    for each in messages
                ],
                media_type="application/json",
            )
        return Response(_page(messages), media_type="text/html", headers=_HEADERS)


def _page(messages: Sequence[Message]) -> str:
    letters = "".join(
        f"<article><h2>{escape(each.subject)}</h2><p>To {escape(each.to)}</p>"
        f"<pre>{escape(each.text)}</pre></article>"
        for each in messages
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Mailbox</title><style>:root{color-scheme:light dark;"
        "font:1rem/1.6 system-ui,sans-serif}main{max-width:44rem;margin:0 auto;padding:1.5rem}"
        "article{border-top:1px solid;padding:1rem 0}h2{margin:0;font-size:1.125rem}"
        "pre{white-space:pre-wrap;font:inherit;overflow-wrap:anywhere}</style></head><body><main>"
        "<h1>Mailbox</h1><p>On your own machine mail is shown here and sent to nobody. "
        f"SMTP_HOST has it sent.</p>{letters or '<p>Nothing yet.</p>'}</main></body></html>"
    )
