"""Claude as the maker of artifacts, through the official ``anthropic`` SDK.

What was decided, and why:

- **Structured output, not tools or parsing.** The schema is made from the artifact's
  dataclass (``schemas.py``), so the type is the one definition; every property is
  required. A reply is always streamed: progress, and no silent minutes.
- **One reply, one call.** The SDK's retries are off; what to do about a failure is the
  application's policy. Every failure has one of six classes (``failures.py``) and carries
  what was paid. A reply whose stop reason has arrived counts even if the connection breaks
  right after it.
- **A refusal is a failure** (``REFUSED``, with its usage), not a reply: nothing can be read
  from it.
- **A cut answer is continued, not begun again** (``prompt.py``, ``seam.py``): its parts
  stand as assistant turns, the last turn is the user's since prefilled answers are refused
  by current models, and what the model repeats at the seam is trimmed. A continuation goes
  without the output format, which only a whole value can meet; the schema of the whole is
  checked when the parts are read.
- **The prompt is a prefix and a rest.** Breakpoints stand after the instructions and after
  the last input that calls share; all but the last input are shared, and for ``repair`` all
  but the last two. Calls made together wait for the first one to begin
  (``prefix_gate.py``), else each of them would pay for writing the same cache.
- **Materials are data.** Inputs are canonical JSON between tags that they cannot close; the
  instructions say that nothing inside them is an order.
- **No overrun.** What is held before a call is an upper bound by construction: a token is
  at least one byte. Limits and their sources are data in ``models.toml``, prices are rows of
  the database; a five-minute cache lifetime is the only one asked for, and each lifetime is
  priced as itself.
- **The key stays here.** Messages are redacted, and failures are raised without the SDK's
  exception behind them.
"""

from adapters.claude.instructions import Instructions, UnknownInstructions
from adapters.claude.language_model import ClaudeLanguageModel
from adapters.claude.model_limits import ModelLimits, published_limits
from adapters.claude.settings import ClaudeSettings, ClaudeSettingsInvalid

__all__ = [
    "ClaudeLanguageModel",
    "ClaudeSettings",
    "ClaudeSettingsInvalid",
    "Instructions",
    "ModelLimits",
    "UnknownInstructions",
    "published_limits",
]
