"""Plans the code: which files there are, what each answers and defines."""

from adapters.offline.codebase.blueprint import draw
from adapters.offline.codebase.files import compose_files
from domain.agents.artifacts import CodePlan, IdeaBrief, Language, PlannedFile, Requirements


def compose_plan(brief: IdeaBrief, requirements: Requirements) -> CodePlan:
    """The plan of the code for ``brief``.

    The files are composed to make it, so that it promises no symbol and no requirement
    which the files do not have.
    """
    blueprint = draw(brief, requirements)
    return CodePlan(
        title=blueprint.title,
        language=Language.PYTHON,
        architecture=_ARCHITECTURE,
        files=tuple(
            PlannedFile(
                path=file.path,
                purpose=file.purpose,
                requirement_ids=file.requirement_ids,
                symbols=file.symbols,
                is_test=file.is_test,
            )
            for file in compose_files(blueprint)
        ),
        start=("python3", "-m", "app"),
        test=("python3", "-m", "unittest", "discover", "-s", "tests", "-t", "."),
        probe_path="/health",
    )


_ARCHITECTURE = (
    "A web application on Python's standard library. app/entities declares each kind of record:"
    " its fields, workflow and rules. app/records does what can be done with records, checking"
    " values (app/fields, app/validation) and rules (app/rules) inside one transaction of"
    " app/storage, which is SQLite with a connection for each session. app/web answers requests:"
    " pages for people, JSON for programs, both over the same records. app/server moves bytes."
    " Each layer knows only those below it."
)
