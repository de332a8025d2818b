"""Rows as CSV, streamed in batches."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final, TypeVar

R = TypeVar("R")

CSV: Final = "text/csv; charset=utf-8"


async def csv_of(
    columns: Sequence[str],
    batches: AsyncIterator[Sequence[R]],
    cells: Callable[[R], Iterable[object]],
) -> AsyncIterator[bytes]:
    """RFC 4180, with a head; nothing but one batch is kept in memory.

    What people wrote must not be a cell as it is: a spreadsheet may take it for a formula.
    """
    yield _rows([columns])
    async for batch in batches:
        yield _rows(map(cells, batch))


def _rows(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
