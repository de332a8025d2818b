"""The parts of the document that operations share, and the calls it makes itself."""

from collections.abc import Mapping
from typing import Any, Final

from entrypoints.http.idempotency import HEADER_REPLAYED
from entrypoints.http.openapi.prose import WEBHOOK_HEADERS
from entrypoints.http.openapi.samples import REQUEST_ID_SAMPLE
from entrypoints.http.request_context import FITTING_ID

Json = dict[str, Any]

HEADERS: Final[Mapping[str, Json]] = {
    "X-Request-Id": {
        "description": "The request's id, for a report: yours if you sent one that fits.",
        "required": True,
        "schema": {"type": "string"},
        "example": REQUEST_ID_SAMPLE,
    },
    "RateLimit-Policy": {
        "description": "Each policy the request counts under: `q` requests in `w` seconds.",
        "required": True,
        "schema": {"type": "string"},
        "example": '"key-minute";q=600;w=60, "user-minute";q=1200;w=60',
    },
    "RateLimit": {
        "description": "What is left under each: `r` requests now, all of them in `t` seconds.",
        "required": True,
        "schema": {"type": "string"},
        "example": '"key-minute";r=599;t=1, "user-minute";r=1199;t=1',
    },
    "Retry-After": {
        "description": "In so many seconds the next request would pass.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    HEADER_REPLAYED: {
        "description": "The answer is that of the first request with this `Idempotency-Key`.",
        "schema": {"type": "string", "const": "true"},
        "example": "true",
    },
}
"""The headers of answers."""

REQUEST_ID: Final[Json] = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Your id for this request. One that does not fit is replaced by ours.",
    "schema": {"type": "string", "pattern": FITTING_ID.pattern},
}

PROBLEM: Final[Json] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457). A code may bring further members, with its facts.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "`urn:bharatbuild:problem:` and the code."},
        "title": {"type": "string", "description": "The same for every occurrence of the code."},
        "status": {"type": "integer", "description": "The answer's status."},
        "detail": {"type": "string", "description": "For a person: what to do next."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "code": {"type": "string", "description": "Stable: branch on this."},
        "request_id": {"type": "string", "description": "Give it when you report a problem."},
        "errors": {
            "type": "array",
            "description": "The fields that do not fit.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def webhook(type_: str, summary: str) -> Json:
    """The request that tells of an event."""
    event = {
        "id": "019a5a3e-0e0e-7000-8000-000000000000",
        "type": type_,
        "timestamp": "2026-11-02T09:30:01.250Z",
        "data": {},
    }
    return {
        "summary": summary,
        "description": "Verify the signature over the raw body, then answer 2xx within 15 seconds.",
        "tags": ["Webhooks"],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": says,
                "schema": {"type": "string"},
            }
            for name, says in WEBHOOK_HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["id", "type", "timestamp", "data"],
                        "properties": {
                            "id": {"type": "string", "format": "uuid"},
                            "type": {"type": "string", "const": type_},
                            "timestamp": {"type": "string", "format": "date-time"},
                            "data": {"type": "object", "additionalProperties": True},
                        },
                    },
                    "example": event,
                }
            },
        },
        "responses": {"2XX": {"description": "Taken."}, "410": {"description": "Send no more."}},
    }
