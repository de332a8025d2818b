"""The composition root: which adapter stands behind which port.

What must be opened on a running event loop is opened by :func:`open_container` and
handed in ready; the container only wires. Nothing else in the house knows it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from dependency_injector import containers, providers

from adapters.documents import TemplatedDocumentRenderer
from adapters.dramatiq import DramatiqJobQueue, open_broker
from adapters.minio import MinioObjectStore, ObjectStoreProbe
from adapters.observability.run_metrics import PrometheusRunMetrics
from adapters.observability.webhook_metrics import PrometheusWebhookMetrics
from adapters.postgres.claims import PostgresRunClaims
from adapters.postgres.engine import DatabaseProbe, open_engine
from adapters.postgres.idempotency import PostgresExpiredIdempotencyKeys
from adapters.postgres.oversight import PostgresRunOversight
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.webhook_claims import PostgresWebhookClaims
from adapters.redis import (
    RedisLiveUpdates,
    RedisProbe,
    RedisProviderGate,
    RedisStreamTickets,
    open_redis,
)
from adapters.sandbox import BubblewrapSandbox
from adapters.security import (
    AesGcmSecretBox,
    Argon2PasswordHasher,
    BoxKeys,
    KeyRing,
    SignedAccessTokens,
    UnusableKey,
)
from adapters.system import SystemClock, UuidMaker
from adapters.webhooks import SocketWebhookSender
from application import failpoints
from application.idempotency.answer_once import AnswerOnce
from application.idempotency.delete_expired_keys import DeleteExpiredKeys
from application.identity.register_user import RegisterUser
from application.identity.show_user import ShowUser
from application.identity.sign_in import SignIn
from application.operations.check_health import CheckHealth
from application.operations.oversee_runs import ExamineRun, OverseeRuns, RetryAnyRun
from application.operations.probes import ModelProbe, QueueProbe
from application.ports.language_model import LanguageModel
from application.ports.provider_gate import ProviderGate
from application.projects.create_project import CreateProject
from application.projects.delete_project import DeleteProject
from application.projects.edit_project import EditProject
from application.projects.execute_project import ExecuteProject
from application.projects.list_projects import ListProjects
from application.projects.list_runs import ListRuns
from application.projects.read_archive import ReadArchive
from application.projects.read_documents import DownloadDocument, ListDocuments, ShowDocument
from application.projects.retry_run import RetryRun
from application.projects.show_project import ShowProject
from application.runs.artifact_store import ArtifactStore
from application.runs.cancel_run import CancelRun
from application.runs.circuit_policy import PROVIDER_CIRCUIT, Pace
from application.runs.dispatch_runs import DispatchRuns
from application.runs.execute_run import ExecuteRun
from application.runs.follow_run import FollowRun, IssueStreamTicket
from application.runs.local_gate import LocalProviderGate
from application.runs.publishing import Publisher
from application.runs.run_graph import RunTools
from application.runs.show_run import ReadEvents, ShowRun
from application.webhooks.add_endpoint import AddEndpoint
from application.webhooks.attempt_delivery import AttemptDelivery
from application.webhooks.delete_endpoint import DeleteEndpoint
from application.webhooks.deliver_webhooks import DeliverWebhooks
from application.webhooks.dispatch_webhooks import DispatchWebhooks, ForgetWebhooks
from application.webhooks.edit_endpoint import EditEndpoint
from application.webhooks.read_deliveries import ListDeliveries, ShowDelivery
from application.webhooks.read_endpoints import ListEndpoints, ShowEndpoint
from application.webhooks.replay_deliveries import ReplayDelivery, ReplayFailed
from application.webhooks.rotate_secret import RotateSecret
from application.webhooks.send_test import SendTest
from domain.agents.pipelines import ModelTier
from domain.shared.money import ExchangeRate
from domain.webhooks.destination import DestinationRules, is_address, is_public
from entrypoints.settings import Settings, SettingsInvalid


def access_tokens(settings: Settings) -> SignedAccessTokens:
    """The tokens of the settings' keys; further verification keys stand one after another.

    Raises:
        SettingsInvalid: there is no signing key.
    """
    if not settings.jwt_signing_key:
        raise SettingsInvalid("Not set: JWT_SIGNING_KEY, an Ed25519 private key in PKCS #8 PEM.")
    marker = "-----END"
    blocks, block = [], ""
    for line in settings.jwt_verification_keys.splitlines(keepends=True):
        block += line
        if line.startswith(marker):
            blocks.append(block)
            block = ""
    return SignedAccessTokens(
        KeyRing.from_pem(settings.jwt_signing_key, blocks),
        SystemClock(),
        settings.jwt_issuer,
        settings.jwt_audience,
        timedelta(seconds=settings.access_token_seconds),
    )


def secret_box(settings: Settings) -> AesGcmSecretBox:
    """What keeps secrets that must be had back.

    Raises:
        SettingsInvalid: there is no key, or one does not fit.
    """
    if not settings.secret_box_keys:
        raise SettingsInvalid("Not set: SECRET_BOX_KEYS, e.g. 1: and 64 random hexadecimal digits.")
    try:
        return AesGcmSecretBox(BoxKeys.parse(settings.secret_box_keys))
    except UnusableKey as error:
        raise SettingsInvalid(f"SECRET_BOX_KEYS: {error}") from error


def webhook_destinations(settings: Settings) -> DestinationRules:
    """Where webhooks may go: the public Internet over TLS, and on a laptop what it says."""
    return DestinationRules(
        plain=settings.environment == "local",
        permits=is_address if settings.webhook_private_addresses else is_public,
    )


def open_gate(settings: Settings, model: LanguageModel, redis: Any) -> ProviderGate:
    """What stands before the provider; nobody shares the offline rules, and they cannot tire."""
    pace = Pace(
        requests_per_minute=settings.model_requests_per_minute,
        tokens_per_minute=settings.model_tokens_per_minute,
    )
    if model.provider.offline:
        return LocalProviderGate(PROVIDER_CIRCUIT, Pace())
    return RedisProviderGate(redis, model.provider.name, PROVIDER_CIRCUIT, pace)


class Container(containers.DeclarativeContainer):
    """Every port's adapter and every use case, one of each."""

    settings = providers.Dependency(instance_of=Settings)
    app_engine: providers.Dependency[Any] = providers.Dependency()
    dispatch_engine: providers.Dependency[Any] = providers.Dependency()
    redis: providers.Dependency[Any] = providers.Dependency()
    broker: providers.Dependency[Any] = providers.Dependency()
    objects: providers.Dependency[Any] = providers.Dependency()
    live: providers.Dependency[Any] = providers.Dependency()
    model: providers.Dependency[Any] = providers.Dependency()

    provider = providers.Callable(getattr, model, "provider")

    tokens = providers.Singleton(access_tokens, settings)
    clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(UuidMaker)
    uow = providers.Singleton(PostgresUnitOfWork, app_engine)
    claims = providers.Singleton(
        PostgresRunClaims, dispatch_engine, runs_per_user=settings.provided.runs_per_user
    )
    expired_keys = providers.Singleton(PostgresExpiredIdempotencyKeys, dispatch_engine)
    queue = providers.Singleton(DramatiqJobQueue, broker)
    tickets = providers.Singleton(RedisStreamTickets, redis)
    hasher = providers.Singleton(Argon2PasswordHasher)
    renderer = providers.Singleton(TemplatedDocumentRenderer)
    sandbox = providers.Singleton(
        BubblewrapSandbox, concurrency=settings.provided.sandbox_concurrency
    )
    artifacts = providers.Singleton(ArtifactStore, objects)

    register_user = providers.Singleton(
        RegisterUser, uow, hasher, clock, ids, settings.provided.starting_grant
    )
    sign_in = providers.Singleton(SignIn, uow, hasher, tokens)
    show_user = providers.Singleton(ShowUser, uow)

    create_project = providers.Singleton(CreateProject, uow, clock, ids)
    list_projects = providers.Singleton(ListProjects, uow)
    show_project = providers.Singleton(ShowProject, uow)
    edit_project = providers.Singleton(EditProject, uow, clock)
    delete_project = providers.Singleton(DeleteProject, uow)
    execute_project = providers.Singleton(ExecuteProject, uow, queue, clock, ids)
    list_documents = providers.Singleton(ListDocuments, uow)
    show_document = providers.Singleton(ShowDocument, uow)
    download_document = providers.Singleton(DownloadDocument, uow, objects)
    read_archive = providers.Singleton(ReadArchive, uow, objects)

    retry_run = providers.Singleton(RetryRun, uow, queue, clock, ids)
    oversight = providers.Singleton(PostgresRunOversight, dispatch_engine)
    oversee_runs = providers.Singleton(OverseeRuns, oversight)
    examine_run = providers.Singleton(ExamineRun, oversight, uow)
    retry_any_run = providers.Singleton(RetryAnyRun, oversight, retry_run)

    show_run = providers.Singleton(ShowRun, uow)
    list_runs = providers.Singleton(ListRuns, uow)
    read_events = providers.Singleton(ReadEvents, uow)
    cancel_run = providers.Singleton(CancelRun, uow, live, clock, queue)
    issue_stream_ticket = providers.Singleton(IssueStreamTicket, uow, tickets)
    follow_run = providers.Singleton(FollowRun, uow, live, tickets)
    dispatch_runs = providers.Singleton(DispatchRuns, claims, queue)

    answer_once = providers.Singleton(AnswerOnce, uow)
    delete_expired_keys = providers.Singleton(DeleteExpiredKeys, expired_keys)

    box = providers.Singleton(secret_box, settings)
    destinations = providers.Singleton(webhook_destinations, settings)
    webhook_claims = providers.Singleton(PostgresWebhookClaims, dispatch_engine)
    webhook_metrics = providers.Singleton(PrometheusWebhookMetrics)
    add_endpoint = providers.Singleton(AddEndpoint, uow, box, destinations, clock, ids)
    list_endpoints = providers.Singleton(ListEndpoints, uow)
    show_endpoint = providers.Singleton(ShowEndpoint, uow)
    edit_endpoint = providers.Singleton(EditEndpoint, uow, destinations, clock)
    rotate_secret = providers.Singleton(RotateSecret, uow, box, clock)
    delete_endpoint = providers.Singleton(DeleteEndpoint, uow)
    send_test = providers.Singleton(SendTest, uow)
    list_deliveries = providers.Singleton(ListDeliveries, uow)
    show_delivery = providers.Singleton(ShowDelivery, uow)
    replay_delivery = providers.Singleton(ReplayDelivery, uow)
    replay_failed = providers.Singleton(ReplayFailed, uow, clock)
    dispatch_webhooks = providers.Singleton(DispatchWebhooks, webhook_claims, queue)
    forget_webhooks = providers.Singleton(ForgetWebhooks, webhook_claims)
    webhook_sender = providers.Singleton(SocketWebhookSender, destinations.provided.permits)
    attempt_delivery = providers.Singleton(
        AttemptDelivery, uow, box, webhook_sender, clock, webhook_metrics
    )
    deliver_webhooks = providers.Singleton(DeliverWebhooks, webhook_claims, attempt_delivery)

    rate = providers.Singleton(
        ExchangeRate,
        paise_per_usd=settings.provided.usd_inr_paise,
        valid_from="",
        source="USD_INR_PAISE, set by the operator",
    )
    run_metrics = providers.Singleton(PrometheusRunMetrics)
    gate = providers.Singleton(open_gate, settings, model, redis)
    publisher = providers.Singleton(Publisher, artifacts, renderer, clock, ids)
    run_tools = providers.Singleton(
        RunTools, uow, artifacts, publisher, model, sandbox, live, clock, ids, rate, gate
    )
    execute_run = providers.Singleton(
        ExecuteRun,
        claims,
        run_tools,
        run_metrics,
        settings.provided.lease_seconds,
        settings.provided.heartbeat_seconds,
    )

    check_health = providers.Singleton(
        CheckHealth,
        providers.List(
            providers.Singleton(DatabaseProbe, app_engine),
            providers.Singleton(RedisProbe, redis),
            providers.Singleton(ObjectStoreProbe, objects),
            providers.Singleton(QueueProbe, claims),
            providers.Singleton(ModelProbe, model, clock, gate),
        ),
    )


