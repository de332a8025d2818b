"""A whole platform in memory: real use cases over fake adapters, and a small script."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from application.billing.price_book import PriceBook
from application.ports.claims import RunClaims
from application.ports.persistence import UnitOfWork
from application.ports.provider_gate import ProviderGate
from application.ports.sandbox import SandboxOutcome, SandboxResult
from application.projects.create_project import CreateProject, NewProject
from application.projects.execute_project import ExecuteProject, Execution
from application.runs.artifact_store import ArtifactStore
from application.runs.cancel_run import CancelRun
from application.runs.circuit_policy import PROVIDER_CIRCUIT, Pace
from application.runs.dispatch_runs import DispatchRuns
from application.runs.execute_run import ExecuteRun
from application.runs.harness import MARK
from application.runs.local_gate import LocalProviderGate
from application.runs.mending_budget import MendingBudget
from application.runs.publishing import Publisher
from application.runs.run_graph import RunTools
from domain.agents.artifacts import FileBatch, Mode, WrittenFile
from domain.billing.ledger import Balance
from domain.identity.user import Role
from domain.projects.agent_task import AgentTask
from domain.projects.project import Project
from domain.projects.run import Run
from domain.shared.events import RunEvent
from domain.shared.ids import RunId, UserId
from tests.contracts.samples import make_grant, make_user
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.document_renderer import PlainTextRenderer
from tests.fakes.language_model import ScriptedLanguageModel, answer
from tests.fakes.live import InMemoryLiveUpdates
from tests.fakes.metrics import RecordingRunMetrics
from tests.fakes.object_store import InMemoryObjectStore
from tests.fakes.persistence import InMemoryDatabase, InMemoryRunClaims, InMemoryUnitOfWork
from tests.fakes.prices import FIRST_RATE
from tests.fakes.queue import RecordingJobQueue
from tests.fakes.sandbox import ScriptedSandbox
from tests.unit.agents import samples

GRANT = 100_000
RATE = FIRST_RATE
NO_PACE = Pace()
MENDING = MendingBudget(run_credits=1_000_000, day_credits=1_000_000)
IDEA = "A college library where members borrow books and librarians manage them."


def files_of(paths: Sequence[str]) -> FileBatch:
    """The sample codebase's files."""
    return FileBatch(
        files=tuple(
            WrittenFile(path=file.path, content=file.content)
            for file in samples.codebase().files
            if file.path in paths
        )
    )


def model(**script: object) -> ScriptedLanguageModel:
    """A model that answers the developer pipeline; keywords replace a part of it."""
    usual: dict[str, object] = {
        "idea": answer(samples.brief()),
        "srs": answer(samples.requirements()),
        "prd": answer(samples.product()),
        "code_plan": answer(samples.plan()),
        "code_files": lambda request: answer(files_of(request.inputs["files"])),
        "repair": answer(FileBatch(files=())),
    }
    return ScriptedLanguageModel(**(usual | script))  # type: ignore[arg-type]  # checked by use


def exited(code: int = 0, stdout: str = "", stderr: str = "") -> SandboxResult:
    """A command that ended by itself."""
    return SandboxResult(SandboxOutcome.EXITED, code, stdout, stderr, 20, 1_000_000)


def unittest_run(*names: str, failed: Mapping[str, str] | None = None) -> SandboxResult:
    """The test stage: passed tests by name, failed ones with their detail."""
    failures = dict(failed or {})
    cases = [
        {
            "id": f"tests.test_app.LibraryTest.{name}",
            "passed": name not in failures,
            "skipped": False,
            "duration_ms": 1,
            "detail": failures.get(name, ""),
        }
        for name in (*names, *failures)
    ]
    return exited(1 if failures else 0, MARK + json.dumps({"cases": cases}))


def sandbox(*tests: SandboxResult) -> ScriptedSandbox:
    """A sandbox in which everything builds and starts; ``tests`` are the test stage's runs."""
    fake = ScriptedSandbox()
    fake.on(("python3", "-m", "compileall"), exited())
    fake.on(("python3", ".bharatbuild/start.py"), exited(0, MARK + '{"status": 200}'))
    fake.on(
        ("python3", ".bharatbuild/test.py"), *(tests or (unittest_run("test_borrow", "test_add"),))
    )
    return fake


