"""The page on which the API can be read and tried, with everything it needs from here.

Swagger UI, out of a wheel, under a policy that lets the page load and call nothing but us.
"""

import asyncio
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from types import MappingProxyType
from typing import Final

from litestar import Controller, Response
from litestar.params import FromPath

from domain.shared.errors import NotFound
from entrypoints.http.access import public
from entrypoints.http.routing import get

_WHEEL = "flask-swagger-ui"
_FOLDER = "flask_swagger_ui/dist"
"""Where the wheel has Swagger UI's own build; the rest of it is never imported."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>BharatBuild AI – API</title>
<link rel="icon" href="/api/v1/docs/favicon-32x32.png">
<link rel="stylesheet" href="/api/v1/docs/swagger-ui.css">
<link rel="stylesheet" href="/api/v1/docs/page.css">
</head>
<body>
<main id="api">
<noscript>This page needs JavaScript. The description itself is at
<a href="/api/v1/schema/openapi.json">/api/v1/schema/openapi.json</a>.</noscript>
</main>
<script src="/api/v1/docs/swagger-ui-bundle.js"></script>
<script src="/api/v1/docs/start.js"></script>
</body>
</html>
"""

_START = """"use strict";
SwaggerUIBundle({
  url: "/api/v1/schema/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""

# Swagger UI has its icons as data: images, which the policy does not let in. These are ours, in a
# grey that is seen on light and on dark.
_ICONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "down.svg": (".swagger-ui select", "M5 8l5 5 5-5"),
        "right.svg": (".swagger-ui .model-toggle:after", "M8 5l5 5-5 5"),
        "copy.svg": (".swagger-ui .copy-to-clipboard button", "M7 7h9v9H7zM4 13V4h9"),
        "tick.svg": (
            ".swagger-ui .checkbox input[type=checkbox]:checked + label > .item",
            "M4 10l4 4 8-8",
        ),
    }
)
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20">'
    '<path d="{path}" fill="none" stroke="#7d8492" stroke-width="2"/></svg>'
)
_STYLE = """body { margin: 0; }
.swagger-ui .info { margin: 1.5rem 0; }
""" + "".join(
    f"html {where}, html.dark-mode {where} {{ background-image: url(/api/v1/docs/{name}); }}\n"
    for name, (where, _) in _ICONS.items()
)

_OURS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "page.css": ("text/css", _STYLE),
        "start.js": ("text/javascript", _START),
        **{name: ("image/svg+xml", _ICON.format(path=path)) for name, (_, path) in _ICONS.items()},
    }
)
_THEIRS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "favicon-32x32.png": "image/png",
        "swagger-ui-bundle.js": "text/javascript",
        "swagger-ui.css": "text/css",
    }
)
_HEADERS = {"Content-Security-Policy": POLICY}
_KEPT = {**_HEADERS, "Cache-Control": "public, max-age=3600"}


class DocsController(Controller):
    """Reading and trying the API."""

    path = "/docs"
    include_in_schema = False

    @get(guards=[public], summary="The page")
    async def page(self) -> Response[str]:
        """Swagger UI over the API's own description."""
        return Response(_PAGE, media_type="text/html", headers=_HEADERS)

    @get("/{name:str}", guards=[public], summary="What the page loads")
    async def asset(self, name: FromPath[str]) -> Response[bytes]:
        """One of the page's own files.

        Raises:
            NotFound: the page has no such file.
        """
        if name in _OURS:
            media_type, text = _OURS[name]
            return Response(text.encode(), media_type=media_type, headers=_KEPT)
        if name not in _THEIRS:
            raise NotFound("file", name)
        content = await asyncio.to_thread(_from_wheel, name)
        return Response(content, media_type=_THEIRS[name], headers=_KEPT)


@cache
def _from_wheel(name: str) -> bytes:
    return Path(str(distribution(_WHEEL).locate_file(f"{_FOLDER}/{name}"))).read_bytes()
