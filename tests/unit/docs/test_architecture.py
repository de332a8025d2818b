"""What the documents name is there, and the pipeline they draw is the one that runs."""

import importlib
import re
from pathlib import Path

import pytest

from domain.agents.pipelines import DEVELOPER, PIPELINES

ROOT = Path(__file__).parents[3]
DOCS = sorted((ROOT / "docs").glob("*.md"))

_CODE = re.compile(r"`([^`\n]+)`")
_DOTTED = re.compile(r"(?:domain|application|adapters|entrypoints)(?:\.\w+)+")
_IN_TREE = re.compile(r"(?:src|tests|deploy|docs|requirements|\.github|\.ci)/[\w./-]*")
_AT_TOP = re.compile(r"(?:Dockerfile|Makefile|[\w.-]+\.(?:yaml|toml|md))")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")

MADE_LATER = "deploy/compose/secrets/"
"""Named in the documents, and made by a command."""


def spans(document: Path) -> list[str]:
    """Inline code, outside of code blocks."""
    outside = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    return _CODE.findall(outside)


def exists(dotted: str) -> bool:
    """Whether a dotted name leads to a module, or to a name in one."""
    words = dotted.split(".")
    for split in range(len(words), 0, -1):
        try:
            found = importlib.import_module(".".join(words[:split]))
        except ModuleNotFoundError:
            continue
        for word in words[split:]:
            if not hasattr(found, word):
                return False
            found = getattr(found, word)
        return True
    return False


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_every_module_and_class_named_exists(document: Path) -> None:
    missing = [name for name in spans(document) if _DOTTED.fullmatch(name) and not exists(name)]
    assert not missing


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_every_file_named_exists(document: Path) -> None:
    named = [
        name
        for name in spans(document)
        if _IN_TREE.fullmatch(name) or (_AT_TOP.fullmatch(name) and "/" not in name)
    ]
    missing = [
        name for name in named if not name.startswith(MADE_LATER) and not (ROOT / name).exists()
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = _LINK.findall(document.read_text())
    assert not [link for link in links if not (document.parent / link).exists()]


def test_the_check_itself_sees_what_is_missing() -> None:
    assert exists("application.runs.run_graph.RunGraph.work")
    assert not exists("application.runs.run_graph.NoSuchThing")
    assert not exists("application.no_such_module")


def test_the_architecture_names_its_parts() -> None:
    named = [name for name in spans(ROOT / "docs/architecture.md") if _DOTTED.fullmatch(name)]
    assert len(named) > 20


def diagram(first_line: str) -> str:
    blocks = re.findall(
        r"^```mermaid\n(.*?)^```",
        (ROOT / "docs/architecture.md").read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
    (block,) = [block for block in blocks if block.startswith(first_line)]
    return str(block)


def test_the_pipeline_diagram_has_the_pipelines_edges() -> None:
    drawn = re.findall(r"(\w+)(?:\[[^]]*])? --> (\w+)", diagram("flowchart LR"))
    edges = {(before, step.name) for step in DEVELOPER.steps for before in step.after}
    assert set(drawn) == edges
    assert len(drawn) == len(edges)


def test_the_pipeline_diagram_is_of_the_only_mode_on_offer() -> None:
    assert set(PIPELINES.values()) == {DEVELOPER}


def test_the_floors_are_those_that_the_linter_holds() -> None:
    floors = re.findall(r"^    subgraph \w\[(\w+)]", diagram("flowchart TB"), flags=re.MULTILINE)
    line = next(
        line for line in (ROOT / "pyproject.toml").read_text().splitlines() if "layers = [" in line
    )
    assert floors == re.findall(r'"(\w+)"', line)
