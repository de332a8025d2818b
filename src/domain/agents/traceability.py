"""Requirement to use case, file, symbol and test: a matrix computed from code and runs.

A test answers a requirement when its own name, docstring or comments carry the
requirement's id, word for word: ``FR-1`` is not found in ``FR-12`` or in ``NFR-1``.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from domain.agents.artifacts import Codebase, Requirements, SourceFile, TestCase, TraceRow
from domain.agents.source_code import FunctionNode, NotPython, comments, name_of, parse

PASSED = "passed"
FAILED = "failed"
NOT_RUN = "not run"
UNTESTED = "untested"


def trace(
    requirements: Requirements, codebase: Codebase, tests: Sequence[TestCase]
) -> tuple[TraceRow, ...]:
    """One row for each functional requirement, in their order.

    ``tests`` are those of the last recorded run. The status is ``passed`` only when at
    least one test names the requirement and every one that does was run and passed;
    ``failed`` when one failed; ``not run`` when one was skipped or never ran; else
    ``untested``.
    """
    by_test = requirements_of_tests(codebase)
    runs = _runs(by_test, tests)
    sources = [file for file in codebase.files if not file.is_test]
    rows = []
    for requirement in requirements.functional:
        named = tuple(test for test, ids in by_test.items() if requirement.id in ids)
        files = [file for file in sources if requirement.id in file.requirement_ids]
        rows.append(
            TraceRow(
                requirement_id=requirement.id,
                title=requirement.title,
                priority=requirement.priority,
                use_case_ids=tuple(
                    case.id
                    for case in requirements.use_cases
                    if requirement.id in case.requirement_ids
                ),
                files=tuple(file.path for file in files),
                symbols=_unique(
                    symbol for file in files for symbol in _answering(file, requirement.id)
                ),
                tests=named,
                status=_status([case for test in named for case in (runs[test] or [None])]),
            )
        )
    return tuple(rows)


def requirements_of_tests(codebase: Codebase) -> Mapping[str, frozenset[str]]:
    """Every test of ``codebase`` by its id, e.g. ``tests.test_loans.LoanTest.test_lend``.

    A test class's inherited tests count under the class that runs them. Tests that name
    no requirement are there too, with no ids. Files that do not parse have no tests.
    """
    found: dict[str, frozenset[str]] = {}
    for file in codebase.files:
        if file.is_test and file.path.endswith(".py"):
            found.update(_tests_of(file))
    return found


def requirement_ids(text: str) -> frozenset[str]:
    """The ids of functional and quality requirements that stand in ``text``, word for word."""
    return frozenset(_ID.findall(text))


_ID = re.compile(r"(?<![\w-])N?FR-\d+(?!\w|-\w)")
_ID_IN_NAME = re.compile(r"(?:^|_)(n?fr)_?(\d+)(?=_|$)", re.IGNORECASE)


def _tests_of(file: SourceFile) -> Iterator[tuple[str, frozenset[str]]]:
    try:
        tree = parse(file.content)
    except NotPython:
        return
    remarks = dict(comments(file.content))
    module = file.path.removesuffix(".py").replace("/", ".")
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    inherited = {name_of(b) for node in classes.values() for b in node.bases} & classes.keys()
    for node in tree.body:
        if isinstance(node, FunctionNode) and node.name.startswith("test"):
            yield f"{module}.{node.name}", _ids_of(node, remarks)
        elif isinstance(node, ast.ClassDef):
            # A mixin without bases is collected by no runner: its tests run in subclasses.
            if node.name in inherited and not node.bases:
                continue
            for method in _test_methods(node, classes, frozenset()).values():
                yield f"{module}.{node.name}.{method.name}", _ids_of(method, remarks)


def _test_methods(
    node: ast.ClassDef, classes: Mapping[str, ast.ClassDef], seen: frozenset[str]
) -> dict[str, FunctionNode]:
    methods: dict[str, FunctionNode] = {}
    for base in reversed([name_of(base) for base in node.bases]):
        if base in classes and base not in seen:
            methods |= _test_methods(classes[base], classes, seen | {node.name})
    for inner in node.body:
        if isinstance(inner, FunctionNode) and inner.name.startswith("test"):
            methods[inner.name] = inner
    return methods


def _ids_of(node: FunctionNode, remarks: Mapping[int, str]) -> frozenset[str]:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    # Comments directly above belong to the test as well.
    while first - 1 in remarks:
        first -= 1
    inside = [text for line, text in remarks.items() if first <= line <= (node.end_lineno or first)]
    named = {f"{kind.upper()}-{number}" for kind, number in _ID_IN_NAME.findall(node.name)}
    return requirement_ids("\n".join([ast.get_docstring(node) or "", *inside])) | named


def _runs(
    declared: Mapping[str, object], tests: Sequence[TestCase]
) -> dict[str, list[TestCase | None]]:
    runs: dict[str, list[TestCase | None]] = {test: [] for test in declared}
    for case in tests:
        # unittest adds the parameters of a subtest after a space.
        ran = case.id.split(" ", 1)[0]
        if ran in runs:
            runs[ran].append(case)
            continue
        # Discovery from inside the tests' folder leaves the folder out of the id. Only
        # an ending that fits one test alone may stand for it.
        fitting = [test for test in declared if test.endswith(f".{ran}")]
        if len(fitting) == 1 and ran.count(".") >= 1:
            runs[fitting[0]].append(case)
    return runs


def _status(cases: Sequence[TestCase | None]) -> str:
    if not cases:
        return UNTESTED
    if any(case is not None and not case.passed and not case.skipped for case in cases):
        return FAILED
    if any(case is None or case.skipped for case in cases):
        return NOT_RUN
    return PASSED


def _answering(file: SourceFile, requirement_id: str) -> tuple[str, ...]:
    """The file's symbols whose own lines name the requirement, or all where none does."""
    if not file.path.endswith(".py"):
        return file.symbols
    try:
        tree = parse(file.content)
    except NotPython:
        return file.symbols
    lines = file.content.splitlines()
    naming = tuple(
        symbol
        for symbol, (first, last) in _spans(tree.body, "")
        if symbol in file.symbols
        and requirement_id in requirement_ids("\n".join(lines[first - 1 : last]))
    )
    return tuple(symbol for symbol in file.symbols if symbol in naming) or file.symbols


def _spans(body: Sequence[ast.stmt], prefix: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, (node.lineno, node.end_lineno or node.lineno)
            if isinstance(node, ast.ClassDef):
                yield from _spans(node.body, f"{prefix}{node.name}.")


def _unique(values: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
