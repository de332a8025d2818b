"""Tells from the values of a status how a record moves from one state to the next.

The values stand in the order in which a record meets them. Some are endings by their
meaning, such as ``cancelled``: they are reached from anywhere and nothing follows them.
The others form the way, from the first to the last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from adapters.offline.english.words import word_set
from domain.agents.artifacts import Entity, FieldType

MAX_STATES = 10


@dataclass(frozen=True, slots=True)
class StateMachine:
    """The states of ``field``, in order, each with those that may follow it."""

    field: str
    initial: str
    moves: Mapping[str, tuple[str, ...]]


def workflow_of(entity: Entity) -> StateMachine | None:
    """The workflow of ``entity``; None when its status is a label that changes freely."""
    field = next(
        (
            field
            for field in entity.fields
            if field.type is FieldType.CHOICE
            and (field.name in ("status", "stage") or field.name.endswith("_status"))
        ),
        None,
    )
    if field is None or not 2 <= len(set(field.choices)) <= MAX_STATES:
        return None
    states = tuple(dict.fromkeys(field.choices))
    if states[0].lower() not in _BEGINNINGS:
        return None
    way = [state for state in states if state == states[0] or state.lower() not in _EXITS]
    exits = tuple(state for state in states if state not in way)
    moves: dict[str, tuple[str, ...]] = {}
    for state in states:
        if state not in way or (state == way[-1] and len(states) > 1 and len(way) > 1):
            moves[state] = ()
            continue
        following = way[way.index(state) + 1 : way.index(state) + 2]
        moves[state] = (*following, *exits)
    return StateMachine(field.name, states[0], MappingProxyType(moves))


def way_to(machine: StateMachine, state: str) -> tuple[str, ...]:
    """The moves that lead from the initial state to ``state``."""
    ways: dict[str, tuple[str, ...]] = {machine.initial: ()}
    frontier = [machine.initial]
    while frontier:
        current = frontier.pop(0)
        for following in machine.moves[current]:
            if following not in ways:
                ways[following] = (*ways[current], following)
                frontier.append(following)
    return ways[state]


def stamps_of(machine: StateMachine, days: Sequence[str]) -> Mapping[str, str]:
    """For each state the day field that it fills: ``returned`` fills ``returned_on``."""
    return {
        state: f"{'_'.join(state.lower().split())}_on"
        for state in machine.moves
        if state != machine.initial and f"{'_'.join(state.lower().split())}_on" in days
    }


def is_done(state: str, machine: StateMachine) -> bool:
    """Whether nothing more is to be done for a record in ``state``."""
    return not machine.moves[state] or state.lower() in _DONE


def releases(machine: StateMachine) -> tuple[str, ...]:
    """The states in which a record no longer holds what it had taken."""
    return tuple(state for state in machine.moves if state.lower() in _RELEASING)


_BEGINNINGS = word_set(
    """
    requested pending open issued submitted placed scheduled draft new planned applied registered
    booked due unpaid reported received ordered assigned active admitted created proposed reserved
    started invited sent prepared available
    """
)
_EXITS = word_set(
    """
    cancelled canceled rejected declined lost waived withdrawn abandoned failed discarded
    defaulted expired missed closed_unresolved refused
    """
)
_RELEASING = _EXITS | word_set(
    """
    returned completed vacated discharged closed done played delivered_back checked+out
    """
)
_DONE = _EXITS | word_set(
    """
    returned completed closed done paid delivered resolved fulfilled repaid reached played
    published reported issued_final
    """
)
