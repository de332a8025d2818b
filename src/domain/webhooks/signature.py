"""Signatures of Standard Webhooks 1.0.0 (github.com/standard-webhooks, ``spec``), symmetric."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

from domain.shared.ids import WebhookEventId

SECRET_BYTES = 32
"""Random bytes of a secret. The specification asks for 24 to 64."""

PREFIX = "whsec_"


def secret_text(secret: bytes) -> str:
    """A secret as its owner is shown it and libraries take it."""
    return PREFIX + base64.b64encode(secret).decode("ascii")


def signed_headers(
    secrets: Iterable[bytes], event_id: WebhookEventId, at: datetime, body: bytes
) -> dict[str, str]:
    """The three headers of an attempt made ``at``; one signature for each secret that counts.

    What is signed is ``id.timestamp.body``: a UUID and a number hold no full stop.
    """
    timestamp = str(int(at.timestamp()))
    content = f"{event_id}.{timestamp}.".encode("ascii") + body
    return {
        "webhook-id": str(event_id),
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: bytes, content: bytes) -> str:
    digest = hmac.new(secret, content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")
