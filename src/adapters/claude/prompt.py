"""A request as the Messages API takes it.

The order is the order of what changes least: the house's and the agent's instructions,
then the inputs as the request orders them, then the question. What is the same between
calls is thus a prefix, and a cache breakpoint stands where it ends.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Final

import msgspec
from anthropic.types import (
    CacheControlEphemeralParam,
    MessageParam,
    OutputConfigParam,
    TextBlockParam,
    ThinkingConfigParam,
)

from adapters.claude.instructions import Instructions
from adapters.claude.schemas import schema_of
from adapters.claude.settings import ClaudeSettings
from application.ports.language_model import ModelRequest, RawReply

PROMPT_LAYOUT: Final = 1
"""Raised when the layout below changes what a model reads."""

VARYING_INPUTS: Final[Mapping[str, int]] = {"repair": 2}
"""How many of the last inputs differ from call to call, where it is not one."""

TAIL_CHARACTERS: Final = 160

_FRAMING_TOKENS: Final = 4_096
"""An allowance for what the provider adds unseen: its words about the output format and
thinking, and the marks between turns. Published figures are some hundreds."""

_GATED_PREFIX_BYTES: Final = 8_192
"""A shorter prefix is not worth waiting for: caching begins at 512 to 1 024 tokens."""

_BREAKPOINT: Final[CacheControlEphemeralParam] = {"type": "ephemeral", "ttl": "5m"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One call's question.

    ``tokens_at_most`` bounds its length. ``prefix_key`` names the cacheable prefix when
    it is worth sharing between calls made at the same time, else it is empty.
    """

    model: str
    system: list[TextBlockParam]
    messages: list[MessageParam]
    output_config: OutputConfigParam
    thinking: ThinkingConfigParam
    tokens_at_most: int
    prefix_key: str


def prompt_for(
    request: ModelRequest,
    so_far: Sequence[RawReply],
    instructions: Instructions,
    settings: ClaudeSettings,
) -> Prompt:
    """Lay out a request, or the continuation of its cut answer.

    A continuation carries the parts as assistant turns and ends with a user turn, since
    current models refuse a prefilled answer. It goes without the output format: the rest
    of a JSON value is no value of the schema.

    Raises:
        UnknownInstructions: the request names instructions that do not exist.
        UnicodeEncodeError: an input holds a lone surrogate.
    """
    model = settings.models[request.tier]
    system: list[TextBlockParam] = [
        {"type": "text", "text": instructions.house},
        {
            "type": "text",
            "text": instructions.agent(request.instructions, request.depth),
            "cache_control": _BREAKPOINT,
        },
    ]
    materials = [_material(name, value) for name, value in request.inputs.items()]
    shared = len(materials) - VARYING_INPUTS.get(request.instructions, 1)
    if shared > 0:
        materials[shared - 1]["cache_control"] = _BREAKPOINT
    findings = [
        replace(finding, subject=_shield(finding.subject), message=_shield(finding.message))
        for finding in request.findings
    ]
    task = instructions.task(request.makes, _shield(request.previous), findings)
    messages: list[MessageParam] = [
        {"role": "user", "content": [*materials, {"type": "text", "text": task}]}
    ]
    # The API refuses a turn of nothing but white space, as after a call that only thought.
    parts = [reply.text for reply in so_far if reply.text.strip()]
    for part in parts:
        messages.append({"role": "assistant", "content": part})
        messages.append({"role": "user", "content": instructions.go_on(part[-TAIL_CHARACTERS:])})
    output: OutputConfigParam = {"effort": settings.effort[request.depth]}
    if not parts:
        output["format"] = {"type": "json_schema", "schema": schema_of(request.makes)}
    return Prompt(
        model=model,
        system=system,
        messages=messages,
        output_config=output,
        thinking=_thinking(settings),
        tokens_at_most=_tokens_at_most(system, messages, output),
        prefix_key=_prefix_key(model, system, materials[: max(shared, 0)], output),
    )


def _material(name: str, value: object) -> TextBlockParam:
    text = _shield(msgspec.json.encode(value, order="deterministic").decode())
    opening = f'<material name="{name}" type="{_type_name(value)}">'
    return {"type": "text", "text": f"{opening}\n{text}\n</material>"}


# Data cannot close its own tag or open another: in JSON, "<" stands only inside strings,
# where \u003c means the same.
_TAG = re.compile(r"<(?=\s*/?\s*(?:material|previous|findings))", re.IGNORECASE)


def _shield(text: str) -> str:
    return _TAG.sub(r"\\u003c", text)


def _type_name(value: object) -> str:
    if isinstance(value, tuple | list):
        item = _type_name(value[0]) if value else "str"
        return f"list[{item}]"
    if is_dataclass(value) or isinstance(value, str):
        return type(value).__name__
    return "json"


def _thinking(settings: ClaudeSettings) -> ThinkingConfigParam:
    if settings.thinking == "between_tools":
        return {"type": "between_tools"}
    # Summaries keep bytes on the wire while a model thinks, so that silence means trouble,
    # and let progress and the estimate of a cut call count some of the thinking.
    return {"type": "adaptive", "display": "summarized"}


def _tokens_at_most(
    system: Sequence[TextBlockParam],
    messages: Sequence[MessageParam],
    output: OutputConfigParam,
) -> int:
    """An upper bound of the prompt's tokens, as the ledger may not be overrun.

    The tokenizer's alphabet is bytes, so each token of text stands for at least one
    byte of its UTF-8, before or after a compatibility normalisation (which can make a
    text longer). Quoting as JSON only adds. English runs at about four bytes a token:
    the bound is loose, and what it holds too much is released when the call ends.
    """
    body = json.dumps([system, messages, output], ensure_ascii=False)
    size = len(body.encode("utf-8", "surrogatepass"))
    if not body.isascii():
        normalised = unicodedata.normalize("NFKC", body)
        size = max(size, len(normalised.encode("utf-8", "surrogatepass")))
    # The provider shows the schema to the model in words of its own as well.
    schema = len(json.dumps(output, ensure_ascii=False).encode())
    return size + schema + _FRAMING_TOKENS


def _prefix_key(
    model: str,
    system: Sequence[TextBlockParam],
    shared: Sequence[TextBlockParam],
    output: OutputConfigParam,
) -> str:
    if not shared:
        return ""
    # The output format and the effort are part of what the provider caches by.
    prefix = json.dumps([model, system, shared, output]).encode()
    if len(prefix) < _GATED_PREFIX_BYTES:
        return ""
    return hashlib.sha256(prefix).hexdigest()
