"""The wording the agents are instructed with: templates shipped beside this file."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final

import jinja2
import msgspec

from adapters.claude.schemas import schema_of
from domain.agents.artifacts import (
    CodePlan,
    FileBatch,
    IdeaBrief,
    ProductSpec,
    Reply,
    Requirements,
)
from domain.agents.pipelines import Depth
from domain.agents.review import Finding
from domain.agents.review.wording import VAGUE_TERMS

ANSWERS: Final[Mapping[str, type[Reply]]] = {
    "idea": IdeaBrief,
    "srs": Requirements,
    "prd": ProductSpec,
    "code.plan": CodePlan,
    "code.files": FileBatch,
    "repair": FileBatch,
}
"""What each instructions' template asks for."""


class UnknownInstructions(LookupError):
    """No template has that name, nor a name that begins with it and a dot."""


class Instructions:
    """Renders the templates, and tells when their wording has changed.

    Args:
        templates: the text of each template by its file name; those of this package when
            None.
    """

    def __init__(self, templates: Mapping[str, str] | None = None) -> None:
        self._templates = dict(packaged_templates() if templates is None else templates)
        # No escaping: the text goes to a model, and prompt.py shields what is data in it.
        self._environment = jinja2.Environment(
            loader=jinja2.DictLoader(self._templates),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._systems = {
            # The words the review bans are the words the agents are told not to use.
            (name, depth): self._render(
                f"{name}.md.jinja", depth=depth.value, vague_terms=VAGUE_TERMS
            )
            for name in ANSWERS
            for depth in Depth
        }

    @property
    def house(self) -> str:
        """What every agent is told."""
        return self._render("house.md.jinja")

    def agent(self, name: str, depth: Depth) -> str:
        """What the agent of that name is told, at that depth.

        Raises:
            UnknownInstructions: there is no such template.
        """
        try:
            return self._systems[name, depth]
        except KeyError:
            raise UnknownInstructions(f"there are no instructions named {name!r}") from None

    def task(self, makes: type[Reply], previous: str, findings: Sequence[Finding]) -> str:
        """The question itself, with what a review found in the ``previous`` answer."""
        return self._render(
            "task.md.jinja", makes=makes.__name__, previous=previous, findings=findings
        )

    def go_on(self, tail: str) -> str:
        """The wish that a cut answer, which ended with ``tail``, be continued."""
        return self._render("continue.md.jinja", tail=tail)

    def digest(self, name: str) -> bytes:
        """A hash of all wording and schemas under ``name``.

        An agent that asks several questions carries their common name: ``code`` stands
        for ``code.plan`` and ``code.files``.

        Raises:
            UnknownInstructions: nothing stands under that name.
        """
        names = [known for known in ANSWERS if known == name or known.startswith(f"{name}.")]
        if not names:
            raise UnknownInstructions(f"there are no instructions named {name!r}")
        wording = [
            self.house,
            self._templates["task.md.jinja"],
            self._templates["continue.md.jinja"],
            *(self._systems[known, depth] for known in names for depth in Depth),
        ]
        schemas = [schema_of(ANSWERS[known]) for known in names]
        return hashlib.sha256(
            msgspec.json.encode((names, wording, schemas), order="deterministic")
        ).digest()

    def _render(self, template: str, **values: object) -> str:
        return self._environment.get_template(template).render(**values).strip()


def packaged_templates() -> dict[str, str]:
    """The templates of this package, by file name."""
    folder = files("adapters.claude").joinpath("instructions")
    return {
        entry.name: entry.read_text("utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".jinja")
    }
