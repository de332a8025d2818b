"""Artifacts rendered for people, in Markdown and Word; invoices in PDF.

An artifact is laid out once, as blocks (``layouts``); two writers put the same blocks into
Markdown and into DOCX, so the two cannot disagree. Invoices have a Typst template of their own.
"""

from adapters.documents.invoice_pdf import TypstInvoiceRenderer
from adapters.documents.renderer import TemplatedDocumentRenderer

__all__ = ["TemplatedDocumentRenderer", "TypstInvoiceRenderer"]
