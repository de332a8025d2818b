"""The application and its OpenAPI document, for tests of what it says."""

from functools import cache
from typing import Any

from litestar import Litestar

from adapters.security import generate_box_key, generate_pepper, generate_signing_key
from entrypoints.http.app import create_app
from entrypoints.http.openapi.document import describe
from entrypoints.settings import Settings


@cache
def application() -> Litestar:
    """The application, with nothing behind it."""
    return create_app(
        Settings(
            database_url="postgresql://nowhere/none",
            database_dispatch_url="postgresql://nowhere/none",
            redis_url="redis://nowhere",
            s3_endpoint="http://nowhere",
            s3_access_key="none",
            s3_secret_key="none",
            jwt_signing_key=generate_signing_key()[1],
            api_key_peppers=generate_pepper(),
            secret_box_keys=generate_box_key(),
        )
    )


@cache
def document() -> dict[str, Any]:
    """Its description."""
    return describe(application())
