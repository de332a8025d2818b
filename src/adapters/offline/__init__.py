"""Artifacts composed from the idea by rules, without a language model."""

from adapters.offline.language_model import OfflineLanguageModel

__all__ = ["OfflineLanguageModel"]
