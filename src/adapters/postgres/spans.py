"""Days in queries."""

from typing import Any

from sqlalchemy import ColumnElement

from domain.billing.days import Days


def within(moment: ColumnElement[Any], days: Days) -> list[ColumnElement[bool]]:
    """The conditions that a column's moment falls into these days; an index can serve them."""
    conditions: list[ColumnElement[bool]] = []
    if days.begins is not None:
        conditions.append(moment >= days.begins)
    if days.ends is not None:
        conditions.append(moment < days.ends)
    return conditions
