"""Errors that the person at the terminal can mend."""


class OperatorError(Exception):
    """The message says what is wrong and what to do; no traceback is needed."""
