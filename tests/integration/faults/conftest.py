"""One stage for all cases; each begins without a worker and without a script."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.faults.exact import Undisturbed, undisturbed
from tests.integration.faults.stage import Stage


@pytest.fixture(scope="session")
async def whole_stage() -> AsyncIterator[Stage]:
    """The servers, HTTP and the dispatcher."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        async with Stage(Path(folder)) as stage:
            yield stage


@pytest.fixture(scope="session")
async def expected(whole_stage: Stage) -> Undisturbed:
    """What every run should come to."""
    await whole_stage.start("worker")
    made = await undisturbed(whole_stage)
    await whole_stage.end(*whole_stage.running("worker"))
    return made


@pytest.fixture
async def stage(whole_stage: Stage, expected: Undisturbed) -> AsyncIterator[Stage]:
    """The stage without workers; those of the case end with it."""
    yield whole_stage
    whole_stage.model.forget_script()
    await whole_stage.end(*whole_stage.running("worker"))
