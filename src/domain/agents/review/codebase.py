"""Checks of written code: whole, as planned, self-contained, and tested by name."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator

from domain.agents.artifacts import (
    Codebase,
    CodePlan,
    FileBatch,
    Priority,
    Requirements,
    SourceFile,
)
from domain.agents.findings import Finding, error
from domain.agents.paths import check_paths
from domain.agents.review.ids import check_references
from domain.agents.review.placeholders import check_placeholders, check_tests, overridden_methods
from domain.agents.review.plan import check_commands
from domain.agents.source_code import NotPython, defined_symbols, imports, parse
from domain.agents.traceability import requirements_of_tests


def review_codebase(
    codebase: Codebase, requirements: Requirements, plan: CodePlan | None = None
) -> tuple[Finding, ...]:
    """The code is complete and each must-have is named by a test.

    ``plan``, where given, is what the files must equal.
    """
    return tuple(_findings(codebase, requirements, plan))


def review_batch(batch: FileBatch, plan: CodePlan | None = None) -> tuple[Finding, ...]:
    """The files of one reply, before they join the others: safe, planned, parsing and whole.

    What needs the other files (imports, symbols, traces) is checked on the codebase.
    """
    return tuple(_batch_findings(batch, plan))


def _findings(
    codebase: Codebase, requirements: Requirements, plan: CodePlan | None
) -> Iterator[Finding]:
    paths = [file.path for file in codebase.files]
    yield from check_paths((file.path, _size(file.content)) for file in codebase.files)
    yield from check_commands(codebase.start, codebase.test, codebase.probe_path, paths)
    if plan is not None:
        yield from _departures(paths, plan)
    known = {requirement.id for requirement in requirements.functional}
    known |= {requirement.id for requirement in requirements.quality}
    trees: dict[str, ast.Module] = {}
    for file in codebase.files:
        yield from check_references(file.path, file.requirement_ids, known)
        if file.path.endswith(".py"):
            try:
                trees[file.path] = parse(file.content)
            except NotPython as reason:
                yield _unparsable(file.path, reason)
    overridden = overridden_methods(trees.values())
    own_modules = _own_modules(paths)
    for file in codebase.files:
        tree = trees.get(file.path)
        yield from check_placeholders(file.path, file.content, tree, overridden)
        if tree is not None:
            yield from _symbol_findings(file, defined_symbols(tree, reexports=_is_package(file)))
            yield from _import_findings(file.path, tree, own_modules)
            if file.is_test:
                yield from check_tests(file.path, tree)
        elif not file.path.endswith(".py"):
            yield from _symbol_findings(file, frozenset(re.findall(r"[^\W\d]\w*", file.content)))
    yield from _trace_findings(codebase, requirements)


def _batch_findings(batch: FileBatch, plan: CodePlan | None) -> Iterator[Finding]:
    yield from check_paths((file.path, _size(file.content)) for file in batch.files)
    planned = {file.path for file in plan.files} if plan is not None else None
    for file in batch.files:
        if planned is not None and file.path not in planned:
            yield error("unplanned_file", file.path, "Write only the files that were planned.")
        tree = None
        if file.path.endswith(".py"):
            try:
                tree = parse(file.content)
            except NotPython as reason:
                yield _unparsable(file.path, reason)
        # A method overridden in another file is known only once they are together.
        yield from check_placeholders(file.path, file.content, tree, None)


def _size(content: str) -> int:
    return len(content.encode("utf-8", "surrogatepass"))


def _is_package(file: SourceFile) -> bool:
    return file.path.rsplit("/", 1)[-1] == "__init__.py"


def _unparsable(path: str, reason: NotPython) -> Finding:
    return error("does_not_parse", path, f"Correct the Python: {reason}.")


def _departures(paths: Iterable[str], plan: CodePlan) -> Iterator[Finding]:
    written, planned = set(paths), {file.path for file in plan.files}
    for path in sorted(planned - written):
        yield error("missing_file", path, "Write this planned file.")
    for path in sorted(written - planned):
        yield error("unplanned_file", path, "Write only the files that were planned.")


def _symbol_findings(file: SourceFile, defined: frozenset[str]) -> Iterator[Finding]:
    for symbol in file.symbols:
        if symbol not in defined:
            yield error("missing_symbol", file.path, f"Define the planned symbol {symbol}.")


def _own_modules(paths: Iterable[str]) -> frozenset[str]:
    """Every name a file could be imported by, whichever folder is on the path."""
    names: set[str] = set()
    for path in paths:
        if path.endswith(".py"):
            names.update(path.removesuffix(".py").split("/"))
    return frozenset(names - {"__init__"})


def _import_findings(path: str, tree: ast.Module, own: frozenset[str]) -> Iterator[Finding]:
    for module, line in imports(tree):
        top = module.split(".", 1)[0]
        if top not in sys.stdlib_module_names and top not in own:
            yield error(
                "foreign_import",
                path,
                f"Line {line} imports {module}: use the standard library or the files themselves.",
            )


def _trace_findings(codebase: Codebase, requirements: Requirements) -> Iterator[Finding]:
    if not any(file.is_test for file in codebase.files):
        yield error("no_tests", "files", "Write at least one test file.")
    known = {requirement.id for requirement in requirements.functional}
    known |= {requirement.id for requirement in requirements.quality}
    by_test = requirements_of_tests(codebase)
    for test, ids in by_test.items():
        yield from check_references(test, sorted(ids), known)
    tested = frozenset().union(*by_test.values())
    coded = {id_ for file in codebase.files if not file.is_test for id_ in file.requirement_ids}
    for requirement in requirements.functional:
        if requirement.priority is not Priority.MUST:
            continue
        if requirement.id not in coded:
            yield error("not_coded", requirement.id, "Answer it in at least one source file.")
        if requirement.id not in tested:
            yield error(
                "not_tested",
                requirement.id,
                "Test it, and name its id in the docstring of the test method.",
            )
