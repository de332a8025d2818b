"""A person who uses the API."""

import asyncio
import time
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from tests.described import as_documented

PASSWORD = "correct horse battery staple"
IDEA = "A tool library where neighbours lend tools: members borrow tools and return them."


class Person:
    """Registered and signed in; ``http`` sends the access token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.email = f"person-{uuid4().hex[:12]}@example.com"
        self.http = httpx.AsyncClient(
            base_url=f"{url}/api/v1",
            timeout=60,
            trust_env=False,
            event_hooks={"response": [as_documented]},
        )

    async def __aenter__(self) -> Self:
        body = {"email": self.email, "password": PASSWORD, "name": "A Person"}
        answer = await self.http.post("/auth/register", json=body)
        assert answer.status_code == 202, answer.text
        answer = await self.http.post(
            "/auth/login", json={"email": self.email, "password": PASSWORD}
        )
        assert answer.status_code == 200, answer.text
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.aclose()

    async def get(self, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.http.get(path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, status: int = 201, **more: Any) -> Any:
        answer = await self.http.post(path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def project(self, idea: str = IDEA, **more: str) -> dict[str, Any]:
        made: dict[str, Any] = await self.post("/projects", json={"idea": idea, **more})
        return made

    async def executed(self, idea: str = IDEA) -> tuple[dict[str, Any], dict[str, Any]]:
        """A project and its finished run."""
        project = await self.project(idea)
        run = await self.post(f"/projects/{project['id']}/execute", status=202)
        return project, await self.finished(run["id"])

    async def finished(self, run_id: str, seconds: float = 90) -> dict[str, Any]:
        """The run's detail once it has ended."""
        deadline = time.monotonic() + seconds
        while True:
            detail: dict[str, Any] = await self.get(f"/runs/{run_id}")
            if detail["run"]["status"] not in ("queued", "running"):
                return detail
            assert time.monotonic() < deadline, f"the run did not end: {detail}"
            await asyncio.sleep(0.1)
