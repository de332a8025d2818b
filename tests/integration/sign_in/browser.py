"""A person's browser at the platform."""

import secrets
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp

from tests.integration.platform.person import PASSWORD
from tests.integration.sign_in.conftest import Place


class Browser:
    """Keeps cookies, says which page it shows, and follows no redirect by itself."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = f"p{secrets.token_hex(6)}"
        self.email = f"{self.name}@example.com"
        self.http = httpx.AsyncClient(
            base_url=f"{place.url}/api/v1",
            timeout=60,
            trust_env=False,
            headers={"Origin": place.url},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.aclose()

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def get(self, path: str, status: int = 200) -> Any:
        answer = await self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def registered(self) -> Self:
        """With an account of its person's, signed in."""
        await self.post("/auth/register", 202, email=self.email, password=PASSWORD, name="A Person")
        return self.with_token(await self.post("/auth/login", **self.credentials))

    def with_token(self, tokens: Any) -> Self:
        """Signed in with an answer's access token."""
        self.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        return self

    @property
    def credentials(self) -> dict[str, str]:
        return {"email": self.email, "password": PASSWORD}

    async def depart(self, return_to: str = "/projects") -> httpx.Response:
        """Begin at the provider."""
        answer = await self.http.get("/auth/google/start", params={"return_to": return_to})
        assert answer.status_code == 302, answer.text
        return answer

    async def comes_back(self, url: str, *, deny: bool = False, name: str = "") -> str:
        """Sign in there: the address the provider sends the browser back to."""
        return await self.place.there.sign_in(url, name or self.name, deny=deny)

    async def arrive(self, back: str) -> str:
        """Follow the provider's redirect: where the platform sends the browser on."""
        answer = await self.http.get(back)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    async def with_provider(self, return_to: str = "/projects", *, name: str = "") -> str:
        """All of it: the address one ends at."""
        departure = await self.depart(return_to)
        back = await self.comes_back(departure.headers["location"], name=name)
        return await self.arrive(back)

    async def refreshed(self) -> Self:
        """Signed in with what the cookie opens."""
        answer = await self.http.post("/auth/refresh")
        assert answer.status_code == 200, answer.text
        return self.with_token(answer.json())

    async def protected(self) -> tuple[pyotp.TOTP, list[str]]:
        """With a second factor from now on: the app, and the recovery codes."""
        proposed = await self.post("/auth/second-factor", password=PASSWORD)
        app = pyotp.parse_uri(proposed["otpauth_uri"])
        assert isinstance(app, pyotp.TOTP)
        shown = await self.post("/auth/second-factor/confirm", code=app.now())
        # Every session of before is over, and this one goes on with its next token.
        await self.refreshed()
        return app, shown["recovery_codes"]


def said(url: str) -> dict[str, list[str]]:
    """The words of an address's query."""
    return parse_qs(urlsplit(url).query)
