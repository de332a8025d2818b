"""Which day a moment belongs to, where money is concerned."""

from datetime import UTC, date, datetime, time, timedelta, timezone

INDIA = timezone(timedelta(hours=5, minutes=30), "IST")
"""Indian Standard Time: one offset since 1945 and no summer time, so a moment and its day belong
together without a table of zones. Days of usage, of invoices and of subscriptions are India's:
tax periods and our customers' books are."""


def day_of(moment: datetime) -> date:
    """The day in India that an aware moment falls on."""
    return moment.astimezone(INDIA).date()


def beginning_of(day: date) -> datetime:
    """The first moment of a day in India, in UTC."""
    return datetime.combine(day, time(), INDIA).astimezone(UTC)
