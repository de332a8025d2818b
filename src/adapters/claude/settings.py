"""What can be chosen about the Claude adapter, checked once, at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from adapters.claude.model_limits import ModelLimits
from domain.agents.pipelines import Depth, ModelTier

Effort = Literal["low", "medium", "high", "xhigh", "max"]
"""How much a model may think and write; the provider's own levels."""

Thinking = Literal["adaptive", "between_tools"]
"""``adaptive`` lets the model decide; ``between_tools`` is none, for these toolless calls."""

PROVIDER_URL = "https://api.anthropic.com"


class ClaudeSettingsInvalid(ValueError):
    """A setting cannot work. The message begins with the setting's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeSettings:
    """How the provider is reached and which model does what.

    ``api_key`` is never shown. ``base_url`` None is the provider's own address.
    ``max_output_tokens`` bounds one call, thinking included; a longer answer is continued
    by the next call. Times are seconds: to connect, between two chunks of a reply, and
    for a whole call.
    """

    api_key: str = field(repr=False)
    base_url: str | None = None
    models: Mapping[ModelTier, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                ModelTier.CHEAP: "claude-haiku-5-5",
                ModelTier.DEFAULT: "claude-sonnet-5-5",
                ModelTier.STRONG: "claude-opus-5-5",
            }
        )
    )
    effort: Mapping[Depth, Effort] = field(
        default_factory=lambda: MappingProxyType(
            {Depth.BRIEF: "low", Depth.STANDARD: "medium", Depth.THOROUGH: "high"}
        )
    )
    thinking: Thinking = "adaptive"
    max_output_tokens: int = 32_000
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    total_timeout: float = 900.0

    def check(self, known: Mapping[str, ModelLimits]) -> None:
        """Refuse at start what would otherwise fail at the first call.

        Raises:
            ClaudeSettingsInvalid: a tier or depth is missing, a model has no limits among
                those known, or a number is out of its range.
        """
        if not self.api_key.strip():
            raise ClaudeSettingsInvalid("api_key: it is empty; set it or use the offline model.")
        for depth in Depth:
            if depth not in self.effort:
                raise ClaudeSettingsInvalid(f"effort.{depth}: no effort is set for this depth.")
            if self.thinking == "between_tools" and self.effort[depth] in ("xhigh", "max"):
                raise ClaudeSettingsInvalid(
                    f"effort.{depth}: {self.effort[depth]} needs thinking to be 'adaptive'."
                )
        for tier in ModelTier:
            self._check_model(tier, known)
        for name in ("connect_timeout", "read_timeout", "total_timeout"):
            if getattr(self, name) <= 0:
                raise ClaudeSettingsInvalid(f"{name}: it must be more than 0 seconds.")

    def _check_model(self, tier: ModelTier, known: Mapping[str, ModelLimits]) -> None:
        name = f"models.{tier}"
        if tier not in self.models:
            raise ClaudeSettingsInvalid(f"{name}: no model is set for this tier.")
        model = self.models[tier]
        limits = known.get(model)
        if limits is None:
            names = ", ".join(sorted(known))
            raise ClaudeSettingsInvalid(
                f"{name}: the limits of {model!r} are not known; use one of {names}, or add it "
                "to adapters/claude/models.toml."
            )
        if not 1 <= self.max_output_tokens <= limits.max_output:
            raise ClaudeSettingsInvalid(
                f"max_output_tokens: {self.max_output_tokens} is not between 1 and "
                f"{limits.max_output}, the most {model} writes in one reply."
            )
