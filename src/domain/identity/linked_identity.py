"""Identities that other providers vouch for, linked to accounts here."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.shared.errors import DomainError
from domain.shared.ids import UserId


class ProviderName(StrEnum):
    """Who else may vouch for a person."""

    GOOGLE = "google"


class ProviderNotConfigured(DomainError):
    """Nobody can sign in with that provider here: the operator has not set it up."""

    code = "provider_not_configured"


class ProviderUnavailable(DomainError):
    """The provider did not answer, or not with anything that can be read."""

    code = "provider_unavailable"


class ProviderRefused(Exception):
    """The provider does not take the code that the browser brought from it."""


class IdentityRejected(Exception):
    """The provider's word does not hold; what is wrong with it is for our log alone."""


class IdentityTaken(DomainError):
    """The identity is another account's, or the account has another of that provider."""

    code = "identity_taken"


class LastWayIn(DomainError):
    """Without this identity nobody could sign in to the account any more."""

    code = "last_way_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIdentity:
    """What a provider says of whoever has just signed in there.

    ``subject`` is the provider's name for the person, and never changes or goes to another; the
    email may do both, so nothing is decided by it alone.
    """

    provider: ProviderName
    subject: str
    email: str
    email_verified: bool
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedIdentity:
    """A provider's identity that opens an account. ``email`` is what the provider said last."""

    user_id: UserId
    provider: ProviderName
    subject: str
    email: str
    linked_at: datetime
    last_used_at: datetime | None = None
