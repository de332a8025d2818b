"""The floor: the steps of a keyed read with bare ASGI, redis.asyncio and asyncpg's pool.

It checks the key's text and looks its keyed hash up in memory, charges three GCRA policies and
appends a usage row of the same fields in one script (ours appends it in a second, with those of
20 ms, because its status and latency are known only then, and counts the live figure with it), and
reads the same project and its newest run by the very statement that ours runs, under row-level
security, on asyncpg's pool as it comes: it resets each connection in a round trip of its own, which
ours does not need. It has no routes, no errors, no log, no metrics, no limits' headers and no way
to change a key: nothing that answers people's requests could do with less.
"""

import hmac
import os
import time
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
from redis.asyncio import Redis

from adapters.postgres.hot_reads import _WITH_NEWEST_RUN
from adapters.redis.rate_limiter import _CHARGE, SERVER_CLOCK
from domain.keys.key_text import parse

_CHARGE_AND_LOG = f"""
local charged = (function()
{SERVER_CLOCK}
{_CHARGE}
end)()
redis.call('XADD', 'floor:usage', '*', 'r', ARGV[10])
return charged
"""
_SHOWN = ("id", "title", "idea", "mode", "status", "progress", "created_at", "updated_at")


class Floor:
    """The application."""

    def __init__(self) -> None:
        self.pepper = b"floor"
        self.known = {self.digest(os.environ["FLOOR_KEY"]): UUID(os.environ["FLOOR_USER"])}
        self.encode = msgspec.json.Encoder().encode
        self.pack = msgspec.msgpack.Encoder().encode

    def digest(self, text: str) -> bytes:
        return hmac.digest(self.pepper, text.encode(), "sha256")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
            return
        key = next(value for name, value in scope["headers"] if name == b"x-api-key").decode()
        user = self.known[self.digest(parse(key).text)]
        keys = [f"floor:key:{user}:60", f"floor:key:{user}:86400", f"floor:user:{user}:60"]
        charges = (10_000_000, 60_000, 1, 10_000_000, 86_400_000, 1, 10_000_000, 60_000, 1)
        at_us = time.time_ns() // 1_000
        row = self.pack(
            (uuid4().bytes, user.bytes, user.bytes, at_us, scope["path"], 200, 0, uuid4().hex)
        )
        admitted, *_ = await self.charge(keys=keys, args=[*charges, row])
        if not admitted:
            raise AssertionError("the floor refuses nobody")
        project_id = UUID(scope["path"].rpartition("/")[2])
        given = _WITH_NEWEST_RUN.arguments({"user_id": user, "id": project_id})
        found = await self.pool.fetchrow(_WITH_NEWEST_RUN.sql, *given)
        body = self.encode({"project": {name: found[name] for name in _SHOWN}, "run": None})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.redis = Redis.from_url(os.environ["REDIS_URL"], protocol=2)
                self.charge = self.redis.register_script(_CHARGE_AND_LOG)
                self.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], max_size=10)
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.pool.close()
                await self.redis.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


def app() -> Floor:
    """The application, for granian."""
    return Floor()
