"""The simulated gateway's documents, in memory."""

from adapters.simulated_gateway import SimulatedGateway


class InMemoryGatewayStore:
    """Documents by name, for one process."""

    def __init__(self) -> None:
        self._documents: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes:
        return self._documents.get(name, b"")

    async def swap(self, name: str, before: bytes, after: bytes) -> bool:
        if self._documents.get(name, b"") != before:
            return False
        self._documents[name] = after
        return True


def simulated_gateway() -> SimulatedGateway:
    """A simulated gateway with a store of its own."""
    return SimulatedGateway(InMemoryGatewayStore(), b"a secret of tests")
