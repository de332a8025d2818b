"""Months as a customer counts them: the same day of each, or its last where it has none.

Days are those of India, where everything is sold.
"""

from calendar import monthrange
from datetime import datetime

from domain.billing.days import INDIA


def months_after(anchor: datetime, months: int) -> datetime:
    """The moment so many months after ``anchor``, at its hour, in ``anchor``'s own zone.

    Always counted from the anchor, never from the month before: the 31st becomes the 28th
    in February and the 31st again in March.

    Raises:
        ValueError: ``anchor`` has no zone.
    """
    if anchor.tzinfo is None:
        raise ValueError("a moment without a zone has no day")
    local = anchor.astimezone(INDIA)
    index = local.year * 12 + local.month - 1 + months
    year, month = divmod(index, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone(anchor.tzinfo)