@dataclass
class World:
    """Everything a test may look at or break."""

    clock: MovableClock
    database: InMemoryDatabase
    uow: UnitOfWork
    claims: RunClaims
    store: InMemoryObjectStore
    queue: RecordingJobQueue
    live: InMemoryLiveUpdates
    model: ScriptedLanguageModel
    sandbox: ScriptedSandbox
    ids: CountingIds
    user_id: UserId
    gate: ProviderGate
    metrics: RecordingRunMetrics
    rules: ScriptedLanguageModel
    mending: MendingBudget = MENDING

    def worker(self, *, lease: float = 30.0, heartbeat: float = 0.01) -> ExecuteRun:
        """Another worker on the same platform."""
        artifacts = ArtifactStore(self.store)
        tools = RunTools(
            self.uow,
            artifacts,
            Publisher(artifacts, PlainTextRenderer(), self.clock, self.ids),
            self.model,
            self.sandbox,
            self.live,
            self.clock,
            self.ids,
            PriceBook(self.uow, self.clock),
            self.gate,
            self.mending,
            self.rules,
        )
        return ExecuteRun(self.claims, tools, self.metrics, lease, heartbeat)

    @property
    def dispatcher(self) -> DispatchRuns:
        return DispatchRuns(self.claims, self.queue)

    @property
    def cancel(self) -> CancelRun:
        return CancelRun(self.uow, self.live, self.clock, self.queue)

    async def project(self, idea: str = IDEA) -> Project:
        create = CreateProject(self.uow, self.clock, self.ids)
        return await create(NewProject(user_id=self.user_id, idea=idea, mode=Mode.DEVELOPER))

    async def execute(
        self, project: Project, *, reuse: bool = True, cap_credits: int | None = None
    ) -> Run:
        accept = ExecuteProject(self.uow, self.queue, self.clock, self.ids)
        return await accept(
            Execution(
                user_id=self.user_id,
                project_id=project.id,
                reuse=reuse,
                cap_credits=cap_credits,
            )
        )

    async def accepted(self, *, cap_credits: int | None = None) -> Run:
        """A run that waits for a worker."""
        return await self.execute(await self.project(), cap_credits=cap_credits)

    async def run(self, run_id: RunId) -> Run:
        async with self.uow.begin(self.user_id) as tx:
            found = await tx.runs.get(run_id)
        assert found is not None
        return found

    async def tasks(self, run_id: RunId) -> dict[str, AgentTask]:
        async with self.uow.begin(self.user_id) as tx:
            return {task.step: task for task in await tx.tasks.of_run(run_id)}

    async def events(self, run_id: RunId) -> Sequence[RunEvent]:
        async with self.uow.begin(self.user_id) as tx:
            return await tx.runs.events(run_id, 0, 1_000)

    async def balance(self) -> Balance:
        async with self.uow.begin(self.user_id) as tx:
            return await tx.ledger.balance(self.user_id)


async def open_world(
    *,
    language_model: ScriptedLanguageModel | None = None,
    box: ScriptedSandbox | None = None,
    credits: int = GRANT,
    runs_per_user: int = 0,
    pace: Pace = NO_PACE,
    clock: MovableClock | None = None,
    role: Role = Role.MEMBER,
) -> World:
    """A platform with one person who has credits."""
    clock = clock or MovableClock()
    database = InMemoryDatabase(clock)
    uow = InMemoryUnitOfWork(database)
    user = make_user(role=role)
    async with uow.begin(user.id) as tx:
        await tx.users.add(user)
        await tx.ledger.open(user.id)
        if credits:
            await tx.ledger.grant(make_grant(user.id, credits))
    return World(
        clock=clock,
        database=database,
        uow=uow,
        claims=InMemoryRunClaims(database, runs_per_user=runs_per_user),
        store=InMemoryObjectStore(),
        queue=RecordingJobQueue(),
        live=InMemoryLiveUpdates(),
        model=language_model or model(),
        sandbox=box or sandbox(),
        ids=CountingIds(),
        user_id=user.id,
        gate=LocalProviderGate(PROVIDER_CIRCUIT, pace, lambda: clock.now().timestamp()),
        metrics=RecordingRunMetrics(),
        rules=model(),
    )
