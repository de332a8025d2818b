"""What every ``DocumentRepository`` keeps."""

from dataclasses import replace

import pytest

from application.ports.persistence import UnitOfWork
from domain.agents.pipelines import DocumentType
from domain.projects.document import Document
from domain.projects.run import Run
from domain.shared.ids import DocumentId
from tests.contracts.samples import (
    ids,
    intrude,
    keep_project,
    keep_run,
    keep_user,
    make_document,
    new_id,
)

BRIEF, SRS = DocumentType.IDEA_BRIEF, DocumentType.SRS


async def publish(uow: UnitOfWork, *documents: Document) -> None:
    """Keep documents of one person."""
    async with uow.begin(documents[0].user_id) as tx:
        await tx.documents.add(documents)


async def latest(uow: UnitOfWork, run: Run, type_: DocumentType | None = None) -> set[DocumentId]:
    """The newest documents of the run's project."""
    async with uow.begin(run.user_id) as tx:
        found = await tx.documents.latest(run.project_id, type_=type_)
    assert len(found) == len(set(ids(found)))
    return {document.id for document in found}


class DocumentsContract:
    async def test_a_document_comes_back_as_kept(self, uow: UnitOfWork) -> None:
        document = make_document(await keep_run(uow), title="सार", size=5_000_000_000)
        await publish(uow, document)
        async with uow.begin(document.user_id) as tx:
            assert await tx.documents.get(document.id) == document

    async def test_an_unknown_document_is_none(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            assert await tx.documents.get(DocumentId(new_id())) is None

    async def test_no_documents_may_be_added(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        async with uow.begin(run.user_id) as tx:
            await tx.documents.add([])
        assert await latest(uow, run) == set()

    async def test_the_latest_have_one_of_each_type_and_format(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        documents = [
            make_document(run, type=type_, format=format_)
            for type_ in (BRIEF, SRS)
            for format_ in ("md", "docx")
        ]
        await publish(uow, *documents)
        assert await latest(uow, run) == set(ids(documents))

    async def test_the_latest_is_the_highest_version_in_whatever_order_they_came(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        documents = {version: make_document(run, version=version) for version in (9, 10, 2)}
        await publish(uow, *documents.values())
        assert await latest(uow, run) == {documents[10].id}

    async def test_a_format_not_made_anew_stays_at_its_version(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        old = make_document(run, format="md", version=1)
        word = make_document(run, format="docx", version=1)
        new = make_document(run, format="md", version=2)
        await publish(uow, old, word, new)
        assert await latest(uow, run) == {word.id, new.id}

    async def test_the_latest_of_one_type_have_no_other(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        brief, srs = make_document(run, type=BRIEF), make_document(run, type=SRS)
        await publish(uow, brief, srs)
        assert await latest(uow, run, SRS) == {srs.id}

    async def test_the_latest_of_one_project_are_not_anothers(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        one, two = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(2)]
        await publish(uow, make_document(one))
        assert await latest(uow, two) == set()

    async def test_what_a_step_published_is_found_by_it(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        mine = [make_document(run, step="srs", type=SRS, format=format_) for format_ in ("a", "b")]
        await publish(uow, *mine, make_document(run, step="idea"))
        async with uow.begin(run.user_id) as tx:
            found = await tx.documents.of_step(run.id, "srs")
        assert sorted(ids(found)) == sorted(ids(mine))

    async def test_what_a_step_published_in_another_run_is_not_found(self, uow: UnitOfWork) -> None:
        owner = await keep_user(uow)
        one, two = [await keep_run(uow, await keep_project(uow, owner)) for _ in range(2)]
        await publish(uow, make_document(one))
        async with uow.begin(owner.id) as tx:
            assert list(await tx.documents.of_step(two.id, "idea")) == []

    async def test_a_version_is_published_once(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        first = make_document(run)
        await publish(uow, first)
        await intrude(uow, run.user_id, lambda tx: tx.documents.add([make_document(run)]))
        assert await latest(uow, run) == {first.id}

    async def test_a_batch_with_one_version_too_many_is_not_kept_in_part(
        self, uow: UnitOfWork
    ) -> None:
        run = await keep_run(uow)
        first = make_document(run)
        batch = [make_document(run, type=SRS), make_document(run)]
        await publish(uow, first)
        await intrude(uow, run.user_id, lambda tx: tx.documents.add(batch))
        assert await latest(uow, run) == {first.id}

    @pytest.mark.parametrize("look", ["get", "of_step"])
    async def test_a_stranger_does_not_find_a_document(self, uow: UnitOfWork, look: str) -> None:
        document = make_document(await keep_run(uow))
        await publish(uow, document)
        stranger = await keep_user(uow)
        async with uow.begin(stranger.id) as tx:
            if look == "get":
                assert await tx.documents.get(document.id) is None
            else:
                assert list(await tx.documents.of_step(document.run_id, document.step)) == []

    async def test_a_stranger_cannot_take_the_place_of_a_version(self, uow: UnitOfWork) -> None:
        run = await keep_run(uow)
        stranger = await keep_user(uow)
        squatter = replace(make_document(run), user_id=stranger.id)
        await intrude(uow, stranger.id, lambda tx: tx.documents.add([squatter]))
        document = make_document(run)
        await publish(uow, document)
        assert await latest(uow, run) == {document.id}
