"""What the real Messages API refuses, and how its prompt cache counts.

Sources: platform.claude.com/docs, "Errors" (prefill not supported), "Structured outputs"
(closed objects, 24 optional properties), "Prompt caching" (4 breakpoints, an entry is
readable once the response that wrote it has begun), "Claude Sonnet 5.5 migration guide"
(sampling parameters and thinking budgets are refused).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

MAX_OUTPUT = 128_000


def violation(body: Mapping[str, Any]) -> str:
    """Why the request is invalid; empty when it is not."""
    messages = body.get("messages") or []
    if not messages or messages[-1]["role"] != "user":
        return "This model does not support assistant message prefill."
    if not 0 < body.get("max_tokens", 0) <= MAX_OUTPUT:
        return f"max_tokens: must be between 1 and {MAX_OUTPUT}"
    if {"temperature", "top_p", "top_k"} & body.keys():
        return "sampling parameters are not supported by this model"
    if body.get("thinking", {}).get("type") not in (None, "adaptive", "between_tools"):
        return "thinking.type: not accepted by this model"
    blocks = list(prompt_blocks(body))
    if sum("cache_control" in block for block in blocks) > 4:
        return "A maximum of 4 blocks with cache_control may be provided."
    if any(not block["text"].strip() for block in blocks):
        return "messages: text content blocks must be non-empty"
    schema = body.get("output_config", {}).get("format", {}).get("schema")
    return _schema_violation(schema, root=True) if schema else ""


def prompt_blocks(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every text block, in the order in which the cache sees them."""
    turns = [{"content": body.get("system", [])}, *body["messages"]]
    for turn in turns:
        content = turn["content"]
        yield from [{"text": content}] if isinstance(content, str) else content


class PromptCache:
    """Counts a prompt's tokens as input, written to, or read from the cache."""

    def __init__(self) -> None:
        self._entries: set[str] = set()

    def count(self, body: Mapping[str, Any]) -> tuple[dict[str, int], list[str]]:
        """The usage's input buckets, and the entries to be kept once the response begins."""
        digest = hashlib.sha256(json.dumps(body.get("output_config")).encode())
        total = marked = read = 0
        keys: list[str] = []
        for block in prompt_blocks(body):
            digest.update(block["text"].encode())
            total += len(block["text"]) // 4 + 1
            if "cache_control" in block:
                marked = total
                keys.append(digest.hexdigest())
                if keys[-1] in self._entries:
                    read = total
        usage = {
            "input_tokens": total - marked,
            "cache_creation_input_tokens": marked - read,
            "cache_read_input_tokens": read,
        }
        return usage, keys

    def keep(self, keys: list[str]) -> None:
        """Make entries readable: the response that wrote them has begun."""
        self._entries.update(keys)


_KEYWORDS = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf",
    "allOf", "$ref", "$defs", "description", "title", "format", "minItems",
}  # fmt: skip


def _schema_violation(schema: Mapping[str, Any], *, root: bool = False) -> str:
    unknown = schema.keys() - _KEYWORDS
    if unknown:
        return f"output_config.format.schema: {sorted(unknown)} is not supported"
    if root and schema.get("type") != "object":
        return "output_config.format.schema: the root must be an object"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "output_config.format.schema: additionalProperties must be false"
    if set(schema.get("required", ())) != set(schema.get("properties", ())):
        return "output_config.format.schema: too many optional parameters"
    inner = [
        *schema.get("properties", {}).values(),
        *schema.get("$defs", {}).values(),
        *schema.get("anyOf", ()),
        *([schema["items"]] if "items" in schema else ()),
    ]
    return next(filter(None, map(_schema_violation, inner)), "")
