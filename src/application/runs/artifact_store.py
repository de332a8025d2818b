"""Artifacts as objects: JSON under its hash, and code as files under theirs."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import msgspec

from application.ports.object_store import ObjectStore
from domain.agents.artifacts import (
    Artifact,
    Codebase,
    IdeaBrief,
    Language,
    ProductSpec,
    Requirements,
    SourceFile,
    Verification,
)
from domain.projects.agent_task import ArtifactRef
from domain.shared.ids import UserId

A = TypeVar("A")

TYPES: Mapping[str, type[Artifact]] = MappingProxyType(
    {
        type_.__name__: type_
        for type_ in (IdeaBrief, Requirements, ProductSpec, Codebase, Verification)
    }
)
_PARALLEL = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """A code file in a manifest: all of it but the content, which lies under its hash."""

    path: str
    purpose: str
    requirement_ids: tuple[str, ...]
    symbols: tuple[str, ...]
    is_test: bool
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeManifest:
    """A codebase without its files' contents: its stored form, and its document."""

    title: str
    language: Language
    architecture: str
    files: tuple[ManifestFile, ...]
    start: tuple[str, ...]
    test: tuple[str, ...]
    probe_path: str

    def filled(self, contents: Mapping[str, str]) -> Codebase:
        """The codebase, with each file's content by its path.

        Raises:
            KeyError: a file's content is missing.
        """
        return Codebase(
            title=self.title,
            language=self.language,
            architecture=self.architecture,
            files=tuple(
                SourceFile(
                    path=file.path,
                    content=contents[file.path],
                    purpose=file.purpose,
                    requirement_ids=file.requirement_ids,
                    symbols=file.symbols,
                    is_test=file.is_test,
                )
                for file in self.files
            ),
            start=self.start,
            test=self.test,
            probe_path=self.probe_path,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBytes:
    """Where bytes were put."""

    object_key: str
    sha256: str
    size: int


def object_key(user_id: UserId, sha256: str) -> str:
    """The key of an object: its owner, then its content's hash."""
    return f"{user_id}/{sha256}"


def canonical_json(value: object) -> bytes:
    """The one JSON of a value: sorted keys, so equal values have equal hashes."""
    return msgspec.json.encode(value, order="sorted")


@dataclass(frozen=True, slots=True)
class ArtifactStore:
    """Keeps artifacts and renderings in the object store, by content."""

    objects: ObjectStore

    async def put(self, user_id: UserId, data: bytes, media_type: str) -> StoredBytes:
        """Store bytes under their hash."""
        digest = hashlib.sha256(data).hexdigest()
        key = object_key(user_id, digest)
        await self.objects.put(key, data, media_type)
        return StoredBytes(object_key=key, sha256=digest, size=len(data))

    async def save(self, user_id: UserId, artifact: Artifact) -> tuple[ArtifactRef, StoredBytes]:
        """Store an artifact; a codebase's files one by one, then its manifest."""
        stored_form: object = artifact
        if isinstance(artifact, Codebase):
            stored_form = await self._save_files(user_id, artifact)
        stored = await self.put(user_id, canonical_json(stored_form), "application/json")
        ref = ArtifactRef(
            type=type(artifact).__name__, object_key=stored.object_key, sha256=stored.sha256
        )
        return ref, stored

    async def load(self, user_id: UserId, ref: ArtifactRef) -> Artifact:
        """Read an artifact back.

        Raises:
            KeyError: its type is not one this version knows.
            ObjectNotFound: the object is gone.
        """
        type_ = TYPES[ref.type]
        data = await self.objects.get(ref.object_key)
        if type_ is not Codebase:
            return msgspec.json.decode(data, type=type_)
        manifest = msgspec.json.decode(data, type=CodeManifest)
        gate = asyncio.Semaphore(_PARALLEL)

        async def read(file: ManifestFile) -> tuple[str, str]:
            async with gate:
                content = await self.objects.get(object_key(user_id, file.sha256))
            return file.path, content.decode()

        contents = await asyncio.gather(*(read(file) for file in manifest.files))
        return manifest.filled(dict(contents))

    async def _save_files(self, user_id: UserId, codebase: Codebase) -> CodeManifest:
        gate = asyncio.Semaphore(_PARALLEL)

        async def write(file: SourceFile) -> ManifestFile:
            async with gate:
                stored = await self.put(user_id, file.content.encode(), "text/plain; charset=utf-8")
            return ManifestFile(
                path=file.path,
                purpose=file.purpose,
                requirement_ids=file.requirement_ids,
                symbols=file.symbols,
                is_test=file.is_test,
                sha256=stored.sha256,
                size=stored.size,
            )

        return CodeManifest(
            title=codebase.title,
            language=codebase.language,
            architecture=codebase.architecture,
            files=tuple(await asyncio.gather(*(write(file) for file in codebase.files))),
            start=codebase.start,
            test=codebase.test,
            probe_path=codebase.probe_path,
        )
