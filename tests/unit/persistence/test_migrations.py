"""The migrations, without a database."""

from adapters.postgres.migrate import latest_revision


def test_they_are_one_line_with_one_end() -> None:
    assert latest_revision()
