"""What each model reads and writes at most, from ``models.toml``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """The most tokens a model reads (``context``) and writes (``max_output``) in a call."""

    context: int
    max_output: int


def published_limits() -> Mapping[str, ModelLimits]:
    """The limits that ship with this package, by model.

    Raises:
        msgspec.ValidationError: a row of the file lacks a field.
    """
    text = files("adapters.claude").joinpath("models.toml").read_text("utf-8")
    document = msgspec.convert(tomllib.loads(text), _Document)
    return {
        row.name: ModelLimits(context=row.context, max_output=row.max_output)
        for row in document.models
    }


class _Model(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    context: int
    max_output: int
    source: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    read_on: str
    models: tuple[_Model, ...]
