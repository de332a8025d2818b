"""What is told to a webhook endpoint, and the exact bytes that say it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.shared.errors import InvalidValue
from domain.shared.ids import WebhookEventId

TEST = "webhook.test"
DISABLED = "webhook.disabled"

EVENT_TYPES: Mapping[str, str] = {
    "run.accepted": "a run was accepted and waits for a worker",
    "run.succeeded": "a run has done its work",
    "run.failed": "a run ended with an error",
    "run.cancelled": "a run was cancelled",
    "run.dead": "a run was set aside, because it broke its worker too often",
    "payment.captured": "a payment has arrived",
    "payment.failed": "a payment did not go through",
    "payment.refunded": "a payment was given back",
    "subscription.activated": "a subscription began, or began again",
    "subscription.renewed": "a subscription was renewed",
    "subscription.past_due": "a subscription's payment is overdue",
    "subscription.cancelled": "a subscription will not be renewed",
    "subscription.expired": "a subscription has ended",
    DISABLED: "another of your endpoints was switched off, because it failed too long",
    TEST: "you asked for a test; goes to the endpoint you named, whatever it listens to",
}
"""Every type of event, and what it says has happened."""

MAX_FILTERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """Something that happened. ``body`` is what is signed and sent, byte for byte.

    Its ``id`` is the ``webhook-id`` of every attempt to deliver it, replays included.
    """

    id: WebhookEventId
    type: str
    body: bytes = field(repr=False)
    occurred_at: datetime

    @classmethod
    def of(
        cls, id_: WebhookEventId, type_: str, data: Mapping[str, object], occurred_at: datetime
    ) -> "WebhookEvent":
        """The event with its body: JSON with ``id``, ``type``, ``timestamp`` and ``data``.

        Raises:
            ValueError: there is no such type.
            TypeError: ``data`` is not JSON.
        """
        if type_ not in EVENT_TYPES:
            raise ValueError(f"{type_!r} is no type of webhook event")
        at = occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = {"id": str(id_), "type": type_, "timestamp": at, "data": dict(data)}
        body = json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return cls(id=id_, type=type_, body=body.encode(), occurred_at=occurred_at)


def listened_as(type_: str) -> tuple[str, str]:
    """What an endpoint may have written to hear of that type: it, or its whole group."""
    return type_, f"{type_.partition('.')[0]}.*"


def check_filters(filters: Sequence[str]) -> tuple[str, ...]:
    """What an endpoint listens to, without repeats; nothing listed is everything.

    Raises:
        InvalidValue: one names no type and no group of types.
    """
    known = set(EVENT_TYPES) | {listened_as(type_)[1] for type_ in EVENT_TYPES}
    unknown = [each for each in filters if each not in known]
    if unknown:
        raise InvalidValue(
            "events",
            f"There are no events {unknown[0][:60]!r}. Use types such as 'run.succeeded', groups "
            "such as 'run.*', or leave the list empty for all.",
        )
    chosen = tuple(dict.fromkeys(filters))
    if len(chosen) > MAX_FILTERS:
        raise InvalidValue("events", f"List at most {MAX_FILTERS}; a group such as 'run.*' is one.")
    return chosen
