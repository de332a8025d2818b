"""The Litestar application."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from litestar import Controller, Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide

from adapters.observability.logging import configure_logging
from entrypoints.container import access_tokens, key_secrets, open_container, secret_box
from entrypoints.http.access import KEY_HEADER, admitted, provide_origin, provide_principal
from entrypoints.http.account_routes import AccountController
from entrypoints.http.admin_billing_routes import AdminBillingController
from entrypoints.http.admin_routes import AdminRunController
from entrypoints.http.audit_routes import AccountAuditController, AdminAuditController
from entrypoints.http.billing_routes import BillingController, receive_event
from entrypoints.http.bodies import CheckedRequest
from entrypoints.http.docs_routes import DocsController
from entrypoints.http.external_routes import ExternalSignInController
from entrypoints.http.idempotency import HEADER_REPLAYED, provide_once
from entrypoints.http.identity_routes import IdentityController
from entrypoints.http.invoice_routes import (
    AdminInvoiceController,
    BillingProfileController,
    InvoiceController,
)
from entrypoints.http.key_routes import KeyController
from entrypoints.http.ledger_routes import LedgerController
from entrypoints.http.openapi.serving import openapi_config
from entrypoints.http.operation_routes import HealthController, metrics
from entrypoints.http.people_routes import AdminAdjustmentController, AdminPeopleController
from entrypoints.http.plan_routes import (
    AdminPlanController,
    AdminSubscriptionController,
    SeatController,
    SubscriptionController,
    plans,
)
from entrypoints.http.price_routes import AdminExchangeRateController, AdminModelPriceController
from entrypoints.http.problems import EXCEPTION_HANDLERS
from entrypoints.http.project_routes import DocumentController, ProjectController
from entrypoints.http.quote_routes import QuoteController
from entrypoints.http.request_log_routes import RequestLogController, key_usage
from entrypoints.http.run_routes import RunController
from entrypoints.http.run_stream import UpdateTexts, stream
from entrypoints.http.second_factor_routes import SecondFactorController
from entrypoints.http.session_routes import SessionController, jwks
from entrypoints.http.usage_routes import UsageController
from entrypoints.http.webhook_routes import WebhookEndpointController
from entrypoints.settings import Settings

USE_CASES = (
    "ask_to_register",
    "ask_for_confirmation",
    "confirm_address",
    "ask_for_reset",
    "reset_password",
    "change_password",
    "ask_to_change_email",
    "confirm_email",
    "delete_account",
    "export_account",
    "mailbox",
    "sign_in",
    "refresh_session",
    "sign_out",
    "sign_out_everywhere",
    "list_sessions",
    "revoke_session",
    "tokens",
    "show_user",
    "show_balance",
    "list_entries",
    "identity_providers",
    "depart_to_provider",
    "arrive_from_provider",
    "confirm_link",
    "depart_to_link",
    "list_identities",
    "unlink_identity",
    "meet_challenge",
    "show_second_factor",
    "propose_second_factor",
    "confirm_second_factor",
    "replace_recovery_codes",
    "remove_second_factor",
    "step_up",
    "prove_again",
    "create_project",
    "list_projects",
    "show_project",
    "edit_project",
    "delete_project",
    "execute_project",
    "list_documents",
    "show_document",
    "download_document",
    "read_archive",
    "show_run",
    "list_runs",
    "read_events",
    "cancel_run",
    "retry_run",
    "oversee_runs",
    "examine_run",
    "retry_any_run",
    "issue_stream_ticket",
    "show_billing_profile",
    "save_billing_profile",
    "list_invoices",
    "show_invoice",
    "download_invoice",
    "export_invoices",
    "add_model_price",
    "list_model_prices",
    "add_exchange_rate",
    "list_exchange_rates",
    "show_usage",
    "export_usage",
    "make_quote",
    "add_endpoint",
    "list_endpoints",
    "show_endpoint",
    "edit_endpoint",
    "rotate_secret",
    "delete_endpoint",
    "send_test",
    "list_deliveries",
    "show_delivery",
    "replay_delivery",
    "replay_failed",
    "answer_once",
    "buy_credits",
    "cancel_order",
    "list_orders",
    "show_order",
    "verify_payment",
    "list_movements",
    "receive_webhook",
    "oversee_movements",
    "oversee_orders",
    "refund_any_payment",
    "oversee_webhooks",
    "manage_coupons",
    "list_plans",
    "write_plan_version",
    "show_subscription",
    "start_subscription",
    "preview_change",
    "manage_subscription",
    "manage_seats",
    "oversee_subscriptions",
    "payment_gateway",
    "check_health",
    "provider",
    "rules_provider",
    "issue_key",
    "list_keys",
    "show_key",
    "edit_key",
    "rotate_key",
    "revoke_key",
    "list_requests",
    "sum_requests",
    "export_requests",
    "show_key_usage",
    "read_own_audit",
    "oversee_audit",
    "oversee_people",
    "manage_people",
    "adjust_credits",
)
"""What handlers may be given by name, out of the container."""


def create_app(settings: Settings) -> Litestar:
    """The application for these settings. Nothing is opened before its lifespan begins.

    Raises:
        SettingsInvalid: there is no signing key, no pepper, or no key for secrets.
        UnusableKey: the signing key is not one, or the pepper.
    """
    configure_logging(settings.log_level, machine=settings.environment == "production")
    # A missing or unusable key is found now, not at the first sign-in.
    access_tokens(settings)
    key_secrets(settings)
    secret_box(settings)

    state = State({"settings": settings, "update_texts": UpdateTexts()})

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_container(settings, process="http") as container:
            app.state.container = container
            # What lives from now on is mostly garbage soon: leave the rest out of scans.
            gc.collect()
            gc.freeze()
            yield

    api = Router(
        path="/api/v1",
        route_handlers=[
            IdentityController,
            AccountController,
            SessionController,
            SecondFactorController,
            ExternalSignInController,
            ProjectController,
            DocumentController,
            RunController,
            LedgerController,
            AdminRunController,
            BillingProfileController,
            InvoiceController,
            AdminInvoiceController,
            plans,
            SubscriptionController,
            SeatController,
            AdminPlanController,
            AdminSubscriptionController,
            BillingController,
            AdminBillingController,
            receive_event,
            AdminModelPriceController,
            AdminExchangeRateController,
            UsageController,
            RequestLogController,
            key_usage,
            QuoteController,
            KeyController,
            WebhookEndpointController,
            DocsController,
            AccountAuditController,
            AdminAuditController,
            AdminPeopleController,
            AdminAdjustmentController,
            stream,
        ],
    )
    return Litestar(
        route_handlers=[
            api,
            HealthController,
            metrics,
            jwks,
            *_simulated_pages(settings),
            *_mailbox(settings),
        ],
        lifespan=[lifespan],
        guards=[admitted],
        state=state,
        dependencies={
            "principal": Provide(provide_principal, sync_to_thread=False),
            "origin": Provide(provide_origin, sync_to_thread=False),
            "once": Provide(provide_once, sync_to_thread=False),
            **{
                name: Provide(_from_container(state, name), sync_to_thread=False)
                for name in USE_CASES
            },
        },
        request_class=CheckedRequest,
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(
            allow_origins=list(settings.origins),
            allow_headers=[
                "authorization",
                KEY_HEADER.lower(),
                "content-type",
                "idempotency-key",
                "x-request-id",
            ],
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            expose_headers=[
                "x-request-id",
                "retry-after",
                "ratelimit",
                "ratelimit-policy",
                "content-disposition",
                HEADER_REPLAYED.lower(),
            ],
            # For the refresh cookie, which other sites' pages do not get to send.
            allow_credentials=True,
            max_age=600,
        )
        if settings.origins
        else None,
        request_max_body_size=settings.http_max_body_bytes,
        openapi_config=openapi_config(),
        debug=False,
        logging_config=None,
    )


def _simulated_pages(settings: Settings) -> list[type[Controller]]:
    """Where the simulated gateway's orders are approved, if it is the one in use."""
    if settings.gateway != "simulated":
        return []
    from entrypoints.http.simulated_gateway_routes import SimulatedGatewayController

    return [SimulatedGatewayController]


def _mailbox(settings: Settings) -> list[type[Controller]]:
    """Where mail is shown that nobody is sent, if none is."""
    if not settings.mailbox:
        return []
    from entrypoints.http.mailbox_routes import MailboxController

    return [MailboxController]


def _from_container(state: State, name: str) -> Callable[[], Any]:
    # Without a parameter: Litestar would work one out anew for every request.
    def provide() -> Any:
        return getattr(state.container, name)()

    return provide
