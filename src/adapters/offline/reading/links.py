"""References between entities: those the lexicon knows, without ones that say nothing new."""

from collections.abc import Iterable, Sequence

from adapters.offline.lexicon import EntityKind
from adapters.offline.reading.model import Candidate, Link

_WILDCARDS = {"@person": EntityKind.PERSON, "@thing": EntityKind.THING}


def with_known_links(
    told: Iterable[Link], chosen: Sequence[Candidate], joined: frozenset[str]
) -> tuple[Link, ...]:
    """The links that were told, and those that the lexicon knows, among ``chosen``.

    ``joined`` are records of which the idea itself says what they join, so that no other
    person or thing is guessed for them.
    """
    names = {candidate.name for candidate in chosen}
    links = {(k.source, k.target): k for k in told if {k.source, k.target} <= names}
    for candidate in chosen:
        for link in _known_links(candidate, chosen, tuple(links), candidate.name in joined):
            reverse = (link.target, link.source) in links
            if not reverse:
                links.setdefault((link.source, link.target), link)
    return _acyclic(_direct(tuple(links.values())))


def _known_links(
    source: Candidate, chosen: Sequence[Candidate], links: Sequence[tuple[str, str]], joined: bool
) -> list[Link]:
    found: list[Link] = []
    for reference in source.known.references if source.known else ():
        linked = [target for s, target in links if s == source.name]
        linked += [link.target for link in found]
        target = _target(source, reference.alternatives, chosen, linked, joined)
        if target is not None:
            found.append(Link(source.name, target.name, reference.required))
    return found


def _target(
    source: Candidate,
    alternatives: Sequence[str],
    chosen: Sequence[Candidate],
    linked: Sequence[str],
    joined: bool,
) -> Candidate | None:
    present = {candidate.name.lower(): candidate for candidate in chosen}
    for name in alternatives:
        wanted = _WILDCARDS.get(name)
        if wanted is None:
            if name in present and present[name] is not source:
                return present[name]
            continue
        if joined or any(c.kind is wanted for c in chosen if c.name in linked):
            return None
        fitting = [
            c for c in chosen if c.kind is wanted and c is not source and c.name != "Category"
        ]
        if fitting:
            return max(fitting, key=lambda candidate: candidate.score)
    return None


def _direct(links: Sequence[Link]) -> list[Link]:
    """The links, without an optional one between two that a record joins anyway."""
    joins: dict[str, set[str]] = {}
    for link in links:
        joins.setdefault(link.source, set()).add(link.target)
    return [
        link
        for link in links
        if link.required
        or not any(
            {link.source, link.target} <= targets
            for source, targets in joins.items()
            if source not in (link.source, link.target)
        )
    ]


def _acyclic(links: Iterable[Link]) -> tuple[Link, ...]:
    """The links, with ``required`` dropped where it would make a record need itself."""
    needs: dict[str, set[str]] = {}
    found: list[Link] = []
    for link in links:
        if link.required and _reaches(needs, link.target, link.source):
            found.append(Link(link.source, link.target, required=False))
            continue
        if link.required:
            needs.setdefault(link.source, set()).add(link.target)
        found.append(link)
    return tuple(found)


def _reaches(needs: dict[str, set[str]], start: str, goal: str) -> bool:
    frontier, seen = [start], {start}
    while frontier:
        current = frontier.pop()
        if current == goal:
            return True
        new = needs.get(current, set()) - seen
        seen |= new
        frontier.extend(sorted(new))
    return False
