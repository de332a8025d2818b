"""Sessions, as they go over the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from application.identity.open_session import SignedIn
from domain.identity.session import Session
from domain.shared.ids import SessionId
from entrypoints.http.schemas import UserView

RefreshIn = Literal["cookie", "body"]


class LoginRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who signs in, and where the refresh token is wanted: browsers take the cookie."""

    email: str
    password: str
    refresh_in: RefreshIn = "cookie"


class RefreshRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The refresh token of a client that keeps it itself."""

    refresh_token: str


class TokenView(msgspec.Struct, omit_defaults=True):
    """An access token, to be sent as ``Authorization: Bearer …`` until it expires.

    ``refresh_token`` is there for clients that asked for it; others have it in a cookie.
    """

    access_token: str
    token_type: str
    expires_at: datetime
    session_id: UUID
    session_expires_at: datetime
    user: UserView
    refresh_token: str | None = None

    @classmethod
    def of(cls, signed_in: SignedIn, *, in_body: bool) -> "TokenView":
        return cls(
            access_token=signed_in.access.token,
            token_type="Bearer",
            expires_at=signed_in.access.expires_at,
            session_id=signed_in.session.id,
            session_expires_at=signed_in.session.expires_at,
            user=UserView.of(signed_in.user),
            refresh_token=signed_in.refresh if in_body else None,
        )


class SessionView(msgspec.Struct):
    """Where somebody is signed in; ``current`` is the session that asks."""

    id: UUID
    current: bool
    methods: list[str]
    address: str
    agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, session: Session, current: SessionId | None) -> "SessionView":
        return cls(
            id=session.id,
            current=session.id == current,
            methods=sorted(method.value for method in session.methods),
            address=session.device.address,
            agent=session.device.agent,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            expires_at=session.expires_at,
        )


class SessionsView(msgspec.Struct):
    """Every session that is not over, the last used first."""

    items: list[SessionView]


class EndedView(msgspec.Struct):
    """How many sessions were ended."""

    ended: int
