"""FastAPI, Pydantic and SQLAlchemy's ORM, as their documentation writes an API with keys.

The same work in the seed document's order: a session a request; the key's row and its owner's
looked up by hash; three fixed windows and the usage counter in one pipeline of redis.asyncio; the
tenant named to row-level security; the project by the ORM; a usage row added and committed. A
middleware counts, times and logs, as ours does.
"""

import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ConfigDict
from redis.asyncio import Redis
from sqlalchemy import DateTime, ForeignKey, MetaData, Text, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    metadata = MetaData(schema="peer")


class User(Base):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)


class ApiKey(Base):
    __tablename__ = "api_keys"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    key: Mapped[str] = mapped_column(Text, unique=True)
    status: Mapped[str] = mapped_column(Text, default="active")
    user: Mapped[User] = relationship(lazy="joined")


class Project(Base):
    __tablename__ = "projects"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    title: Mapped[str] = mapped_column(Text)
    idea: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, default="draft")
    progress: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class UsageLog(Base):
    __tablename__ = "usage_logs"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    api_key_id: Mapped[UUID] = mapped_column(ForeignKey(ApiKey.id), index=True)
    user_id: Mapped[UUID]
    route: Mapped[str] = mapped_column(Text)
    status: Mapped[int]
    latency_ms: Mapped[float]
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ProjectView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    idea: str
    mode: str
    status: str
    progress: int
    created_at: datetime
    updated_at: datetime


engine = create_async_engine(
    os.environ["DATABASE_OWNER_URL"].replace("postgresql://", "postgresql+asyncpg://", 1),
    pool_size=10,
)
Session = async_sessionmaker(engine, expire_on_commit=False)
redis = Redis.from_url(os.environ["REDIS_URL"], protocol=2)
WINDOWS = (("key", 60), ("key", 86_400), ("user", 60))
QUOTA = 10_000_000
AS = text("SELECT set_config('app.user_id', :user_id, true)")
ROW_SECURITY = (
    "ALTER TABLE peer.projects ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE peer.projects FORCE ROW LEVEL SECURITY",
    "CREATE POLICY tenant ON peer.projects"
    " USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)",
)
REQUESTS = Counter("peer_requests", "Requests", ("method", "path", "status"))
SECONDS = Histogram("peer_request_seconds", "Duration", ("method", "path", "status"))
log = logging.getLogger("peer")
logging.basicConfig(level=logging.INFO)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA IF NOT EXISTS peer"))
        await connection.run_sync(Base.metadata.create_all)
        for statement in ROW_SECURITY:
            await connection.execute(text(statement))
    async with Session.begin() as session:
        user = User(email="peer@example.com")
        now = datetime.now(UTC)
        digest = hashlib.sha256(os.environ["PEER_KEY"].encode()).hexdigest()
        session.add(user)
        await session.flush()
        await session.execute(AS, {"user_id": str(user.id)})
        session.add(ApiKey(user_id=user.id, key=digest))
        session.add(
            Project(
                id=UUID(os.environ["PEER_PROJECT"]),
                user_id=user.id,
                title="A project",
                idea=os.environ["PEER_IDEA"],
                mode="developer",
                created_at=now,
                updated_at=now,
            )
        )
    yield
    await engine.dispose()
    await redis.aclose()


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def observe(request: Request, call_next: Any) -> Response:
    began = time.perf_counter()
    response: Response = await call_next(request)
    seconds = time.perf_counter() - began
    request_id = request.headers.get("x-request-id") or uuid4().hex
    response.headers["x-request-id"] = request_id
    labels = (request.method, request.scope["route"].path, str(response.status_code))
    REQUESTS.labels(*labels).inc()
    SECONDS.labels(*labels).observe(seconds)
    log.info(
        "request %s %s %s %d %.1f ms",
        request_id,
        request.method,
        request.url.path,
        response.status_code,
        seconds * 1_000,
    )
    return response


async def open_session() -> AsyncIterator[AsyncSession]:
    async with Session() as session:
        yield session


async def caller(
    response: Response,
    session: Annotated[AsyncSession, Depends(open_session)],
    x_api_key: Annotated[str, Header()],
) -> ApiKey:
    digest = hashlib.sha256(x_api_key.encode()).hexdigest()
    key = await session.scalar(select(ApiKey).where(ApiKey.key == digest))
    if key is None or key.status != "active" or not key.user.is_active:
        raise HTTPException(401)
    now = int(time.time())
    pipeline = redis.pipeline()
    for of, seconds in WINDOWS:
        whom = key.id if of == "key" else key.user_id
        bucket = f"peer:{of}:{whom}:{seconds}:{now // seconds}"
        pipeline.incr(bucket)
        pipeline.expire(bucket, seconds)
    pipeline.incr(f"peer:used:{key.id}:{now // 86_400}")
    counts = (await pipeline.execute())[:-1:2]
    if max(counts) > QUOTA:
        raise HTTPException(429)
    left = [QUOTA - count for count in counts]
    response.headers["RateLimit"] = ", ".join(
        f'"{of}-{seconds}";r={each}' for (of, seconds), each in zip(WINDOWS, left, strict=True)
    )
    await session.execute(AS, {"user_id": str(key.user_id)})
    return key


@app.get("/api/v1/projects/{project_id}")
async def show_project(
    request: Request,
    project_id: UUID,
    key: Annotated[ApiKey, Depends(caller)],
    session: Annotated[AsyncSession, Depends(open_session)],
) -> ProjectView:
    began = time.perf_counter()
    found = await session.scalar(
        select(Project).where(Project.id == project_id, Project.user_id == key.user_id)
    )
    if found is None:
        raise HTTPException(404)
    view = ProjectView.model_validate(found)
    session.add(
        UsageLog(
            api_key_id=key.id,
            user_id=key.user_id,
            route=f"{request.method} /api/v1/projects/{{project_id}}",
            status=200,
            latency_ms=(time.perf_counter() - began) * 1_000,
            timestamp=datetime.now(UTC),
        )
    )
    await session.commit()
    return view
