"""What the document says in words: the parts that are no operation."""

from typing import Final

from domain.webhooks.event import EVENT_TYPES

TITLE: Final = "BharatBuild AI"

DESCRIPTION: Final = """\
An idea goes in; requirements, documents and a verified codebase come out.

**Who calls.** Send an access token as `Authorization: Bearer …`, or an API key as
`X-API-Key: …`, and not both. What an operation needs stands with it: the same permissions of a
person's role, and of a key as its scopes.

**Values.** Identifiers are UUIDs, times are UTC in RFC 3339, credits are integers: 100 credits
are one rupee. Unknown fields in a body are refused. Answers may gain fields: ignore those you do
not know.

**Errors** are problem details (RFC 9457, `application/problem+json`). `code` is stable, `detail`
is for people, `request_id` is for a report; `errors` names the fields that do not fit.

**Repeats.** Give a POST an `Idempotency-Key`, where it takes one, and it can be sent again
without a second effect: for 24 hours a repeat gets the first answer, with
`Idempotency-Replayed: true`.

**Limits.** Every answer says where its caller stands in `RateLimit-Policy` and `RateLimit`.
After a 429, and a 503, wait as long as `Retry-After` says.

**The live stream** is a WebSocket, which OpenAPI does not describe:
`GET /api/v1/runs/{run_id}/stream?ticket=…&after=…`. Get a ticket with *Get a stream ticket*; it is
good once, for 30 seconds. `after` is the last number already seen, 0 for all. Messages are JSON:
entries of the run's log as *Read a run's log* gives them, without a gap; fleeting
`{"type": "step.progress", "step": …, "output_tokens": …}`; and `{"type": "heartbeat"}` when
nothing happens. It closes with 1000 when the run has ended, 1013 when something is away and 4408
when the reader is too slow (after both: resume with a new ticket and `after`), 4400 when a
parameter does not fit, 4401 for the ticket, 4403 for the origin, 4404 for an unknown run, 4429
after too many attempts.
"""

TAGS: Final = {
    "Identity": "Accounts of persons, and signing in.",
    "Projects": "An idea, its runs' start, its documents and its archive.",
    "Documents": "What a run has made, one by one.",
    "Runs": "Following a run, ending it, and beginning it anew.",
    "Billing": "Credits, quotes, usage, plans, payments and invoices.",
    "API keys": "What a partner's programs call with.",
    "Webhooks": "Being told what happens. Each request is signed as Standard Webhooks says.",
    "Operation": "For operators of the platform.",
    "Operations": "For machines that watch over it.",
}
"""What each group of operations is about."""

OPERATION_ENDS: Final = "\n\nCounts as {cost} requests under every limit."

WEBHOOK_HEADERS: Final = {
    "webhook-id": "The event's id, the same over attempts and replays. Keep those you have seen.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": "`v1,` and the HMAC-SHA-256 of `id.timestamp.body` under your secret, in "
    "Base64. While a secret is being rotated there are two, with a space between.",
}


def webhook_summaries() -> dict[str, str]:
    """Every type of event, and what it says."""
    return {type_: says[0].upper() + says[1:] + "." for type_, says in EVENT_TYPES.items()}
