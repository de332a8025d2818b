"""The composition root: which adapter stands behind which port.

What must be opened on a running event loop is opened by :func:`open_container` and
handed in ready; the container only wires. Nothing else in the house knows it.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from dependency_injector import containers, providers

from adapters.documents import TemplatedDocumentRenderer, TypstInvoiceRenderer
from adapters.dramatiq import HINT_SECONDS, DramatiqJobQueue, open_broker
from adapters.mail import (
    NoMailServer,
    RedisMailbox,
    SmtpMailSender,
    SmtpServer,
    TemplatedLetterWriter,
)
from adapters.minio import MinioObjectStore, ObjectStoreProbe
from adapters.observability.limit_metrics import PrometheusLimitMetrics
from adapters.observability.payment_metrics import PrometheusPaymentMetrics
from adapters.observability.run_metrics import PrometheusRunMetrics
from adapters.observability.usage_metrics import PrometheusUsageLogMetrics
from adapters.observability.webhook_metrics import PrometheusWebhookMetrics
from adapters.postgres.audit_log import PostgresAuditOversight
from adapters.postgres.claims import PostgresRunClaims
from adapters.postgres.engine import DatabaseProbe, open_engine
from adapters.postgres.erasures import PostgresErasureQueue
from adapters.postgres.history import PostgresStepHistory
from adapters.postgres.hot_reads import PostgresHotReads
from adapters.postgres.idempotency import PostgresExpiredIdempotencyKeys
from adapters.postgres.invoices import PostgresInvoiceRegister
from adapters.postgres.ledger import PostgresLapsedCredits
from adapters.postgres.mail import PostgresMailQueue
from adapters.postgres.oversight import PostgresRunOversight
from adapters.postgres.payment_work import (
    PostgresPaymentSchedule,
    PostgresWebhookInbox,
    PostgresWebhookWork,
)
from adapters.postgres.people import PostgresPeopleOversight
from adapters.postgres.read_pool import ReadPool
from adapters.postgres.sessions import PostgresOldSessions
from adapters.postgres.subscription_work import PostgresSubscriptionSchedule
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.usage_log import PostgresUsageLogWriter
from adapters.postgres.webhook_claims import PostgresWebhookClaims
from adapters.redis import (
    RedisKeyChanges,
    RedisKnownPlaces,
    RedisLiveUpdates,
    RedisOneTimeValues,
    RedisProbe,
    RedisProviderGate,
    RedisRateLimiter,
    RedisStreamTickets,
    RedisUsageSink,
    RedisUsageStream,
    open_redis,
)
from adapters.sandbox import BubblewrapSandbox
from adapters.security import (
    AesGcmSecretBox,
    Argon2PasswordHasher,
    BoxKeys,
    KeyRing,
    ListedPasswords,
    OneTimeSecrets,
    PepperedKeySecrets,
    PepperedRefreshTokens,
    Peppers,
    ReloadedKeyRing,
    SignedAccessTokens,
    UnusableKey,
    pem_blocks,
)
from adapters.system import SystemClock, UuidMaker
from adapters.webhooks import SocketWebhookSender
from application import failpoints
from application.audit.read_audit import OverseeAudit, ReadOwnAudit
from application.billing.billing_profile import SaveBillingProfile, ShowBillingProfile
from application.billing.buy_credits import BuyCredits, CancelOrder
from application.billing.expire_credits import ExpireCredits
from application.billing.export_invoices import ExportInvoices
from application.billing.export_usage import ExportUsage
from application.billing.fulfilment import Fulfilment
from application.billing.invoiced import InvoicedFulfilment
from application.billing.issue_invoice import IssueCreditNote, IssueInvoice
from application.billing.list_prices import ListExchangeRates, ListModelPrices
from application.billing.no_gateway import NoGateway
from application.billing.order_desk import OrderDesk
from application.billing.oversee_payments import (
    ManageCoupons,
    OverseeMovements,
    OverseeOrders,
    OverseeWebhooks,
    RefundAnyPayment,
)
from application.billing.payment_book import PaymentBook
from application.billing.price_book import PriceBook
from application.billing.read_account import ListEntries, ShowBalance
from application.billing.read_invoices import DownloadInvoice, ListInvoices, ShowInvoice
from application.billing.reconcile import ReconcileOrders, ReconcileRefunds
from application.billing.refund_desk import RefundDesk
from application.billing.set_prices import AddExchangeRate, AddModelPrice
from application.billing.show_orders import ListMovements, ListOrders, ShowOrder
from application.billing.show_usage import ShowUsage
from application.billing.told import ToldFulfilment
from application.billing.top_up import TopUpFulfilment
from application.billing.verify_payment import VerifyPayment
from application.billing.webhooks import ForgetGatewayEvents, ProcessWebhooks, ReceiveWebhook
from application.idempotency.answer_once import AnswerOnce
from application.idempotency.delete_expired_keys import DeleteExpiredKeys
from application.identity.attempts import AttemptThrottle
from application.identity.authenticate_session import AuthenticateSession, SessionCache
from application.identity.change_email import AskToChangeEmail, ConfirmEmail
from application.identity.delete_account import DeleteAccount
from application.identity.delete_old_sessions import DeleteOldSessions
from application.identity.deliver_mail import DeliverMail, ForgetMail, MailNotices
from application.identity.end_sessions import (
    ListSessions,
    RevokeSession,
    SignOut,
    SignOutEverywhere,
)
from application.identity.erase_objects import EraseObjects
from application.identity.export_account import ExportAccount
from application.identity.external_sign_in import (
    ArriveFromProvider,
    DepartToProvider,
    Flow,
    IdentityProviders,
    PendingLink,
)
from application.identity.link_identities import (
    ConfirmLink,
    DepartToLink,
    ListIdentities,
    UnlinkIdentity,
)
from application.identity.mail_desk import MailDesk
from application.identity.mail_limits import MailLimits
from application.identity.manage_second_factor import (
    ConfirmSecondFactor,
    ProposeSecondFactor,
    ProveAgain,
    RemoveSecondFactor,
    ReplaceRecoveryCodes,
    ShowSecondFactor,
    StepUp,
)
from application.identity.meet_challenge import MeetChallenge
from application.identity.open_account import AccountOpener
from application.identity.open_session import SessionOpener
from application.identity.pass_first_factor import PassFirstFactor
from application.identity.password_policy import PasswordPolicy
from application.identity.passwords import AskForReset, ChangePassword, ResetPassword
from application.identity.reauthenticate import Reauthenticate
from application.identity.refresh_session import RefreshSession
from application.identity.register_user import RegisterUser
from application.identity.registering import AskForConfirmation, AskToRegister, ConfirmAddress
from application.identity.second_factor_codes import SecondFactorCodes
from application.identity.show_user import ShowUser
from application.identity.sign_in import SignIn
from application.identity.watch_access import WatchAccess
from application.keys.admit_request import AdmitRequest, LimitPolicies
from application.keys.authenticate_key import AuthenticateKey
from application.keys.drain_usage import DrainUsage, PrepareUsageLog
from application.keys.edit_key import EditKey
from application.keys.issue_key import IssueKey
from application.keys.key_cache import KeyCache
from application.keys.log_usage import LogUsage
from application.keys.read_keys import ListKeys, ShowKey
from application.keys.revoke_key import RevokeKey
from application.keys.rotate_key import RotateKey
from application.keys.show_requests import (
    ExportRequests,
    ListRequests,
    ShowKeyUsage,
    SumRequests,
)
from application.operations.adjust_credits import AdjustCredits
from application.operations.check_health import CheckHealth
from application.operations.manage_people import ManagePeople, OverseePeople
from application.operations.oversee_runs import ExamineRun, OverseeRuns, RetryAnyRun
from application.operations.probes import ModelProbe, QueueProbe
from application.ports.language_model import LanguageModel
from application.ports.mail import MailSender
from application.ports.payment_gateway import PaymentGateway
from application.ports.prices import PriceSource
from application.ports.provider_gate import ProviderGate
from application.projects.create_project import CreateProject
from application.projects.delete_project import DeleteProject
from application.projects.edit_project import EditProject
from application.projects.execute_project import ExecuteProject
from application.projects.list_projects import ListProjects
from application.projects.list_runs import ListRuns
from application.projects.make_quote import MakeQuote
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
from application.runs.mending_budget import MendingBudget
from application.runs.publishing import Publisher
from application.runs.run_graph import RunTools
from application.runs.show_run import ReadEvents, ShowRun
from application.subscriptions.advance import AdvanceSubscriptions
from application.subscriptions.fulfilment import SubscriptionFulfilment
from application.subscriptions.keeper import SubscriptionKeeper
from application.subscriptions.manage_subscription import (
    ManageSubscription,
    PreviewChange,
    ShowSubscription,
    StartSubscription,
)
from application.subscriptions.oversee_subscriptions import OverseeSubscriptions
from application.subscriptions.plans import ListPlans, WritePlanVersion
from application.subscriptions.retention import KeepRetention
from application.subscriptions.seats import ManageSeats
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
from domain.billing.orders import OrderPurpose
from domain.identity.linked_identity import ProviderName
from domain.webhooks.destination import DestinationRules, is_address, is_public
from entrypoints.settings import Settings, SettingsInvalid, selling_terms


def access_tokens(settings: Settings) -> SignedAccessTokens:
    """The tokens of the settings' keys; further verification keys stand one after another.

    A key ring in a file is read again when the file changes.

    Raises:
        SettingsInvalid: there is no signing key.
    """
    if not settings.jwt_signing_key:
        raise SettingsInvalid("Not set: JWT_SIGNING_KEY, an Ed25519 private key in PKCS #8 PEM.")
    further = pem_blocks(settings.jwt_verification_keys)
    ring = (
        ReloadedKeyRing(Path(settings.jwt_signing_key_file), further)
        if settings.jwt_signing_key_file
        else KeyRing.from_pem(settings.jwt_signing_key, further)
    )
    return SignedAccessTokens(
        ring,
        SystemClock(),
        settings.jwt_issuer,
        settings.jwt_audience,
        timedelta(seconds=settings.access_token_seconds),
    )


def key_secrets(settings: Settings) -> PepperedKeySecrets:
    """How API keys are made and hashed.

    Raises:
        SettingsInvalid: there is no pepper, or one does not fit.
    """
    return PepperedKeySecrets(_peppers(settings))


def _peppers(settings: Settings) -> Peppers:
    if not settings.api_key_peppers:
        raise SettingsInvalid("Not set: API_KEY_PEPPERS, e.g. 1: and 64 random hexadecimal digits.")
    try:
        return Peppers.parse(settings.api_key_peppers)
    except UnusableKey as error:
        raise SettingsInvalid(f"API_KEY_PEPPERS: {error}") from error


def refresh_tokens(settings: Settings) -> PepperedRefreshTokens:
    """How refresh tokens are made and hashed.

    Raises:
        SettingsInvalid: there is no pepper, or one does not fit.
    """
    return PepperedRefreshTokens(_peppers(settings))


def open_mail_sender(settings: Settings, redis: Any) -> MailSender:
    """Who sends mail: the settings' server, or on a laptop the mailbox."""
    if settings.mailbox:
        return RedisMailbox(redis)
    if not settings.smtp_host:
        return NoMailServer()
    return SmtpMailSender(
        SmtpServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password,
            tls=settings.smtp_tls,
            sender=settings.mail_from,
        ),
        SystemClock(),
    )


