"""What a step publishes: its artifact as an object, and its documents for people."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from application.ports.clock import Clock, IdMaker
from application.ports.documents import DocumentRenderer, DocumentSource
from application.runs.artifact_store import ArtifactStore, StoredBytes
from application.runs.step_work import StepResult
from domain.agents.artifacts import Codebase
from domain.agents.pipelines import DocumentType, Step
from domain.projects.agent_task import ArtifactRef
from domain.projects.document import Document
from domain.projects.project import Project
from domain.projects.run import Run
from domain.shared.ids import DocumentId

MANIFEST_FORMAT: Final = "json"
_MANIFEST_TITLE: Final = "Codebase manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Objects that are stored, and the rows that will point to them in the step's commit."""

    output: ArtifactRef
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Publisher:
    """Stores a step's objects before its commit; until then nothing points to them."""

    artifacts: ArtifactStore
    renderer: DocumentRenderer
    clock: Clock
    ids: IdMaker

    async def publish(
        self,
        run: Run,
        project: Project,
        step: Step,
        result: StepResult,
        versions: Mapping[DocumentType, int],
        notice: str,
    ) -> Published:
        """Store the artifact, its renderings, and the codebase as it is delivered.

        ``versions`` are the newest ones so far; what is published gets the next.

        Raises:
            ObjectStoreUnavailable: the store did not answer.
        """
        output, manifest = await self.artifacts.save(run.user_id, result.artifact)
        documents: list[Document] = []
        for type_ in step.agent.documents:
            version = versions.get(type_, 0) + 1
            if isinstance(result.artifact, Codebase) and type_ is DocumentType.CODEBASE:
                documents.append(self._manifest(run, step, version, manifest))
                continue
            source = DocumentSource(
                type=type_,
                project_title=project.title,
                artifact=result.artifact,
                version=version,
                made_on=run.created_at.date(),
                notice=notice,
                findings=result.findings,
            )
            documents.extend(await self._rendered(run, step, source))
        if result.delivered is not None:
            _, mended = await self.artifacts.save(run.user_id, result.delivered)
            version = versions.get(DocumentType.CODEBASE, 0) + 1
            documents.append(self._manifest(run, step, version, mended))
        return Published(output=output, documents=tuple(documents))

    def republish(
        self,
        run: Run,
        step: Step,
        documents: Sequence[Document],
        latest: Sequence[Document],
    ) -> tuple[Document, ...]:
        """Documents of an earlier run, put on top again where something newer covers them."""
        newest = {(document.type, document.format): document for document in latest}
        covered = [
            document
            for document in documents
            if newest[document.type, document.format].sha256 != document.sha256
        ]
        return tuple(
            replace(
                document,
                id=DocumentId(self.ids.new()),
                run_id=run.id,
                step=step.name,
                version=newest[document.type, document.format].version + 1,
                created_at=self.clock.now(),
            )
            for document in covered
        )

    async def _rendered(self, run: Run, step: Step, source: DocumentSource) -> tuple[Document, ...]:
        renderings = await self.renderer.render(source)
        stored = await asyncio.gather(
            *(
                self.artifacts.put(run.user_id, rendering.data, rendering.media_type)
                for rendering in renderings
            )
        )
        return tuple(
            self._document(
                run,
                step,
                rendering.type,
                rendering.format.value,
                source.version,
                rendering.title,
                rendering.filename,
                rendering.media_type,
                where,
            )
            for rendering, where in zip(renderings, stored, strict=True)
        )

    def _manifest(self, run: Run, step: Step, version: int, stored: StoredBytes) -> Document:
        return self._document(
            run,
            step,
            DocumentType.CODEBASE,
            MANIFEST_FORMAT,
            version,
            _MANIFEST_TITLE,
            "manifest.json",
            "application/json",
            stored,
        )

    def _document(
        self,
        run: Run,
        step: Step,
        type_: DocumentType,
        format_: str,
        version: int,
        title: str,
        filename: str,
        media_type: str,
        stored: StoredBytes,
    ) -> Document:
        return Document(
            id=DocumentId(self.ids.new()),
            project_id=run.project_id,
            run_id=run.id,
            user_id=run.user_id,
            step=step.name,
            type=type_,
            format=format_,
            version=version,
            title=title,
            filename=filename,
            media_type=media_type,
            object_key=stored.object_key,
            sha256=stored.sha256,
            size=stored.size,
            created_at=self.clock.now(),
        )
