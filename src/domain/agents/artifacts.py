"""The typed values agents make. Documents and code are renderings of these.

Every artifact is a frozen dataclass of plain values, tuples and enums, so that a JSON
Schema can be made from it and its canonical JSON can be hashed. Identifiers inside an
artifact (``FR-1``, ``UC-2``, ``F-3``) are what traceability resolves.
"""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """Which pipeline a project runs."""

    STUDENT = "student"
    DEVELOPER = "developer"
    FOUNDER = "founder"


class Priority(StrEnum):
    """MoSCoW without the won't: what is out of scope is listed, not prioritised."""

    MUST = "must"
    SHOULD = "should"
    COULD = "could"


class FieldType(StrEnum):
    """What a field of an entity holds."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    EMAIL = "email"
    CHOICE = "choice"


class Cardinality(StrEnum):
    """How many of the source belong to how many of the target."""

    MANY_TO_ONE = "many_to_one"
    MANY_TO_MANY = "many_to_many"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """What the person wrote: the input of the first agent."""

    title: str
    idea: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody, or some system, that uses what is built. ``name`` is singular."""

    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityField:
    """One fact kept about an entity. ``name`` is snake_case; ``choices`` only for CHOICE."""

    name: str
    type: FieldType
    required: bool
    description: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A thing the system keeps. ``name`` is singular Title Case, e.g. ``Lab Test``."""

    name: str
    plural: str
    description: str
    fields: tuple[EntityField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """``source`` refers to ``target``, both names of entities, under the snake_case ``name``."""

    source: str
    target: str
    name: str
    cardinality: Cardinality
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something an actor does to an entity, in the idea's own verb."""

    actor: str
    verb: str
    entity: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdeaBrief:
    """The idea made plain: who, what, why, and what is left out."""

    title: str
    summary: str
    problem: str
    actors: tuple[Actor, ...]
    goals: tuple[str, ...]
    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]
    actions: tuple[Action, ...]
    assumptions: tuple[str, ...]
    out_of_scope: tuple[str, ...]
    open_questions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """One observable check: given a state, when something happens, then a result."""

    given: str
    when: str
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A functional requirement: one ``shall``, one meaning (ISO/IEC/IEEE 29148 §5.2.5)."""

    id: str
    title: str
    statement: str
    priority: Priority
    rationale: str
    acceptance: tuple[Acceptance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRequirement:
    """A quality with its measure: ``category`` from ISO/IEC 25010, ``measure`` with a number."""

    id: str
    category: str
    statement: str
    measure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """One goal of one actor, as numbered steps, over the requirements it exercises."""

    id: str
    title: str
    actor: str
    requirement_ids: tuple[str, ...]
    preconditions: tuple[str, ...]
    main_flow: tuple[str, ...]
    alternate_flows: tuple[str, ...]
    postconditions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word of the glossary and its meaning here."""

    term: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """The software requirements: what the system shall do, and how well."""

    title: str
    purpose: str
    scope: str
    functional: tuple[Requirement, ...]
    quality: tuple[QualityRequirement, ...]
    use_cases: tuple[UseCase, ...]
    interfaces: tuple[str, ...]
    constraints: tuple[str, ...]
    glossary: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A reader's picture of one kind of user: needs and pains, no invented biography."""

    name: str
    role: str
    needs: tuple[str, ...]
    pains: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something worth shipping, told as a story and bounded by what makes it done."""

    id: str
    name: str
    story: str
    priority: Priority
    done_when: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessMetric:
    """A number that tells whether it worked, and how it is counted."""

    name: str
    target: str
    measured_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A slice that can be shipped: features by id."""

    name: str
    feature_ids: tuple[str, ...]
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What may go wrong, and what is done about it."""

    description: str
    mitigation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSpec:
    """The product requirements: for whom, why, what first, and how success is seen."""

    title: str
    vision: str
    problem: str
    personas: tuple[Persona, ...]
    features: tuple[Feature, ...]
    metrics: tuple[SuccessMetric, ...]
    releases: tuple[Release, ...]
    risks: tuple[Risk, ...]


class Language(StrEnum):
    """What generated code is written in: what the sandbox has a toolchain for."""

    PYTHON = "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file before it is written: why it exists, what it answers, what it defines."""

    path: str
    purpose: str
    requirement_ids: tuple[str, ...]
    symbols: tuple[str, ...]
    is_test: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePlan:
    """The codebase before it is written.

    ``start`` and ``test`` are argument vectors that begin with ``python3``. The started
    program listens on ``127.0.0.1`` at the port in the environment variable ``PORT`` and
    keeps its data below ``DATA_DIR``; ``probe_path`` answers 200 once it is up.
    """

    title: str
    language: Language
    architecture: str
    files: tuple[PlannedFile, ...]
    start: tuple[str, ...]
    test: tuple[str, ...]
    probe_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """The whole text of one planned file."""

    path: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBatch:
    """Files written, or written again, in one reply."""

    files: tuple[WrittenFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of the codebase with what it answers and defines."""

    path: str
    content: str
    purpose: str
    requirement_ids: tuple[str, ...]
    symbols: tuple[str, ...]
    is_test: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Codebase:
    """A complete program: every file whole, and the commands that start and test it."""

    title: str
    language: Language
    architecture: str
    files: tuple[SourceFile, ...]
    start: tuple[str, ...]
    test: tuple[str, ...]
    probe_path: str


class VerificationStatus(StrEnum):
    """What the recorded runs say, and nothing kinder."""

    VERIFIED = "verified"
    FAILED = "failed"
    NOT_VERIFIED = "not_verified"


class CheckName(StrEnum):
    """The stages of a verification, in order."""

    BUILD = "build"
    START = "start"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One executed test. ``id`` is ``module.Class.method``; ``detail`` is its failure."""

    __test__ = False

    id: str
    passed: bool
    skipped: bool
    duration_ms: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """One stage as it ran: the command, how it ended, and the end of what it printed."""

    name: CheckName
    command: tuple[str, ...]
    outcome: str
    exit_code: int | None
    passed: bool
    duration_ms: int
    output: str
    tests: tuple[TestCase, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairAttempt:
    """One round of the repair loop: what failed, and which files were written again."""

    number: int
    signature: str
    failed_check: CheckName
    changed_paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """One requirement's way: files, symbols, tests, and how those tests last ended."""

    requirement_id: str
    title: str
    priority: Priority
    use_case_ids: tuple[str, ...]
    files: tuple[str, ...]
    symbols: tuple[str, ...]
    tests: tuple[str, ...]
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What happened when the codebase was built, started and tested in the sandbox.

    ``repairs`` are the files the repair loop wrote again: the delivered codebase is the
    one that was made, with these laid over it.
    """

    status: VerificationStatus
    summary: str
    isolation: str
    checks: tuple[CheckRun, ...]
    attempts: tuple[RepairAttempt, ...]
    repairs: tuple[WrittenFile, ...]
    matrix: tuple[TraceRow, ...]


Artifact = IdeaBrief | Requirements | ProductSpec | Codebase | Verification
"""What a step of a pipeline can make and a later step can read."""

Reply = IdeaBrief | Requirements | ProductSpec | CodePlan | FileBatch
"""What a language model can be asked for."""
