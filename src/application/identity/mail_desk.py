"""Have a mail sent: its row is written in the transaction that it tells of."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from application.ports.clock import IdMaker
from application.ports.persistence import Transaction
from application.ports.security import SecretBox
from domain.identity.mail import MailKind, seal_use
from domain.shared.ids import UserId

MAX_TOKEN_LENGTH = 128


@dataclass(frozen=True, slots=True)
class MailDesk:
    """Writes due mail. Its content is sealed, since links are in it, and forgotten once sent."""

    box: SecretBox
    ids: IdMaker

    async def __call__(
        self,
        tx: Transaction,
        kind: MailKind,
        data: Mapping[str, str | int],
        *,
        user_id: UserId | None = None,
        mail_id: UUID | None = None,
    ) -> None:
        """Have it sent. ``token`` is added to the data: what a link in the mail would hold."""
        known = mail_id or self.ids.new()
        content = json.dumps({**data, "token": secrets.token_urlsafe(32)}).encode()
        await tx.mails.add(known, kind, self.box.seal(content, seal_use(known)), user_id=user_id)

    def read(self, mail_id: UUID, sealed: bytes) -> dict[str, str | int]:
        """What was to be said.

        Raises:
            SecretUnreadable: it is another's, or its key is gone.
        """
        content: dict[str, str | int] = json.loads(self.box.open(sealed, seal_use(mail_id)))
        return content


def link_digest(token: str) -> str:
    """What is kept of a link's token: 256 random bits need nothing slower."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
