"""What every test shares: readable failures of contracts, no clock on Hypothesis, plain logs."""

import gc
import os
from collections.abc import Generator

import pytest
import structlog
from hypothesis import settings

pytest.register_assert_rewrite("tests.contracts")

# A slow machine is not a failure: examples are bounded in number, not in time. `make unit` and
# `make quick` take ``brief``; everything else, CI among it, takes ``usual``. For a long search,
# HYPOTHESIS_PROFILE=thorough.
settings.register_profile("brief", deadline=None, max_examples=10)
settings.register_profile("usual", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))

# The default draws a traceback with every frame's source and locals, for a third of a second each.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector leave alone what lives to the end: modules and collected tests.

    Looking through all of it again and again took two fifths of a collection.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
