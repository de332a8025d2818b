"""Folders for the tests that run real servers."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: Unix sockets are part of what is tested."""
    made = Path(tempfile.mkdtemp(prefix="bb-", dir="/tmp"))
    # Others may pass through, not look: PostgreSQL may run as somebody else.
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)
