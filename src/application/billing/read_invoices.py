"""Look at invoices and credit notes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from application.ports.invoices import InvoiceRenderer
from application.ports.paging import Page
from application.ports.persistence import UnitOfWork
from domain.billing.invoice import CreditNote, Invoice
from domain.billing.serials import DocumentKind, FinancialYear
from domain.shared.errors import NotFound
from domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceListing:
    """Which documents: a page, optionally of one financial year or kind."""

    user_id: UserId
    page: Page
    year: FinancialYear | None = None
    kind: DocumentKind | None = None


@dataclass(frozen=True, slots=True)
class ListInvoices:
    """Lists a person's invoices and credit notes, newest first, one page at a time."""

    uow: UnitOfWork

    async def __call__(self, query: InvoiceListing) -> Sequence[Invoice | CreditNote]:
        """The page's documents."""
        async with self.uow.begin(query.user_id) as tx:
            return await tx.invoices.page(
                query.page.limit, query.page.after, year=query.year, kind=query.kind
            )


@dataclass(frozen=True, slots=True)
class ShowInvoice:
    """Shows an invoice or a credit note."""

    uow: UnitOfWork

    async def __call__(self, user_id: UserId, document_id: UUID) -> Invoice | CreditNote:
        """The document.

        Raises:
            NotFound: no such document, or another person's.
        """
        async with self.uow.begin(user_id) as tx:
            document = await tx.invoices.get(document_id)
        if document is None:
            raise NotFound("invoice", document_id)
        return document


@dataclass(frozen=True, slots=True)
class DownloadInvoice:
    """Draws an invoice or a credit note for people."""

    show: ShowInvoice
    renderer: InvoiceRenderer

    async def __call__(
        self, user_id: UserId, document_id: UUID
    ) -> tuple[Invoice | CreditNote, bytes]:
        """The document, and its PDF file.

        Raises:
            NotFound: no such document, or another person's.
        """
        document = await self.show(user_id, document_id)
        return document, await self.renderer.render(document)
