"""API keys: issuing, reading, changing, rotating and revoking them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from application.keys.edit_key import EditKey, Kept, KeyEdit
from application.keys.issue_key import IssuedKey, IssueKey, NewKey
from application.keys.read_keys import ListKeys, ShowKey
from application.keys.revoke_key import RevokeKey
from application.keys.rotate_key import RotateKey, Rotation
from application.ports.keys import KeyFilter
from application.ports.security import Principal
from domain.audit.origin import Origin
from domain.identity.user import Permission, Role
from domain.keys.api_key import ApiKey, KeyStatus
from domain.keys.key_text import KeyEnvironment
from domain.keys.rate_limit import RatePolicy
from domain.shared.ids import ApiKeyId
from entrypoints.http.access import requires
from entrypoints.http.cursors import DEFAULT_LIMIT, cursor_after, page_from
from entrypoints.http.idempotency import OncePerKey
from entrypoints.http.key_schemas import (
    ApiKeyPageView,
    ApiKeyView,
    EditKeyRequest,
    IssuedKeyView,
    IssueKeyRequest,
    LimitBody,
    RotateKeyRequest,
)
from entrypoints.http.routing import delete, get, patch, post


@dataclass(frozen=True, slots=True)
class KeyViews:
    """How the caller sees keys at this moment."""

    role: Role
    now: datetime

    def of(self, key: ApiKey) -> ApiKeyView:
        """A key as it is listed and shown."""
        return ApiKeyView.of(key, self.role, self.now)

    def without_secret(self, issued: IssuedKey) -> IssuedKeyView:
        """A key that was just made, as a repeat of the request sees it."""
        return IssuedKeyView.of(issued.key, self.role, self.now)

    def with_secret(self, issued: IssuedKey) -> IssuedKeyView:
        """The same, as the first request does."""
        return msgspec.structs.replace(self.without_secret(issued), secret=issued.text.text)


def provide_views(principal: NamedDependency[Principal], state: State) -> KeyViews:
    """The views of this request."""
    return KeyViews(role=principal.role, now=state.container.clock().now())


class KeyController(Controller):
    """API keys."""

    path = "/api-keys"
    tags = ("API keys",)
    dependencies = {"views": Provide(provide_views, sync_to_thread=False)}  # noqa: RUF012

    @post(
        guards=[requires(Permission.KEYS_ISSUE, Permission.KEYS_MANAGE)],
        summary="Issue an API key",
    )
    async def issue(
        self,
        data: JSONBody[IssueKeyRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        issue_key: NamedDependency[IssueKey],
        views: NamedDependency[KeyViews],
        once: NamedDependency[OncePerKey],
    ) -> Response[IssuedKeyView]:
        """Make a key that may do no more than you. Its text is in this answer alone."""
        return await once(
            lambda completion: issue_key(
                NewKey(
                    by=principal,
                    origin=origin,
                    name=data.name,
                    environment=data.environment,
                    scopes=frozenset(data.scopes),
                    modes=frozenset(data.modes),
                    allowed_ips=tuple(data.allowed_ips),
                    limits=_policies(data.limits),
                    credit_cap=data.credit_cap,
                    expires_at=data.expires_at,
                    once=completion,
                )
            ),
            views.without_secret,
            first=views.with_secret,
        )

    @get(guards=[requires(Permission.KEYS_MANAGE)], summary="List API keys")
    async def page(
        self,
        principal: NamedDependency[Principal],
        list_keys: NamedDependency[ListKeys],
        views: NamedDependency[KeyViews],
        cursor: Annotated[str, QueryParameter(description="The page before's next_cursor.")] = "",
        limit: Annotated[
            int, QueryParameter(description="Items a page, 1 to 100.")
        ] = DEFAULT_LIMIT,
        status: FromQuery[KeyStatus | None] = None,
        environment: FromQuery[KeyEnvironment | None] = None,
        search: FromQuery[str] = "",
    ) -> ApiKeyPageView:
        """Newest first; of one status or environment, or with words in the name, if asked."""
        page = page_from(cursor, limit)
        keys = await list_keys(
            principal.user_id,
            KeyFilter(
                limit=page.limit,
                after=page.after,
                status=status,
                environment=environment,
                search=search.strip(),
            ),
        )
        return ApiKeyPageView(
            items=[views.of(key) for key in keys[:limit]],
            next_cursor=cursor_after([key.id for key in keys], limit),
        )

    @get("/{key_id:str}", guards=[requires(Permission.KEYS_MANAGE)], summary="Show an API key")
    async def show(
        self,
        key_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        show_key: NamedDependency[ShowKey],
        views: NamedDependency[KeyViews],
    ) -> ApiKeyView:
        """The key, what it may do, and what its runs have used."""
        key = await show_key(principal.user_id, ApiKeyId(key_id))
        return views.of(key)

    @patch("/{key_id:str}", guards=[requires(Permission.KEYS_MANAGE)], summary="Edit an API key")
    async def edit(
        self,
        key_id: FromPath[UUID],
        data: JSONBody[EditKeyRequest],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        edit_key: NamedDependency[EditKey],
        views: NamedDependency[KeyViews],
    ) -> ApiKeyView:
        """Change what the key may do. It holds for every call from now on."""
        unset = msgspec.UnsetType
        key = await edit_key(
            KeyEdit(
                by=principal,
                origin=origin,
                key_id=ApiKeyId(key_id),
                name=None if isinstance(data.name, unset) else data.name,
                scopes=None if isinstance(data.scopes, unset) else frozenset(data.scopes),
                modes=None if isinstance(data.modes, unset) else frozenset(data.modes),
                allowed_ips=None
                if isinstance(data.allowed_ips, unset)
                else tuple(data.allowed_ips),
                limits=None if isinstance(data.limits, unset) else _policies(data.limits),
                credit_cap=Kept.KEPT if isinstance(data.credit_cap, unset) else data.credit_cap,
                expires_at=Kept.KEPT if isinstance(data.expires_at, unset) else data.expires_at,
            )
        )
        return views.of(key)

    @post(
        "/{key_id:str}/rotate",
        guards=[requires(Permission.KEYS_ISSUE, Permission.KEYS_MANAGE)],
        status_code=HTTP_200_OK,
        summary="Rotate an API key",
    )
    async def rotate(
        self,
        key_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        rotate_key: NamedDependency[RotateKey],
        views: NamedDependency[KeyViews],
        once: NamedDependency[OncePerKey],
        data: JSONBody[RotateKeyRequest | None] = None,
    ) -> Response[IssuedKeyView]:
        """Give the key a new text, in this answer alone; the old one works for a while yet."""
        asked = data or RotateKeyRequest()
        return await once(
            lambda completion: rotate_key(
                Rotation(
                    by=principal,
                    origin=origin,
                    key_id=ApiKeyId(key_id),
                    overlap_seconds=asked.overlap_seconds,
                    once=completion,
                )
            ),
            views.without_secret,
            first=views.with_secret,
        )

    @delete(
        "/{key_id:str}",
        guards=[requires(Permission.KEYS_MANAGE)],
        status_code=HTTP_200_OK,
        summary="Revoke an API key",
    )
    async def revoke(
        self,
        key_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        origin: NamedDependency[Origin],
        revoke_key: NamedDependency[RevokeKey],
        views: NamedDependency[KeyViews],
    ) -> ApiKeyView:
        """End the key, everywhere within a second. It stays listed; its runs go on."""
        key = await revoke_key(principal, ApiKeyId(key_id), origin=origin)
        return views.of(key)


def _policies(limits: list[LimitBody]) -> tuple[RatePolicy, ...]:
    return tuple(limit.policy() for limit in limits)
