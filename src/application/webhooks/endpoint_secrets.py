"""An endpoint's secrets: made, sealed for that endpoint alone, and opened to sign."""

import secrets

from application.ports.security import SecretBox
from domain.shared.ids import WebhookEndpointId
from domain.webhooks.endpoint import seal_use
from domain.webhooks.signature import SECRET_BYTES


def new_secret(box: SecretBox, endpoint_id: WebhookEndpointId) -> tuple[bytes, bytes]:
    """A secret, and the same sealed."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return secret, box.seal(secret, seal_use(endpoint_id))


def opened(box: SecretBox, endpoint_id: WebhookEndpointId, sealed: bytes) -> bytes:
    """The secret.

    Raises:
        SecretUnreadable: its key is gone, or it is not this endpoint's.
    """
    return box.open(sealed, seal_use(endpoint_id))
