"""What somebody's plan allows is held where it is used."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.ports.object_store import ObjectNotFound
from application.projects.execute_project import ExecuteProject, Execution
from application.projects.read_archive import ReadArchive
from application.projects.read_documents import DownloadDocument, export_of
from application.subscriptions.plans import ListPlans, NewPlanVersion, WritePlanVersion
from domain.agents.artifacts import Mode
from domain.agents.pipelines import DocumentType
from domain.billing.plans import PlanForbidsExport, PlanForbidsMode, checked
from domain.identity.user import User
from domain.projects.document import Document
from domain.shared.errors import InvalidValue
from domain.shared.ids import SubscriptionId
from tests.contracts.samples import (
    ORIGIN,
    keep_project,
    keep_run,
    keep_user,
    make_document,
    make_project,
    make_run,
    new_id,
)
from tests.contracts.subscriptions_contract import plan_of
from tests.fakes.clock import CountingIds, MovableClock
from tests.fakes.object_store import InMemoryObjectStore
from tests.fakes.persistence import InMemoryDatabase, InMemoryUnitOfWork
from tests.fakes.queue import RecordingJobQueue


class House:
    def __init__(self) -> None:
        self.clock = MovableClock()
        self.uow = InMemoryUnitOfWork(InMemoryDatabase(self.clock))
        self.store = InMemoryObjectStore()

    async def give(self, user: User, code: str) -> None:
        plan, now = await plan_of(self.uow, code), self.clock.now()
        async with self.uow.begin(user.id) as tx:
            await tx.entitlements.put(
                SubscriptionId(new_id()), plan.id, now + timedelta(days=1), now
            )

    async def document(self, user: User, **changes: object) -> Document:
        run = await keep_run(self.uow, await keep_project(self.uow, user))
        document = make_document(run, **changes)
        async with self.uow.begin(user.id) as tx:
            await tx.documents.add([document])
        return document


@pytest.fixture
def house() -> House:
    return House()


async def test_a_mode_that_the_plan_does_not_include_is_not_executed(house: House) -> None:
    user = await keep_user(house.uow)
    project = await keep_project(house.uow, user, mode=Mode.FOUNDER)
    execute = ExecuteProject(house.uow, RecordingJobQueue(), house.clock, CountingIds())
    with pytest.raises(PlanForbidsMode, match="GET /api/v1/plans") as refused:
        await execute(Execution(user_id=user.id, project_id=project.id))
    assert refused.value.params == {"plan": "free", "mode": "founder"}
    async with house.uow.begin(user.id) as tx:
        assert await tx.runs.live(project.id) is None
    await house.give(user, "pro")
    with pytest.raises(InvalidValue, match="not offered"):  # by the plan, but by no pipeline yet
        await execute(Execution(user_id=user.id, project_id=project.id))


async def test_a_format_that_the_plan_does_not_include_is_not_downloaded(house: House) -> None:
    user = await keep_user(house.uow)
    slides = await house.document(user, format="pptx")
    download = DownloadDocument(house.uow, house.store, house.clock)
    with pytest.raises(PlanForbidsExport, match="docx, md, zip"):
        await download(user.id, slides.id)
    await house.give(user, "student")
    with pytest.raises(ObjectNotFound):  # allowed, as far as the store
        await download(user.id, slides.id)


async def test_an_archive_has_the_plans_formats_alone(house: House) -> None:
    user = await keep_user(house.uow)
    text = await house.document(user, format="md")
    async with house.uow.begin(user.id) as tx:
        await tx.documents.add([make_document_of(text, "pptx")])
    read = ReadArchive(house.uow, house.store, house.clock)
    _, members = await read(user.id, text.project_id)
    assert [member.path for member in members] == ["documents/idea-brief.md"]
    await house.give(user, "student")
    _, members = await read(user.id, text.project_id)
    assert len(members) == 2


def make_document_of(document: Document, format_: str) -> Document:
    return replace(
        document,
        id=type(document.id)(int=document.id.int + 1),
        format=format_,
        filename=f"idea-brief.{format_}",
    )


async def test_a_new_version_is_sold_and_who_bought_the_old_one_keeps_it(house: House) -> None:
    admin, user = await keep_user(house.uow), await keep_user(house.uow)
    await house.give(user, "pro")
    before = await plan_of(house.uow)
    command = NewPlanVersion(
        origin=ORIGIN,
        by=admin.id,
        code="pro",
        name="Pro",
        description="",
        price_paise=199_900,
        credits=1,
        concurrent_runs=1,
        modes=frozenset({Mode.DEVELOPER}),
        exports=frozenset({"md"}),
        retention_days=None,
        per_seat=False,
        min_seats=1,
        max_seats=1,
        trial_days=0,
        trial_credits=0,
        on_sale=True,
    )
    written = await WritePlanVersion(house.uow, house.clock, CountingIds(10_000))(command)
    assert written.version == before.version + 1
    assert written in await ListPlans(house.uow)()
    async with house.uow.begin(user.id) as tx:
        assert await tx.entitlements.effective(house.clock.now()) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", "Pro Plan"),
        ("name", " "),
        ("price_paise", 0),
        ("credits", -1),
        ("concurrent_runs", 0),
        ("modes", frozenset()),
        ("exports", frozenset({"exe"})),
        ("retention_days", 0),
        ("max_seats", 2),
        ("trial_days", 61),
    ],
)
async def test_a_version_out_of_bounds_names_its_field(
    house: House, field: str, value: object
) -> None:
    good = await plan_of(house.uow)
    assert checked(good) == good
    with pytest.raises(InvalidValue) as refused:
        checked(replace(good, **{field: value}))  # type: ignore[arg-type]
    assert refused.value.field == field


def test_a_codebase_is_downloaded_as_an_archive() -> None:
    run = make_run(make_project(new_id()))  # type: ignore[arg-type]
    assert export_of(make_document(run, type=DocumentType.CODEBASE, format="json")) == "zip"
    assert export_of(make_document(run)) == "md"
