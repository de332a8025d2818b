"""A real OpenID provider (oidc-provider, on Node.js), and a person's browser at it.

In a test::

    async with running_provider(redirect_uri="http://127.0.0.1:8000/callback") as provider:
        returned = await provider.sign_in(url, "asha")  # where the browser is sent back to
"""

import asyncio
import fcntl
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from entrypoints.local_stack.ports import choose_free_port

HERE = Path(__file__).parent / "openid"
INSTALLED = Path(__file__).parents[2] / ".venv" / "openid-provider"

_FORM = re.compile(r'<form[^>]* action="([^"]+)"')
_ABORT = re.compile(r'<a href="([^"]+/abort)"')
_START_SECONDS = 30
_STEPS = 12


@dataclass(frozen=True, kw_only=True)
class RealProvider:
    """Where it answers, and who we are to it."""

    issuer: str
    redirect_uri: str
    client_id: str = "bharatbuild-tests"
    client_secret: str = field(default_factory=lambda: "s:e+c r/e%t" + secrets.token_hex(24))

    async def sign_in(self, url: str, person: str, *, deny: bool = False) -> str:
        """Follow ``url`` as a browser, sign in, and agree: the address one is sent back to."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as browser:
            answer = await browser.get(url)
            for _ in range(_STEPS):
                where = urljoin(str(answer.url), answer.headers.get("location", ""))
                if where.startswith(self.redirect_uri):
                    return where
                if answer.is_redirect:
                    answer = await browser.get(where)
                    continue
                page = answer.text
                form, abort = _FORM.search(page), _ABORT.search(page)
                assert answer.status_code == httpx.codes.OK, page
                assert form is not None, page
                assert abort is not None, page
                if deny:
                    answer = await browser.get(urljoin(str(answer.url), unescape(abort[1])))
                    continue
                prompt = "login" if 'name="login"' in page else "consent"
                answer = await browser.post(
                    urljoin(str(answer.url), unescape(form[1])),
                    data={"prompt": prompt, "login": person, "password": "any"},
                )
        raise AssertionError("the provider never sent the browser back")


@asynccontextmanager
async def running_provider(
    redirect_uri: str, *, claims_by_userinfo: bool = False
) -> AsyncIterator[RealProvider]:
    """The provider, from when it answers to the end of the block."""
    folder = _installed()
    port = choose_free_port()
    provider = RealProvider(issuer=f"http://127.0.0.1:{port}", redirect_uri=redirect_uri)
    process = await asyncio.create_subprocess_exec(
        *("node", str(folder / "provider.mjs"), str(port)),
        *(provider.client_id, provider.client_secret, redirect_uri),
        env={
            "PATH": os.environ["PATH"],
            "CLAIMS_BY_USERINFO": "true" if claims_by_userinfo else "",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with (
            asyncio.timeout(_START_SECONDS),
            httpx.AsyncClient(trust_env=False) as client,
        ):
            while not await _answers(client, provider.issuer):
                assert process.returncode is None, "the provider did not start"
                await asyncio.sleep(0.05)
        yield provider
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(client: httpx.AsyncClient, issuer: str) -> bool:
    try:
        answer = await client.get(f"{issuer}/.well-known/openid-configuration")
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def _installed() -> Path:
    """The provider with its packages, as locked; installed once for this checkout."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("Node.js is needed: the OpenID provider runs on it")
        pytest.skip("needs Node.js, on which the OpenID provider runs")
    wanted = sha256(b"".join(path.read_bytes() for path in sorted(HERE.iterdir()))).hexdigest()
    stamp = INSTALLED / "stamp"
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            for path in HERE.iterdir():
                shutil.copy(path, INSTALLED / path.name)
            subprocess.run(["npm", "ci"], cwd=INSTALLED, check=True, capture_output=True)
            stamp.write_text(wanted)
    return INSTALLED
