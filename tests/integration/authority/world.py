"""The application over the real servers, in this process, and everybody who may call it."""

import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from adapters.observability.request_log import request_log
from adapters.postgres.oversight import grant_role
from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from domain.audit.origin import Origin
from domain.identity.user import PERMISSIONS, Permission, Role
from entrypoints.http.access import Requires, public, signed_in
from entrypoints.http.app import create_app
from entrypoints.http.openapi.guards import own_guards
from entrypoints.http.request_context import RequestContext
from entrypoints.local_stack import StackAddresses
from entrypoints.settings import Settings, load
from tests.integration.platform.person import PASSWORD

MANY = 10_000_000
DESCRIBED = "/api/v1/schema"

Answer = tuple[int, str]
"""A status, and a problem's code, or the empty string."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path, and what its guards ask for."""

    method: str
    path: str
    handler: HTTPRouteHandler

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    def filled(self, values: dict[str, str] | None = None) -> str:
        """Its path, with values for its parameters: of nothing that exists, if not given."""
        path = self.path
        for name in self.parameters:
            nowhere = "1" if name == "number" else str(uuid4())
            path = path.replace(f"{{{name}}}", (values or {}).get(name, nowhere))
        return path

    @property
    def permissions(self) -> list[Permission]:
        """What its guards ask for."""
        return [
            permission
            for guard in own_guards(self.handler)
            if isinstance(guard, Requires)
            for permission in guard.permissions
        ]

    def refusal(self, caller: "Caller") -> Answer | None:
        """How the guards answer the caller, or None where they let them in."""
        for guard in own_guards(self.handler):
            if guard is public:
                continue
            if caller.permissions is None:
                return 401, "not_authenticated"
            if guard is signed_in:
                if caller.is_key:
                    return 403, "insufficient_scope"
                continue
            assert isinstance(guard, Requires), f"teach the matrix what {guard} asks for"
            if not set(guard.permissions) <= caller.permissions:
                return 403, "insufficient_scope" if caller.is_key else caller.denied
        return None