@asynccontextmanager
async def open_container(settings: Settings, *, process: str) -> AsyncIterator[Container]:
    """Open what a process needs, wire it, and close it in the reverse order.

    ``process`` names the process to the database, e.g. ``http``.
    """
    failpoints.arm(failpoints.parse(settings.bharatbuild_failpoint))
    async with AsyncExitStack() as stack:
        app_engine = open_engine(
            settings.database_url,
            pool_size=settings.database_pool_size,
            application=f"bharatbuild-{process}",
        )
        stack.push_async_callback(app_engine.dispose)
        dispatch_engine = open_engine(
            settings.database_dispatch_url,
            pool_size=max(2, settings.worker_concurrency),
            application=f"bharatbuild-{process}-dispatch",
        )
        stack.push_async_callback(dispatch_engine.dispose)
        redis = open_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        broker = open_broker(settings.redis_url)
        stack.callback(broker.client.close)
        objects = MinioObjectStore(
            settings.s3_endpoint,
            settings.s3_access_key,
            settings.s3_secret_key,
            settings.s3_bucket,
            settings.s3_region,
        )
        stack.push_async_callback(objects.close)
        live = RedisLiveUpdates(redis)
        await live.start()
        stack.push_async_callback(live.close)
        model, close_model = open_model(settings)
        stack.push_async_callback(close_model)
        container = Container(
            settings=settings,
            app_engine=app_engine,
            dispatch_engine=dispatch_engine,
            redis=redis,
            broker=broker,
            objects=objects,
            live=live,
            model=model,
        )
        yield container


def open_model(settings: Settings) -> tuple[LanguageModel, Callable[[], Awaitable[None]]]:
    """The settings' language model, and how to close it: Claude with a key, else offline.

    Each is imported only where it is used: the provider's SDK alone takes two seconds.
    """
    if settings.offline:
        from adapters.offline import OfflineLanguageModel

        return OfflineLanguageModel(), _nothing_to_close
    from adapters.claude import ClaudeLanguageModel, ClaudeSettings

    models = dict(ClaudeSettings(api_key=settings.anthropic_api_key).models)
    chosen = {
        ModelTier.CHEAP: settings.model_cheap,
        ModelTier.DEFAULT: settings.model_default,
        ModelTier.STRONG: settings.model_strong,
    }
    models.update({tier: name for tier, name in chosen.items() if name})
    claude = ClaudeLanguageModel(
        ClaudeSettings(
            api_key=settings.anthropic_api_key,
            base_url=settings.anthropic_base_url or None,
            models=models,
            max_output_tokens=settings.model_max_output_tokens,
        ),
        now=SystemClock().now,
    )
    return claude, claude.aclose


async def _nothing_to_close() -> None:
    """The offline model holds nothing open."""
