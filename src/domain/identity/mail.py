"""What people are sent by mail, and the links in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.identity.user import NotAuthenticated
from domain.shared.ids import UserId


class MailKind(StrEnum):
    """Why a mail is due. Of the first four it is only found out on sending what is sent, if any."""

    REGISTRATION = "registration"
    CONFIRMATION_AGAIN = "confirmation_again"
    PASSWORD_RESET = "password_reset"
    EMAIL_CHANGE = "email_change"
    PASSWORD_CHANGED = "password_changed"
    EMAIL_CHANGED = "email_changed"
    ACCOUNT_DELETED = "account_deleted"
    SECOND_FACTOR_ENABLED = "second_factor_enabled"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    RECOVERY_CODES_REPLACED = "recovery_codes_replaced"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_UNLINKED = "identity_unlinked"
    NOTICE = "notice"


class LinkPurpose(StrEnum):
    """What a link does, once."""

    CONFIRM_REGISTRATION = "confirm_registration"
    CONFIRM_ADDRESS = "confirm_address"
    RESET_PASSWORD = "reset_password"
    CHANGE_EMAIL = "change_email"


LASTS: dict[LinkPurpose, timedelta] = {
    LinkPurpose.CONFIRM_REGISTRATION: timedelta(hours=24),
    LinkPurpose.CONFIRM_ADDRESS: timedelta(hours=24),
    LinkPurpose.RESET_PASSWORD: timedelta(hours=1),
    LinkPurpose.CHANGE_EMAIL: timedelta(hours=24),
}
"""How long each is good, from when it was asked for."""


class LinkRefused(NotAuthenticated):
    """The link opens nothing: unknown, used, too old, or for something else."""

    code = "link_refused"

    def __init__(self) -> None:
        super().__init__("This link is not valid any more. Ask for a new one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A single-use link, by its token's digest.

    ``email`` is the address it was sent to. A registration that waits for its confirmation is of
    nobody yet, and brings ``name`` and ``password_hash``.
    """

    digest: str
    purpose: LinkPurpose
    email: str
    expires_at: datetime
    user_id: UserId | None = None
    name: str = ""
    password_hash: str = ""


def seal_use(mail_id: UUID) -> str:
    """What a mail's content is sealed for."""
    return f"mail:{mail_id}"
