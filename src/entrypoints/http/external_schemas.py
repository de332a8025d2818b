"""Other ways in, as they go over the wire."""

from datetime import datetime

import msgspec

from application.identity.reauthenticate import Proof
from domain.identity.linked_identity import LinkedIdentity
from entrypoints.http.session_schemas import RefreshIn


class ProvidersView(msgspec.Struct):
    """Whom else one can sign in with here."""

    items: list[str]


class LinkRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Where to come back to, and what proves who asks: all that the account has."""

    return_to: str = "/"
    password: str = ""
    code: str = ""

    def proof(self) -> Proof:
        return Proof(password=self.password, code=self.code)


class DepartureView(msgspec.Struct):
    """Where to send the browser. It goes there from the page that asked, which has the cookie."""

    url: str


class ConfirmLinkRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Proves the account whose email the identity has: all of password and second factor."""

    password: str = ""
    code: str = ""
    refresh_in: RefreshIn = "cookie"

    def proof(self) -> Proof:
        return Proof(password=self.password, code=self.code)


class IdentityView(msgspec.Struct):
    """An identity that opens the account; ``email`` is what its provider said last."""

    provider: str
    email: str
    linked_at: datetime
    last_used_at: datetime | None

    @classmethod
    def of(cls, identity: LinkedIdentity) -> "IdentityView":
        return cls(
            identity.provider.value, identity.email, identity.linked_at, identity.last_used_at
        )


class IdentitiesView(msgspec.Struct):
    """All of them, the first linked first."""

    items: list[IdentityView]
