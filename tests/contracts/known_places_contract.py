"""What every ``KnownPlaces`` keeps."""

from collections.abc import Awaitable, Callable

from application.ports.known_places import KnownPlaces

ASHA, RAVI = "asha@example.org", "ravi@example.org"
HERE, THERE = "203.0.113.5", "2001:db8:1:2::/64"


class KnownPlacesContract:
    """Subclasses provide ``places``, and ``forget_by_age``, which lets 30 days pass."""

    async def test_a_place_is_known_to_the_account_that_was_signed_in_to_there(
        self, places: KnownPlaces
    ) -> None:
        assert not await places.knows(ASHA, HERE)
        await places.note(ASHA, HERE)
        await places.note(ASHA, HERE)
        assert await places.knows(ASHA, HERE)
        assert not await places.knows(ASHA, THERE)
        assert not await places.knows(RAVI, HERE)

    async def test_any_text_may_be_a_name(self, places: KnownPlaces) -> None:
        await places.note("\ud800 \x00", THERE)
        assert await places.knows("\ud800 \x00", THERE)

    async def test_it_is_forgotten_in_time(
        self, places: KnownPlaces, forget_by_age: Callable[[], Awaitable[None]]
    ) -> None:
        await places.note(ASHA, HERE)
        await forget_by_age()
        assert not await places.knows(ASHA, HERE)
