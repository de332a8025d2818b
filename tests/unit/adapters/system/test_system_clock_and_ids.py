"""The machine's time and identifiers."""

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from adapters.system import SystemClock, UuidMaker
from tests.contracts.id_maker_contract import IdMakerContract


class TestUuidMaker(IdMakerContract):
    @pytest.fixture
    def ids(self) -> UuidMaker:
        return UuidMaker()

    def test_threads_never_make_the_same_one(self, ids: UuidMaker) -> None:
        with ThreadPoolExecutor(8) as threads:
            batches = threads.map(lambda _: [ids.new() for _ in range(5_000)], range(8))
            made = [one for batch in batches for one in batch]

        assert len(set(made)) == len(made)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    # The child does nothing but make identifiers and write them.
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_forked_processes_never_make_the_same_one(self, ids: UuidMaker) -> None:
        ids.new()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, b"".join(ids.new().bytes for _ in range(200)))
            os._exit(0)
        os.close(writer)
        ours = {ids.new() for _ in range(200)}
        with os.fdopen(reader, "rb") as pipe:
            theirs = {UUID(bytes=raw) for (raw,) in struct.iter_unpack("16s", pipe.read())}
        os.waitpid(child, 0)

        assert len(theirs) == 200
        assert not ours & theirs

    def test_an_identifier_tells_when_it_was_made(self, ids: UuidMaker) -> None:
        made_at = datetime.fromtimestamp((ids.new().int >> 80) / 1000, UTC)

        assert abs(SystemClock().now() - made_at) < timedelta(seconds=5)


def test_the_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
