"""Files as attachments: never shown in place, under a name any system can keep."""

import re
import unicodedata
from urllib.parse import quote


def attachment(filename: str) -> dict[str, str]:
    """Headers that make a browser save the answer under ``filename`` (RFC 6266)."""
    stem, _, ending = filename.rpartition(".")
    plain = f"{slug(stem)}.{re.sub('[^A-Za-z0-9]', '', ending)[:10] or 'bin'}"
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''"
        + quote(filename, safe=""),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }


def slug(title: str, limit: int = 60) -> str:
    """A title as a plain ASCII name, ``project`` when nothing is left of it."""
    ascii_ = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_).strip("-")
    return words[:limit].strip("-") or "project"
