"""What every ``IdMaker`` keeps."""

from itertools import pairwise
from uuid import RFC_4122, UUID

from application.ports.clock import IdMaker


class IdMakerContract:
    """Subclasses provide ``ids``."""

    def test_identifiers_are_uuids_of_version_7(self, ids: IdMaker) -> None:
        made = ids.new()

        assert type(made) is UUID
        assert (made.version, made.variant) == (7, RFC_4122)

    def test_each_sorts_after_the_one_before(self, ids: IdMaker) -> None:
        # Many in each millisecond; as integers, as text and as bytes the order is the same.
        made = [ids.new() for _ in range(20_000)]

        assert all(one < next_one for one, next_one in pairwise(made))
        assert sorted(map(str, made)) == list(map(str, made))