@dataclass(slots=True)
class Caller:
    """Somebody who calls: their headers, and what they may do; None for who proves nothing."""

    name: str
    permissions: frozenset[Permission] | None
    headers: dict[str, str] = field(default_factory=dict)
    is_key: bool = False
    email: str = ""
    denied: str = "permission_denied"
    """The code of a refusal, where it is a person who lacks a permission."""

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class World:
    """The application, a client of it, and a signing key to forge with."""

    app: Litestar
    settings: Settings
    http: httpx.AsyncClient
    owner_url: str
    served: ASGIApp

    def routes(self) -> Iterator[Route]:
        """Every route that is served, the next one included."""
        for route in self.app.routes:
            if not isinstance(route, HTTPRoute) or route.path.startswith(DESCRIBED):
                continue
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                    yield Route(method, route.path_format, handler)

    async def person(self, role: Role) -> Caller:
        """Somebody new with that role, signed in."""
        email = f"{role}-{uuid4().hex[:12]}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "A Person"}
        answer = await self.http.post("/api/v1/auth/register", json=body)
        assert answer.status_code == 202, answer.text
        assert await grant_role(self.owner_url, email, role, Origin.of_operator("tests"))
        caller = Caller(str(role), PERMISSIONS[role], email=email)
        await self.sign_in(caller)
        return caller

    async def sign_in(self, caller: Caller) -> None:
        """Give them a session, anew if they had one."""
        body = {"email": caller.email, "password": PASSWORD}
        answer = await self.http.post("/api/v1/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        caller.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    async def key(self, owner: Caller, *scopes: Permission, name: str = "") -> Caller:
        """A key of theirs with those scopes."""
        name = name or f"a key for {', '.join(scopes)}"
        body = {"name": name[:80], "scopes": [scope.value for scope in scopes]}
        answer = await self.http.post("/api/v1/api-keys", json=body, headers=owner.headers)
        assert answer.status_code == 201, answer.text
        headers = {"X-API-Key": answer.json()["secret"]}
        return Caller(name, frozenset(scopes), headers, is_key=True)

    async def ask(
        self, route: Route, caller: Caller, path: str | None = None, body: Any = None
    ) -> httpx.Response:
        """Call a route, with an empty object where it takes a body."""
        wants_body = "data" in route.handler.parsed_fn_signature.parameters
        json_body = ({} if body is None else body) if wants_body else None
        return await self.http.request(
            route.method, path or route.filled(), headers=caller.headers, json=json_body
        )

    def forgeries(self, genuine: Caller) -> list[Caller]:
        """Tokens of that person that are not ours, or not for this, or not for now."""
        ours = load_pem_private_key(self.settings.jwt_signing_key.encode(), None)
        assert isinstance(ours, Ed25519PrivateKey)
        theirs = Ed25519PrivateKey.generate()
        token = genuine.headers["Authorization"].removeprefix("Bearer ")
        head = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        now = int(time.time())
        spelled = ours.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

        def signed(key: Ed25519PrivateKey, header: dict[str, Any], **changed: Any) -> str:
            return jwt.encode({**claims, **changed}, key, algorithm="EdDSA", headers=header)

        body, signature = token.split(".")[1:]
        promoted = _part({**claims, "role": "admin"})
        forged = {
            "an expired token": signed(ours, head, iat=now - 900, exp=now - 300),
            "a token from the future": signed(ours, head, iat=now + 300, exp=now + 900),
            "a token for another audience": signed(ours, head, aud="another-api"),
            "a token of another issuer": signed(ours, head, iss="https://elsewhere.example"),
            "a token of no session": signed(ours, head, sid=str(UUID(int=5))),
            "a token of another type": signed(ours, {**head, "typ": "JWT"}),
            "a token by another key": signed(theirs, {**head, "kid": "another"}),
            "a token by another key under our name": signed(theirs, head),
            "an unsigned token": f"{_part({**head, 'alg': 'none'})}.{body}.",
            "a token signed with our public key": jwt.encode(
                claims, spelled, algorithm="HS256", headers={**head, "alg": "HS256"}
            ),
            "a token that was promoted": f"{_part(head)}.{promoted}.{signature}",
            "no token at all": "bearer",
        }
        return [
            Caller(name, None, {"Authorization": f"Bearer {text}"}) for name, text in forged.items()
        ]


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def said(answer: httpx.Response) -> Answer:
    """A status and a problem's code."""
    problem = answer.headers.get("Content-Type", "").startswith("application/problem+json")
    return answer.status_code, answer.json()["code"] if problem else ""


@asynccontextmanager
async def open_world(stack: StackAddresses, **more: str) -> AsyncIterator[World]:
    """The application with limits that nobody here reaches, and a provider that is away."""
    settings = load(
        {
            **stack.environment(),
            "JWT_SIGNING_KEY": generate_signing_key()[1],
            "API_KEY_PEPPERS": generate_pepper(),
            "SECRET_BOX_KEYS": generate_box_key(),
            "ALLOWED_ORIGINS": "https://app.example.com",
            "OPEN_REGISTRATION": "true",
            "GOOGLE_CLIENT_ID": "the-platform",
            "GOOGLE_CLIENT_SECRET": secrets.token_urlsafe(24),
            "GOOGLE_ISSUER": "http://127.0.0.1:9",
            **{
                name: str(MANY)
                for name in (
                    "ADDRESS_PER_MINUTE",
                    "UNVERIFIED_PER_MINUTE",
                    "USER_PER_MINUTE",
                    "KEY_PER_MINUTE",
                    "KEY_PER_DAY",
                )
            },
            **more,
        }
    )
    app = create_app(settings)
    async with app.lifespan():
        served = RequestContext(app, request_log("error", machine=True))
        transport = httpx.ASGITransport(served)  # type: ignore[arg-type]  # the same interface
        async with httpx.AsyncClient(transport=transport, base_url="http://platform") as http:
            yield World(app, settings, http, stack.database_owner_url or "", served)
