"""Which constraint an error is about, by its name and never by its text."""

from sqlalchemy.exc import DBAPIError


def violated(error: DBAPIError) -> str:
    """The name of the violated constraint or unique index, or the empty string."""
    cause: BaseException | None = error.orig
    while cause is not None:
        name = getattr(cause, "constraint_name", None)
        if name:
            return str(name)
        cause = cause.__cause__
    return ""
