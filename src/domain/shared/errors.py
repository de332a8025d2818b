"""Errors of the domain: a code and its parameters, never a status of some protocol.

One table in ``entrypoints/http/problems.py`` turns a code into an answer; another
entrypoint is free to say the same thing its own way.
"""

from typing import ClassVar


class DomainError(Exception):
    """A rule of the domain was not met.

    ``code`` is stable and public: clients branch on it. ``params`` are the facts a
    person needs to act, and are shown to them, so nothing secret goes in.
    """

    code: ClassVar[str] = "domain_error"

    def __init__(self, message: str, **params: object) -> None:
        super().__init__(message)
        self.message = message
        self.params = params


class InvalidValue(DomainError):
    """A value does not fit its field. ``field`` names it; ``message`` says the remedy."""

    code = "invalid_value"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, field=field)
        self.field = field


class NotFound(DomainError):
    """Nothing with that id is visible to this person."""

    code = "not_found"

    def __init__(self, kind: str, identifier: object) -> None:
        super().__init__(f"No {kind} has the id {identifier}.", kind=kind, id=str(identifier))


class Conflict(DomainError):
    """The present state forbids it; the message says what to do instead."""

    code = "conflict"
