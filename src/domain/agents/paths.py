"""The one policy for the paths of generated files.

A path is relative, in Unicode NFC, with ``/`` between its segments, and means the same
file on Linux, macOS and Windows. Files are judged as a batch: a path can only collide with
another one, and one bad path rejects them all, so nothing is ever half written.

Sources: Windows, "Naming Files, Paths, and Namespaces" (reserved characters, device names,
trailing dots and spaces); git's ``verify_path`` (no ``.git`` segment in any spelling).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import ClassVar

from domain.agents.findings import Finding, error
from domain.shared.errors import DomainError

MAX_SEGMENT_BYTES = 100
MAX_PATH_BYTES = 180
"""Leaves room for a root folder under the 260 characters of Windows' ``MAX_PATH``."""
MAX_DEPTH = 12
MAX_FILES = 400
MAX_FILE_BYTES = 512 * 1024
MAX_TOTAL_BYTES = 8 * 1024 * 1024


class UnsafePaths(DomainError):
    """A batch of files was rejected whole. ``findings`` say why, path by path."""

    code: ClassVar[str] = "unsafe_paths"

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        reasons = [f"{finding.subject}: {finding.message}" for finding in findings]
        super().__init__("The files were rejected. " + " ".join(reasons[:5]), reasons=reasons)
        self.findings = findings


def check_paths(files: Iterable[tuple[str, int]]) -> tuple[Finding, ...]:
    """Judge a batch of ``(path, size in bytes)``; empty means that all may be written.

    Pairs, not a mapping, so that a path given twice is seen. Where sizes are not known
    yet, as in a plan, give 0.
    """
    batch = tuple(files)
    return tuple(_findings(batch))


def require_paths(files: Iterable[tuple[str, int]]) -> None:
    """Let a batch pass, or reject it whole.

    Raises:
        UnsafePaths: at least one path or size breaks the policy.
    """
    findings = check_paths(files)
    if findings:
        raise UnsafePaths(findings)


def _findings(batch: tuple[tuple[str, int], ...]) -> Iterator[Finding]:
    if len(batch) > MAX_FILES:
        yield error("too_many_files", "files", f"{len(batch)} files; keep to {MAX_FILES}.")
    total = sum(size for _, size in batch)
    if total > MAX_TOTAL_BYTES:
        yield error("files_too_large", "files", f"{total} bytes; keep to {MAX_TOTAL_BYTES}.")
    for path, size in batch:
        if size > MAX_FILE_BYTES:
            yield error("file_too_large", _shown(path), f"{size} bytes; keep to {MAX_FILE_BYTES}.")
        for reason in _reasons(path):
            yield error("unsafe_path", _shown(path), reason)
    yield from _collisions([path for path, _ in batch])


# Cc and Cs cannot be stored everywhere, Cf hides text or turns its direction, Zl and Zp
# break lines in listings.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_FORBIDDEN = frozenset('\\:*?"<>|')
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9¹²³])")
_GIT = re.compile(r"(?i)(\.git|git~[0-9]+)")


def _reasons(path: str) -> Iterator[str]:
    if not path:
        yield "Give the file a path."
        return
    hidden = sorted(
        {f"U+{ord(c):04X}" for c in path if unicodedata.category(c) in _HIDDEN_CATEGORIES}
    )
    if hidden:
        yield f"Remove the invisible characters {', '.join(hidden)}."
        return
    if not unicodedata.is_normalized("NFC", path):
        yield "Write the path in Unicode NFC."
    if len(path.encode()) > MAX_PATH_BYTES:
        yield f"Shorten the path to {MAX_PATH_BYTES} bytes."
    if path.startswith("/"):
        yield "Make the path relative: no leading slash."
    forbidden = sorted(_FORBIDDEN.intersection(path))
    if forbidden:
        yield f"Remove {' '.join(forbidden)}; separate folders with a slash."
    segments = path.removeprefix("/").split("/")
    if len(segments) > MAX_DEPTH:
        yield f"Nest at most {MAX_DEPTH} deep."
    for segment in segments:
        yield from _segment_reasons(segment)


def _segment_reasons(segment: str) -> Iterator[str]:
    if segment in {"", ".", ".."}:
        yield "Write the path plainly: no empty, '.' or '..' segment."
        return
    if segment != segment.strip() or segment.endswith("."):
        yield f"Remove the space or dot at the edge of {segment!r}."
    if segment.startswith(("-", "~")):
        yield f"Do not begin {segment!r} with '-' or '~': commands read them as something else."
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        yield f"Shorten each segment to {MAX_SEGMENT_BYTES} bytes."
    if _DEVICE.fullmatch(segment.split(".", 1)[0].strip()):
        yield f"Rename {segment!r}: Windows reserves it for a device."
    if _GIT.fullmatch(segment):
        yield f"Rename {segment!r}: it belongs to git."


def _collisions(paths: list[str]) -> Iterator[Finding]:
    spelled: dict[str, str] = {}
    files: set[str] = set()
    for path in paths:
        key = _folded(path)
        if key in files:
            yield error("path_collision", _shown(path), "Another file has this path; rename one.")
        files.add(key)
        for prefix in _prefixes(path):
            known = spelled.setdefault(_folded(prefix), prefix)
            if known != prefix and _folded(prefix) != key:
                yield error(
                    "path_collision",
                    _shown(path),
                    f"Spell the folder one way: {_shown(known)} or {_shown(prefix)}.",
                )
    for path in paths:
        for prefix in _prefixes(path):
            if prefix != path and _folded(prefix) in files:
                yield error(
                    "path_collision",
                    _shown(path),
                    f"{_shown(prefix)} is a file and cannot be a folder too; rename one.",
                )


def _prefixes(path: str) -> Iterator[str]:
    segments = path.split("/")
    for end in range(1, len(segments) + 1):
        yield "/".join(segments[:end])


def _folded(path: str) -> str:
    # Case-insensitive file systems compare normalised, case-folded names.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _shown(path: str) -> str:
    # A path that was just refused is not repeated raw into messages, logs and documents.
    text = path if path.isprintable() else ascii(path)
    return text if len(text) <= 120 else f"{text[:117]}..."
