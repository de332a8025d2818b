"""Structured logs: JSON lines for machines, readable lines in a terminal."""

import logging
import sys

import structlog

_SECRET_WORDS = ("password", "secret", "token", "api_key", "authorization", "ticket")


def configure_logging(level: str, *, machine: bool) -> None:
    """Send everything, the standard library's logging included, through structlog to stderr.

    ``machine`` chooses JSON. Values under a name that smells of a secret are not shown.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if machine
        # Plain tracebacks: the fancy ones print local variables, and secrets with them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    final: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if machine:
        final.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These tell every request and every connection; ours tell what matters of them.
    for chatty in (
        "httpx",
        "httpcore",
        "httpcore2",
        "urllib3",
        "anthropic",
        "_granian",
        "dramatiq",
    ):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def _redact(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "[redacted]"
    return event