def second_factor_secrets(settings: Settings) -> OneTimeSecrets:
    """How authenticator apps' codes and recovery codes are made and compared.

    Raises:
        SettingsInvalid: there is no pepper, or one does not fit.
    """
    return OneTimeSecrets(_peppers(settings))


def open_identity_providers(
    settings: Settings,
) -> tuple[IdentityProviders, Callable[[], Awaitable[None]]]:
    """The providers that the settings name, and how to close them."""
    if not settings.google_client_id:
        return IdentityProviders({}), _nothing_to_close
    from adapters.google import ISSUER, google

    name = ProviderName.GOOGLE
    provider = google(
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret,
        redirect_uri=f"{settings.address}/api/v1/auth/{name.value}/callback",
        clock=SystemClock(),
        issuer=settings.google_issuer or ISSUER,
    )
    return IdentityProviders({name: provider}), provider.aclose


def limit_policies(settings: Settings) -> LimitPolicies:
    """How much may be asked for, as the operator set it."""
    return LimitPolicies(
        address_per_minute=settings.address_per_minute,
        unverified_per_minute=settings.unverified_per_minute,
        user_per_minute=settings.user_per_minute,
        key_per_minute=settings.key_per_minute,
        key_per_day=settings.key_per_day,
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


def fulfilments(
    subscriptions: Fulfilment, issue_invoice: IssueInvoice, issue_credit_note: IssueCreditNote
) -> dict[OrderPurpose, Fulfilment]:
    """What a payment brings about, by its order's purpose; told, and each with its invoice.

    The invoice comes last: from its number to the commit, the series waits.
    """
    bare: dict[OrderPurpose, Fulfilment] = {
        OrderPurpose.TOP_UP: TopUpFulfilment(),
        OrderPurpose.SUBSCRIPTION_START: subscriptions,
        OrderPurpose.SUBSCRIPTION_UPGRADE: subscriptions,
        OrderPurpose.SUBSCRIPTION_RENEWAL: subscriptions,
    }
    return {
        purpose: InvoicedFulfilment(ToldFulfilment(fulfilment), issue_invoice, issue_credit_note)
        for purpose, fulfilment in bare.items()
    }


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
    payment_gateway: providers.Dependency[Any] = providers.Dependency()
    rules: providers.Dependency[Any] = providers.Dependency()
    key_changes: providers.Dependency[Any] = providers.Dependency()
    identity_providers = providers.Dependency(instance_of=IdentityProviders)

    provider = providers.Callable(getattr, model, "provider")
    rules_provider = providers.Callable(getattr, rules, "provider")

    tokens = providers.Singleton(access_tokens, settings)
    clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(UuidMaker)
    uow = providers.Dependency(instance_of=PostgresUnitOfWork)
    reads = providers.Dependency(instance_of=PostgresHotReads)
    book = providers.Dependency(instance_of=PriceBook)
    claims = providers.Singleton(
        PostgresRunClaims,
        dispatch_engine,
        runs_per_user=settings.provided.runs_per_user,
        by_plan=True,
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

    add_model_price = providers.Singleton(AddModelPrice, uow, clock, ids)
    list_model_prices = providers.Singleton(ListModelPrices, uow)
    add_exchange_rate = providers.Singleton(AddExchangeRate, uow, clock, ids)
    list_exchange_rates = providers.Singleton(ListExchangeRates, uow)

    show_usage = providers.Singleton(ShowUsage, uow)
    export_usage = providers.Singleton(ExportUsage, uow)
    history = providers.Singleton(PostgresStepHistory, dispatch_engine)
    make_quote = providers.Singleton(MakeQuote, uow, book, history, model, clock)

    account_opener = providers.Singleton(
        AccountOpener, clock, ids, settings.provided.starting_grant
    )
    register_user = providers.Singleton(RegisterUser, uow, hasher, account_opener)
    refresh_tokens = providers.Singleton(refresh_tokens, settings)
    session_opener = providers.Singleton(SessionOpener, tokens, refresh_tokens, clock, ids)
    session_cache = providers.Singleton(SessionCache, key_changes)
    authenticate_session = providers.Singleton(
        AuthenticateSession, uow, session_cache, clock, settings.provided.second_factor_for
    )
    refresh_session = providers.Singleton(RefreshSession, uow, refresh_tokens, tokens, key_changes)
    box = providers.Singleton(secret_box, settings)
    limit_metrics = providers.Singleton(PrometheusLimitMetrics)
    limiter = providers.Singleton(RedisRateLimiter, redis, limit_metrics)
    attempts = providers.Singleton(
        AttemptThrottle, limiter, providers.Singleton(RedisKnownPlaces, redis)
    )
    mail_limits = providers.Singleton(MailLimits, limiter)
    mail_desk = providers.Singleton(MailDesk, box, ids)
    password_policy = providers.Singleton(PasswordPolicy, providers.Singleton(ListedPasswords))
    second_factor_secrets = providers.Singleton(second_factor_secrets, settings)
    second_factor_codes = providers.Singleton(SecondFactorCodes, second_factor_secrets, box, clock)
    first_factor = providers.Singleton(
        PassFirstFactor, session_opener, second_factor_secrets, clock
    )
    sign_in = providers.Singleton(SignIn, uow, hasher, first_factor, attempts)
    meet_challenge = providers.Singleton(
        MeetChallenge, uow, session_opener, second_factor_codes, attempts
    )
    reauthenticate = providers.Singleton(
        Reauthenticate, uow, hasher, second_factor_codes, clock, attempts
    )
    show_second_factor = providers.Singleton(
        ShowSecondFactor, uow, settings.provided.second_factor_for
    )
    propose_second_factor = providers.Singleton(
        ProposeSecondFactor, uow, second_factor_codes, reauthenticate
    )
    confirm_second_factor = providers.Singleton(
        ConfirmSecondFactor, uow, second_factor_codes, key_changes, attempts, mail_desk
    )
    replace_recovery_codes = providers.Singleton(
        ReplaceRecoveryCodes, uow, second_factor_codes, reauthenticate, mail_desk
    )
    remove_second_factor = providers.Singleton(
        RemoveSecondFactor,
        uow,
        reauthenticate,
        settings.provided.second_factor_for,
        key_changes,
        mail_desk,
    )
    prove_again = providers.Singleton(ProveAgain, uow, reauthenticate, key_changes)
    step_up = providers.Singleton(StepUp, uow, second_factor_codes, key_changes, attempts)

    sign_in_flows = providers.Singleton(RedisOneTimeValues, redis, "sign-in", Flow)
    pending_links = providers.Singleton(RedisOneTimeValues, redis, "link", PendingLink)
    depart_to_provider = providers.Singleton(
        DepartToProvider, identity_providers, sign_in_flows, settings.provided.origins
    )
    arrive_from_provider = providers.Singleton(
        ArriveFromProvider,
        uow,
        identity_providers,
        sign_in_flows,
        pending_links,
        first_factor,
        account_opener,
        clock,
        mail_desk,
    )
    confirm_link = providers.Singleton(
        ConfirmLink, uow, pending_links, reauthenticate, session_opener, clock, mail_desk
    )
    depart_to_link = providers.Singleton(DepartToLink, depart_to_provider, reauthenticate)
    list_identities = providers.Singleton(ListIdentities, uow)
    unlink_identity = providers.Singleton(UnlinkIdentity, uow, reauthenticate, mail_desk)
    ask_to_register = providers.Singleton(
        AskToRegister,
        uow,
        hasher,
        password_policy,
        mail_desk,
        mail_limits,
        register_user,
        settings.provided.open_registration,
    )
    ask_for_confirmation = providers.Singleton(AskForConfirmation, uow, mail_desk, mail_limits)
    confirm_address = providers.Singleton(ConfirmAddress, uow, hasher, account_opener, attempts)
    change_password = providers.Singleton(
        ChangePassword, uow, hasher, password_policy, reauthenticate, mail_desk, key_changes
    )
    ask_for_reset = providers.Singleton(AskForReset, uow, mail_desk, mail_limits)
    reset_password = providers.Singleton(
        ResetPassword, uow, hasher, password_policy, mail_desk, attempts, key_changes
    )
    ask_to_change_email = providers.Singleton(
        AskToChangeEmail, uow, reauthenticate, mail_desk, mail_limits
    )
    confirm_email = providers.Singleton(ConfirmEmail, uow, mail_desk, key_changes)
    delete_account = providers.Singleton(
        DeleteAccount, uow, reauthenticate, mail_desk, clock, key_changes
    )
    export_account = providers.Singleton(ExportAccount, uow)
    mailbox = providers.Singleton(RedisMailbox, redis)
    mail_queue = providers.Singleton(PostgresMailQueue, dispatch_engine)
    deliver_mail = providers.Singleton(
        DeliverMail,
        mail_queue,
        uow,
        mail_desk,
        providers.Singleton(TemplatedLetterWriter),
        providers.Singleton(open_mail_sender, settings, redis),
        settings.provided.address,
    )
    mail_notices = providers.Singleton(MailNotices, mail_queue, uow, mail_desk)
    forget_mail = providers.Singleton(ForgetMail, mail_queue)
    erase_objects = providers.Singleton(
        EraseObjects, providers.Singleton(PostgresErasureQueue, dispatch_engine), objects
    )
    sign_out = providers.Singleton(SignOut, uow, refresh_tokens, key_changes)
    list_sessions = providers.Singleton(ListSessions, uow)
    revoke_session = providers.Singleton(RevokeSession, uow, key_changes)
    sign_out_everywhere = providers.Singleton(SignOutEverywhere, uow, key_changes)
    watch_access = providers.Singleton(WatchAccess, uow, key_changes, clock)
    old_sessions = providers.Singleton(PostgresOldSessions, dispatch_engine)
    delete_old_sessions = providers.Singleton(DeleteOldSessions, old_sessions)
    show_user = providers.Singleton(ShowUser, reads)

    audit_oversight = providers.Singleton(PostgresAuditOversight, dispatch_engine)
    read_own_audit = providers.Singleton(ReadOwnAudit, uow)
    oversee_audit = providers.Singleton(OverseeAudit, audit_oversight)

    show_balance = providers.Singleton(ShowBalance, uow)
    list_entries = providers.Singleton(ListEntries, uow)
    lapsed_credits = providers.Singleton(PostgresLapsedCredits, dispatch_engine)
    expire_credits = providers.Singleton(ExpireCredits, lapsed_credits, uow)

    create_project = providers.Singleton(CreateProject, uow, clock, ids)
    list_projects = providers.Singleton(ListProjects, reads)
    show_project = providers.Singleton(ShowProject, reads)
    edit_project = providers.Singleton(EditProject, uow, clock)
    delete_project = providers.Singleton(DeleteProject, uow)
    execute_project = providers.Singleton(
        ExecuteProject, uow, queue, clock, ids, settings.provided.run_cap_credits
    )
    list_documents = providers.Singleton(ListDocuments, uow)
    show_document = providers.Singleton(ShowDocument, uow)
    download_document = providers.Singleton(DownloadDocument, uow, objects, clock)
    read_archive = providers.Singleton(ReadArchive, uow, objects, clock)

    key_secrets = providers.Singleton(key_secrets, settings)
    key_cache = providers.Singleton(KeyCache, key_changes)
    authenticate_key = providers.Singleton(
        AuthenticateKey, uow, reads, key_secrets, key_cache, clock
    )
    admit_request = providers.Singleton(
        AdmitRequest,
        tokens,
        authenticate_key,
        authenticate_session,
        limiter,
        providers.Singleton(limit_policies, settings),
        limit_metrics,
    )
    issue_key = providers.Singleton(IssueKey, uow, key_secrets, clock, ids)
    list_keys = providers.Singleton(ListKeys, uow)
    show_key = providers.Singleton(ShowKey, uow)
    edit_key = providers.Singleton(EditKey, uow, clock, key_changes)
    rotate_key = providers.Singleton(RotateKey, uow, key_secrets, clock, key_changes)
    revoke_key = providers.Singleton(RevokeKey, uow, clock, key_changes)

    usage_metrics = providers.Singleton(PrometheusUsageLogMetrics)
    usage_sink = providers.Singleton(RedisUsageSink, redis, settings.provided.usage_stream_rows)
    log_usage = providers.Singleton(LogUsage, usage_sink, usage_metrics)
    usage_log_writer = providers.Singleton(PostgresUsageLogWriter, dispatch_engine)
    drain_usage = providers.Singleton(
        DrainUsage, providers.Singleton(RedisUsageStream, redis), usage_log_writer, usage_metrics
    )
    prepare_usage_log = providers.Singleton(
        PrepareUsageLog, usage_log_writer, settings.provided.usage_log_months
    )
    list_requests = providers.Singleton(ListRequests, uow)
    sum_requests = providers.Singleton(SumRequests, uow)
    export_requests = providers.Singleton(ExportRequests, uow)
    show_key_usage = providers.Singleton(ShowKeyUsage, uow, usage_sink, clock)

    retry_run = providers.Singleton(
        RetryRun, uow, queue, clock, ids, settings.provided.run_cap_credits
    )
    oversight = providers.Singleton(PostgresRunOversight, dispatch_engine)
    oversee_runs = providers.Singleton(OverseeRuns, oversight)
    examine_run = providers.Singleton(ExamineRun, oversight, uow)
    retry_any_run = providers.Singleton(RetryAnyRun, oversight, retry_run)

    show_run = providers.Singleton(ShowRun, reads, book)
    list_runs = providers.Singleton(ListRuns, uow)
    read_events = providers.Singleton(ReadEvents, uow)
    cancel_run = providers.Singleton(CancelRun, uow, live, clock, queue)
    people = providers.Singleton(PostgresPeopleOversight, dispatch_engine)
    oversee_people = providers.Singleton(OverseePeople, people)
    manage_people = providers.Singleton(ManagePeople, uow, key_changes, cancel_run)
    adjust_credits = providers.Singleton(AdjustCredits, uow, people, people, clock, ids)
    issue_stream_ticket = providers.Singleton(IssueStreamTicket, uow, tickets)
    follow_run = providers.Singleton(FollowRun, uow, live, tickets)
    dispatch_runs = providers.Singleton(DispatchRuns, claims, queue)

    answer_once = providers.Singleton(AnswerOnce, uow)
    delete_expired_keys = providers.Singleton(DeleteExpiredKeys, expired_keys)

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

    terms = providers.Singleton(selling_terms, settings)
    invoice_renderer = providers.Singleton(TypstInvoiceRenderer)
    invoice_register = providers.Singleton(PostgresInvoiceRegister, dispatch_engine)
    show_billing_profile = providers.Singleton(ShowBillingProfile, uow)
    save_billing_profile = providers.Singleton(SaveBillingProfile, uow, clock)
    issue_invoice = providers.Singleton(IssueInvoice, clock, ids, terms)
    issue_credit_note = providers.Singleton(IssueCreditNote, clock, ids, terms)
    list_invoices = providers.Singleton(ListInvoices, uow)
    show_invoice = providers.Singleton(ShowInvoice, uow)
    download_invoice = providers.Singleton(DownloadInvoice, show_invoice, invoice_renderer)
    export_invoices = providers.Singleton(ExportInvoices, invoice_register)
    payment_metrics = providers.Singleton(PrometheusPaymentMetrics)
    payment_schedule = providers.Singleton(PostgresPaymentSchedule, dispatch_engine)
    webhook_inbox = providers.Singleton(PostgresWebhookInbox, app_engine)
    webhook_work = providers.Singleton(PostgresWebhookWork, dispatch_engine)
    forget_gateway_events = providers.Singleton(ForgetGatewayEvents, webhook_work)
    order_desk = providers.Singleton(OrderDesk, uow, payment_gateway, clock, ids)
    subscription_keeper = providers.Singleton(SubscriptionKeeper, uow, order_desk, clock, ids)
    subscription_fulfilment = providers.Singleton(
        SubscriptionFulfilment, subscription_keeper, clock
    )
    fulfilments = providers.Singleton(
        fulfilments, subscription_fulfilment, issue_invoice, issue_credit_note
    )
    payment_book = providers.Singleton(
        PaymentBook, uow, payment_gateway, fulfilments, clock, ids, payment_metrics
    )
    refund_desk = providers.Singleton(
        RefundDesk, uow, payment_gateway, fulfilments, clock, ids, payment_metrics
    )
    buy_credits = providers.Singleton(BuyCredits, uow, order_desk)
    cancel_order = providers.Singleton(CancelOrder, uow)
    list_orders = providers.Singleton(ListOrders, uow)
    show_order = providers.Singleton(ShowOrder, uow, payment_gateway)
    list_movements = providers.Singleton(ListMovements, uow)
    verify_payment = providers.Singleton(VerifyPayment, uow, payment_gateway, payment_book)
    receive_webhook = providers.Singleton(ReceiveWebhook, payment_gateway, webhook_inbox, ids)
    process_webhooks = providers.Singleton(
        ProcessWebhooks,
        payment_gateway,
        webhook_work,
        payment_schedule,
        payment_book,
        refund_desk,
        payment_metrics,
    )
    reconcile_orders = providers.Singleton(
        ReconcileOrders, payment_schedule, uow, payment_gateway, payment_book, clock
    )
    reconcile_refunds = providers.Singleton(
        ReconcileRefunds, payment_schedule, uow, payment_gateway, refund_desk
    )
    oversee_orders = providers.Singleton(OverseeOrders, payment_schedule)
    oversee_movements = providers.Singleton(OverseeMovements, payment_schedule)
    refund_any_payment = providers.Singleton(RefundAnyPayment, payment_schedule, refund_desk)
    oversee_webhooks = providers.Singleton(OverseeWebhooks, webhook_work)
    manage_coupons = providers.Singleton(ManageCoupons, uow, clock, ids)

    subscription_schedule = providers.Singleton(PostgresSubscriptionSchedule, dispatch_engine)
    list_plans = providers.Singleton(ListPlans, uow)
    write_plan_version = providers.Singleton(WritePlanVersion, uow, clock, ids)
    show_subscription = providers.Singleton(ShowSubscription, uow, clock)
    start_subscription = providers.Singleton(
        StartSubscription, uow, subscription_keeper, clock, ids
    )
    preview_change = providers.Singleton(PreviewChange, uow, clock)
    manage_subscription = providers.Singleton(ManageSubscription, uow, subscription_keeper, clock)
    manage_seats = providers.Singleton(ManageSeats, uow, clock, ids)
    oversee_subscriptions = providers.Singleton(OverseeSubscriptions, subscription_schedule, uow)
    advance_subscriptions = providers.Singleton(
        AdvanceSubscriptions,
        subscription_schedule,
        uow,
        subscription_keeper,
        order_desk,
        clock,
        ids,
    )
    keep_retention = providers.Singleton(KeepRetention, subscription_schedule, uow, clock, ids)

    run_metrics = providers.Singleton(PrometheusRunMetrics)
    gate = providers.Singleton(open_gate, settings, model, redis)
    publisher = providers.Singleton(Publisher, artifacts, renderer, clock, ids)
    mending = providers.Singleton(
        MendingBudget,
        run_credits=settings.provided.mending_run_credits,
        day_credits=settings.provided.mending_day_credits,
    )
    run_tools = providers.Singleton(
        RunTools,
        uow,
        artifacts,
        publisher,
        model,
        sandbox,
        live,
        clock,
        ids,
        book,
        gate,
        mending,
        rules,
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
        broker = open_broker(settings.redis_url, HINT_SECONDS)
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
        uow = PostgresUnitOfWork(app_engine)
        read_pool = ReadPool(
            settings.database_url, settings.database_read_pool_size, f"bharatbuild-{process}-read"
        )
        stack.push_async_callback(read_pool.close)
        book = PriceBook(uow, SystemClock())
        key_changes = RedisKeyChanges(redis)
        if process == "http":  # nobody else remembers keys
            await key_changes.start()
            stack.push_async_callback(key_changes.close)
        model, close_model = open_model(settings, book)
        stack.push_async_callback(close_model)
        identity_providers, close_providers = open_identity_providers(settings)
        stack.push_async_callback(close_providers)
        gateway, close_gateway = open_payment_gateway(settings, redis)
        stack.push_async_callback(close_gateway)
        container = Container(
            settings=settings,
            app_engine=app_engine,
            dispatch_engine=dispatch_engine,
            redis=redis,
            broker=broker,
            objects=objects,
            live=live,
            model=model,
            payment_gateway=gateway,
            uow=uow,
            reads=PostgresHotReads(read_pool),
            book=book,
            rules=open_rules(),
            key_changes=key_changes,
            identity_providers=identity_providers,
        )
        if process == "http":
            stack.push_async_callback(container.limiter().close)
            stack.push_async_callback(container.usage_sink().close)
            log_usage = container.log_usage()
            log_usage.start()
            stack.push_async_callback(log_usage.close)
        yield container


def open_model(
    settings: Settings, prices: PriceSource
) -> tuple[LanguageModel, Callable[[], Awaitable[None]]]:
    """The settings' language model, and how to close it: Claude with a key, else offline.

    Each is imported only where it is used: the provider's SDK alone takes two seconds.
    """
    if settings.offline:
        return open_rules(), _nothing_to_close
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
        prices,
        now=SystemClock().now,
    )
    return claude, claude.aclose


def open_payment_gateway(
    settings: Settings, redis: Any
) -> tuple[PaymentGateway, Callable[[], Awaitable[None]]]:
    """The settings' payment gateway, and how to close it."""
    if settings.gateway == "razorpay":
        from adapters.razorpay import RazorpayGateway, RazorpaySettings
        from adapters.razorpay.gateway import BASE_URL

        razorpay = RazorpayGateway(
            RazorpaySettings(
                key_id=settings.razorpay_key_id,
                key_secret=settings.razorpay_key_secret,
                webhook_secret=settings.razorpay_webhook_secret,
                base_url=settings.razorpay_base_url or BASE_URL,
            )
        )
        return razorpay, razorpay.aclose
    if settings.gateway == "simulated":
        from adapters.simulated_gateway import RedisGatewayStore, SimulatedGateway

        # The same in every process of a platform, and nobody else's.
        secret = hmac.new(
            settings.s3_secret_key.encode(), b"simulated payment gateway", hashlib.sha256
        ).digest()
        return SimulatedGateway(RedisGatewayStore(redis), secret), _nothing_to_close
    return NoGateway(), _nothing_to_close


def open_rules() -> LanguageModel:
    """What composes artifacts by rules: for test runs, and where no provider is set."""
    from adapters.offline import OfflineLanguageModel

    return OfflineLanguageModel()


async def _nothing_to_close() -> None:
    """Nothing is held open."""
