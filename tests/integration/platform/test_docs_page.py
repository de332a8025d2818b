"""The page on which the API is tried comes whole from the platform, and can load nothing else."""

import re

import httpx
import pytest

from entrypoints.cli.platform import Platform

PAGE = "/api/v1/docs"
ALLOWED = {"'none'", "'self'"}


@pytest.fixture
async def browser(platform: Platform) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=platform.url, trust_env=False, timeout=30)


def loaded(page: str) -> list[str]:
    """What the page has a browser load."""
    return re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"([^\"]+)\"", page)


async def test_everything_the_page_loads_is_the_platforms(browser: httpx.AsyncClient) -> None:
    async with browser:
        page = await browser.get(PAGE)
        assert page.headers["content-type"].startswith("text/html")
        files = loaded(page.text)
        assert len(files) == 5
        for file in files:
            assert file.startswith(f"{PAGE}/"), "an asset from elsewhere"
            answer = await browser.get(file)
            assert answer.status_code == 200, file
            assert answer.content
        style = (await browser.get(f"{PAGE}/page.css")).text
        for file in re.findall(r"url\(([^)]+)\)", style):
            assert file.startswith(f"{PAGE}/"), "an image from elsewhere"
            assert (await browser.get(file)).headers["content-type"] == "image/svg+xml"
        kinds = {file.rpartition(".")[2]: file for file in files}
        start = (await browser.get(kinds["js"])).text
        (described,) = re.findall(r'url: "([^"]+)"', start)
        document = (await browser.get(described)).json()
        assert document["openapi"].startswith("3.1.")


async def test_the_page_may_load_and_call_nothing_but_the_platform(
    browser: httpx.AsyncClient,
) -> None:
    async with browser:
        for path in (PAGE, f"{PAGE}/start.js", f"{PAGE}/swagger-ui-bundle.js"):
            answer = await browser.get(path)
            policy = answer.headers["Content-Security-Policy"]
            directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
            assert directives["default-src"] == "'none'"
            assert set(" ".join(directives.values()).split()) <= ALLOWED
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_has_no_script_or_style_within(browser: httpx.AsyncClient) -> None:
    async with browser:
        page = (await browser.get(PAGE)).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", page)


@pytest.mark.parametrize("name", ["index.html", "..%2f__init__.py", "oauth2-redirect.html", "x.js"])
async def test_nothing_else_is_there(browser: httpx.AsyncClient, name: str) -> None:
    async with browser:
        answer = await browser.get(f"{PAGE}/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["swagger", "redoc", "elements", "rapidoc"])
async def test_no_page_that_loads_its_scripts_from_elsewhere_is_left(
    browser: httpx.AsyncClient, name: str
) -> None:
    async with browser:
        answer = await browser.get(f"/api/v1/schema/{name}")
    assert answer.status_code == 404
    assert "http" not in answer.text
