"""Artifacts rendered for people, in Markdown and Word.

An artifact is laid out once, as blocks (``layouts``); two writers put the same blocks into
Markdown and into DOCX, so the two cannot disagree.
"""

from adapters.documents.renderer import TemplatedDocumentRenderer

__all__ = ["TemplatedDocumentRenderer"]
