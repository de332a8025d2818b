"""The database as its superuser, whom no service knows: for tests of damage and of time."""

from entrypoints.local_stack import LocalStack
from entrypoints.local_stack.postgres import PostgresServer


def superuser_url(stack: LocalStack) -> str:
    """Where the superuser of a running stack reaches our database."""
    server = next(each for each in stack.servers if isinstance(each, PostgresServer))
    return server.superuser_dsn.removesuffix("postgres") + "bharatbuild"
