"""A zip archive whose bytes depend on its content alone."""

import zipfile
from datetime import date
from io import BytesIO

_EARLIEST_YEAR = 1980
"""Before this year a zip entry cannot be dated."""


def normalised_archive(data: bytes, made_on: date) -> bytes:
    """The same entries in the same order, dated ``made_on`` at midnight.

    Raises:
        zipfile.BadZipFile: ``data`` is no zip archive.
    """
    year = max(made_on.year, _EARLIEST_YEAR)
    moment = (year, made_on.month, made_on.day, 0, 0, 0)
    buffer = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as source, zipfile.ZipFile(buffer, "w") as target:
        for old in source.infolist():
            entry = zipfile.ZipInfo(old.filename, moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # The default differs between systems.
            entry.create_system = 0
            target.writestr(entry, source.read(old), compresslevel=6)
    return buffer.getvalue()
