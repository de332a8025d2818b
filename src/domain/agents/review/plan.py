"""Checks of a code plan, before anything is written or paid for."""

import re
import sys
from collections.abc import Iterable, Iterator

from domain.agents.artifacts import CodePlan, Priority, Requirements
from domain.agents.findings import Finding, error
from domain.agents.paths import check_paths
from domain.agents.review.ids import check_references, check_text


def review_plan(plan: CodePlan, requirements: Requirements) -> tuple[Finding, ...]:
    """The files can be written, the commands can be run, each must-have is coded and tested."""
    return tuple(_findings(plan, requirements))


def check_commands(
    start: tuple[str, ...], test: tuple[str, ...], probe_path: str, paths: Iterable[str]
) -> Iterator[Finding]:
    """Both commands run ``python3`` on something that is there; the probe is a URL path."""
    known = set(paths)
    for name, command in (("start", start), ("test", test)):
        if command[:1] != ("python3",):
            yield error("not_python", name, "Begin the command with 'python3'.")
        elif missing := _missing_entry(command, known):
            yield error("unknown_entry", name, f"{missing} is not among the files; name one.")
    if not re.fullmatch(r"/[!-~]*", probe_path):
        yield error("bad_probe", "probe_path", "Give a path that begins with '/', e.g. '/health'.")


def _findings(plan: CodePlan, requirements: Requirements) -> Iterator[Finding]:
    known = {requirement.id for requirement in requirements.functional}
    known |= {requirement.id for requirement in requirements.quality}
    yield from check_text("plan", title=plan.title, architecture=plan.architecture)
    yield from check_paths((file.path, 0) for file in plan.files)
    paths = [file.path for file in plan.files]
    yield from check_commands(plan.start, plan.test, plan.probe_path, paths)
    for file in plan.files:
        yield from check_text(file.path, purpose=file.purpose)
        yield from check_references(file.path, file.requirement_ids, known)
        for symbol in file.symbols:
            if not _SYMBOL.fullmatch(symbol):
                yield error(
                    "malformed_symbol",
                    file.path,
                    f"Write {symbol!r} as a name: Loan or Loan.close.",
                )
    if not any(file.is_test for file in plan.files):
        yield error("no_tests", "files", "Plan at least one test file.")
    coded = {id_ for file in plan.files if not file.is_test for id_ in file.requirement_ids}
    tested = {id_ for file in plan.files if file.is_test for id_ in file.requirement_ids}
    for requirement in requirements.functional:
        if requirement.priority is Priority.MUST:
            if requirement.id not in coded:
                yield error("not_coded", requirement.id, "Answer it in at least one source file.")
            if requirement.id not in tested:
                yield error("not_tested", requirement.id, "Test it in at least one test file.")


_SYMBOL = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def _missing_entry(command: tuple[str, ...], known: set[str]) -> str:
    """The script or module that ``command`` runs, if it is not there; else an empty string."""
    # Flags such as -u take no value; -X, -W and -c are not ours to second-guess.
    rest = list(command[1:])
    while rest and rest[0] in {"-u", "-B", "-E", "-I", "-O", "-s", "-v", "-q"}:
        rest.pop(0)
    if len(rest) >= 2 and rest[0] == "-m":
        module = rest[1].replace(".", "/")
        ours = {f"{module}.py", f"{module}/__main__.py"} & known
        return "" if ours or rest[1].split(".")[0] in sys.stdlib_module_names else rest[1]
    if rest and rest[0].endswith(".py"):
        return "" if rest[0].removeprefix("./") in known else rest[0]
    return "" if rest else "a script or module"
