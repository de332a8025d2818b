"""Billing profiles, invoices and credit notes."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from application.billing.billing_profile import (
    NewBillingProfile,
    SaveBillingProfile,
    ShowBillingProfile,
)
from application.billing.export_invoices import ExportInvoices, Month
from application.billing.read_invoices import (
    DownloadInvoice,
    InvoiceListing,
    ListInvoices,
    ShowInvoice,
)
from application.ports.security import Principal
from domain.billing.serials import DocumentKind, FinancialYear
from domain.identity.user import Permission
from entrypoints.http.access import requires
from entrypoints.http.attachments import attachment
from entrypoints.http.csv_stream import CSV
from entrypoints.http.cursors import DEFAULT_LIMIT, cursor_after, page_from
from entrypoints.http.invoice_csv import as_csv
from entrypoints.http.invoice_schemas import (
    BillingProfileRequest,
    BillingProfileView,
    InvoicePageView,
    InvoiceSummaryView,
    InvoiceView,
)
from entrypoints.http.routing import get, put

_PDF = "application/pdf"


class BillingProfileController(Controller):
    """How invoices name the buyer."""

    path = "/billing/profile"
    tags = ("Billing",)

    @get("", guards=[requires(Permission.BILLING_READ)], summary="Show the billing profile")
    async def show(
        self,
        principal: NamedDependency[Principal],
        show_billing_profile: NamedDependency[ShowBillingProfile],
    ) -> BillingProfileView:
        """Whom the next invoice would name: by the profile, or by the account's name alone."""
        return BillingProfileView.of(*await show_billing_profile(principal.user_id))

    @put("", guards=[requires(Permission.BILLING_BUY)], summary="Save the billing profile")
    async def save(
        self,
        data: JSONBody[BillingProfileRequest],
        principal: NamedDependency[Principal],
        save_billing_profile: NamedDependency[SaveBillingProfile],
    ) -> BillingProfileView:
        """Name the buyer of invoices to come; issued ones stay as they are."""
        profile = await save_billing_profile(
            NewBillingProfile(
                user_id=principal.user_id,
                name=data.name,
                address=data.address,
                state=data.state,
                country=data.country,
                gstin=data.gstin,
            )
        )
        return BillingProfileView.of(profile.buyer, profile)


class InvoiceController(Controller):
    """The person's invoices and credit notes."""

    path = "/billing/invoices"
    tags = ("Billing",)

    @get("", guards=[requires(Permission.BILLING_READ)], summary="List invoices and credit notes")
    async def page(
        self,
        principal: NamedDependency[Principal],
        list_invoices: NamedDependency[ListInvoices],
        financial_year: Annotated[
            str, QueryParameter(description="Of this year alone, e.g. 2026-27.")
        ] = "",
        kind: Annotated[
            DocumentKind | None, QueryParameter(description="Of this kind alone.")
        ] = None,
        cursor: Annotated[str, QueryParameter(description="The page before's next_cursor.")] = "",
        limit: Annotated[int, QueryParameter(description="Items, 1 to 100.")] = DEFAULT_LIMIT,
    ) -> InvoicePageView:
        """Newest first."""
        documents = await list_invoices(
            InvoiceListing(
                user_id=principal.user_id,
                page=page_from(cursor, limit),
                year=FinancialYear.named(financial_year) if financial_year else None,
                kind=kind,
            )
        )
        return InvoicePageView(
            items=[InvoiceSummaryView.of(document) for document in documents[:limit]],
            next_cursor=cursor_after([document.id for document in documents], limit),
        )

    @get(
        "/{invoice_id:str}",
        guards=[requires(Permission.BILLING_READ)],
        summary="Show an invoice or a credit note",
    )
    async def show(
        self,
        invoice_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        show_invoice: NamedDependency[ShowInvoice],
    ) -> InvoiceView:
        """The document as it was issued, with its lines and taxes."""
        return InvoiceView.of(await show_invoice(principal.user_id, invoice_id))

    @get(
        "/{invoice_id:str}/pdf",
        guards=[requires(Permission.BILLING_READ)],
        media_type=_PDF,
        summary="Download an invoice or a credit note",
    )
    async def pdf(
        self,
        invoice_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        download_invoice: NamedDependency[DownloadInvoice],
    ) -> Response[bytes]:
        """The document as a PDF file: the same bytes every time."""
        document, data = await download_invoice(principal.user_id, invoice_id)
        name = f"{document.kind.value}-{document.number}".replace("_", "-").replace("/", "-")
        return Response(data, media_type=_PDF, headers=attachment(f"{name}.pdf"))


class AdminInvoiceController(Controller):
    """Everybody's invoices and credit notes."""

    path = "/admin/invoices.csv"
    tags = ("Operation",)

    @get(
        "",
        guards=[requires(Permission.BILLING_OPERATE)],
        media_type=CSV,
        summary="Export a month's invoices",
    )
    async def export(
        self,
        export_invoices: NamedDependency[ExportInvoices],
        month: Annotated[
            str, QueryParameter(description="The month of issue, e.g. 2026-11. Required.")
        ] = "",
    ) -> Stream:
        """Everybody's documents of a month, a row for each rate, as Form GSTR-1 sorts them."""
        chosen = Month.named(month)
        rows = await export_invoices(chosen)
        return Stream(
            as_csv(rows),
            media_type=CSV,
            headers=attachment(f"invoices-{chosen.first:%Y-%m}.csv"),
        )
