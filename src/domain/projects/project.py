"""A project: an idea with a mode, an owner, a status and a progress."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.agents.artifacts import Idea, Mode
from domain.shared.errors import Conflict, InvalidValue
from domain.shared.ids import ProjectId, UserId

MAX_TITLE_LENGTH = 200
MIN_IDEA_LENGTH = 10
MAX_IDEA_LENGTH = 20_000
"""Characters. About six pages: room for a pasted brief, bounded for the first prompt."""


class ProjectStatus(StrEnum):
    """Where the project stands; follows its latest run."""

    DRAFT = "draft"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ProjectBusy(Conflict):
    """The project has a live run, and this must wait for its end."""

    code = "project_busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """An idea and what became of it. ``progress`` is 0 to 100."""

    id: ProjectId
    user_id: UserId
    title: str
    idea: str
    mode: Mode
    status: ProjectStatus
    progress: int
    created_at: datetime
    updated_at: datetime

    @property
    def as_input(self) -> Idea:
        """What the first agent reads."""
        return Idea(title=self.title, idea=self.idea, mode=self.mode)

    def edited(self, *, title: str | None, idea: str | None, at: datetime) -> "Project":
        """The project with another title or idea.

        Raises:
            InvalidValue: a value does not fit.
        """
        return replace(
            self,
            title=self.title if title is None else clean_title(title),
            idea=self.idea if idea is None else clean_idea(idea),
            updated_at=at,
        )


def clean_title(title: str) -> str:
    """One line of printable text.

    Raises:
        InvalidValue: empty or too long.
    """
    cleaned = " ".join("".join(ch if ch.isprintable() else " " for ch in title).split())
    if not cleaned:
        raise InvalidValue("title", "Give a title of at least one character.")
    if len(cleaned) > MAX_TITLE_LENGTH:
        raise InvalidValue("title", f"Use at most {MAX_TITLE_LENGTH} characters.")
    return cleaned


def clean_idea(idea: str) -> str:
    """The idea's text with control characters gone and line breaks kept.

    Raises:
        InvalidValue: too short to make anything of, or too long.
    """
    kept = "".join(ch for ch in idea.replace("\r\n", "\n") if ch.isprintable() or ch in "\n\t")
    cleaned = kept.strip()
    if len(cleaned) < MIN_IDEA_LENGTH:
        raise InvalidValue("idea", f"Describe the idea in at least {MIN_IDEA_LENGTH} characters.")
    if len(cleaned) > MAX_IDEA_LENGTH:
        raise InvalidValue("idea", f"Use at most {MAX_IDEA_LENGTH} characters.")
    return cleaned


def title_from(idea: str, limit: int = 60) -> str:
    """A title for an idea that came without one: its first clause, cut at a word."""
    first = idea.strip().splitlines()[0]
    for mark in (":", ".", ";", "!", "?", " - ", " — "):
        head = first.split(mark, 1)[0].strip()
        if len(head) >= 3:
            first = head
    if len(first) <= limit:
        return first
    return first[:limit].rsplit(" ", 1)[0] or first[:limit]
