"""Pipelines: what is refused, and that every graph runs to its end."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.artifacts import (
    Artifact,
    Codebase,
    IdeaBrief,
    Mode,
    ProductSpec,
    Requirements,
    Verification,
)
from domain.agents.pipelines import (
    PIPELINES,
    Agent,
    Depth,
    Method,
    ModelTier,
    Pipeline,
    Step,
    pipeline_for,
)
from domain.shared.errors import InvalidValue

ARTIFACTS: tuple[type[Artifact], ...] = (
    IdeaBrief,
    Requirements,
    ProductSpec,
    Codebase,
    Verification,
)


def agent(makes: type[Artifact] = IdeaBrief, reads: tuple[type[Artifact], ...] = ()) -> Agent:
    """An agent of which only what it makes and reads matters."""
    return Agent(
        type="any",
        title="Anybody",
        reads=reads,
        makes=makes,
        method=Method.ASK,
        instructions="any",
        tier=ModelTier.DEFAULT,
        depth=Depth.STANDARD,
        documents=(),
    )


def step(name: str, *after: str, weight: int = 1, of: Agent | None = None) -> Step:
    """A step of an agent that reads nothing, unless told."""
    return Step(name=name, agent=of or agent(), after=after, weight=weight)


def pipeline(*steps: Step) -> Pipeline:
    """A pipeline of these steps."""
    return Pipeline(mode=Mode.DEVELOPER, version=1, steps=steps)


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """Any valid pipeline of up to eight steps, declared in any order."""
    steps: list[Step] = []
    upstream: dict[str, set[str]] = {}
    made: dict[str, type[Artifact]] = {}
    for number in range(draw(st.integers(1, 8))):
        name = f"step-{number}"
        after = draw(st.lists(st.sampled_from(sorted(upstream)), unique=True)) if upstream else []
        before = {name for near in after for name in upstream[near] | {near}}
        readable = sorted({made[name] for name in before}, key=lambda type_: type_.__name__)
        reads = draw(st.lists(st.sampled_from(readable), unique=True)) if readable else []
        made[name] = draw(st.sampled_from(ARTIFACTS))
        upstream[name] = before
        steps.append(
            step(
                name,
                *after,
                weight=draw(st.integers(1, 9)),
                of=agent(made[name], tuple(reads)),
            )
        )
    return pipeline(*draw(st.permutations(steps)))


class TestWhatIsRefused:
    def test_a_pipeline_without_steps(self) -> None:
        with pytest.raises(InvalidValue) as refused:
            pipeline()
        assert refused.value.field == "steps"

    def test_two_steps_of_one_name(self) -> None:
        with pytest.raises(InvalidValue) as refused:
            pipeline(step("idea"), step("idea"))
        assert refused.value.field == "steps"

    def test_a_step_after_an_unknown_one(self) -> None:
        with pytest.raises(InvalidValue, match="nowhere") as refused:
            pipeline(step("idea", "nowhere"))
        assert refused.value.field == "after"

    def test_a_step_after_itself(self) -> None:
        with pytest.raises(InvalidValue, match="after itself"):
            pipeline(step("idea", "idea"))

    @given(st.integers(2, 6), st.integers(0, 3), st.randoms(use_true_random=False))
    def test_a_cycle_wherever_it_hides(self, length: int, tail: int, shuffle: Random) -> None:
        ring = [step(f"ring-{n}", f"ring-{(n + 1) % length}") for n in range(length)]
        rest = [step(f"tail-{n}", "ring-0") for n in range(tail)]
        steps = ring + rest
        shuffle.shuffle(steps)
        with pytest.raises(InvalidValue) as refused:
            pipeline(*steps)
        assert refused.value.field == "after"

    def test_a_read_of_what_nothing_makes(self) -> None:
        with pytest.raises(InvalidValue, match="Requirements") as refused:
            pipeline(step("idea"), step("code", "idea", of=agent(Codebase, (Requirements,))))
        assert refused.value.field == "reads"

    def test_a_read_of_what_is_made_beside_and_not_before(self) -> None:
        with pytest.raises(InvalidValue, match="IdeaBrief"):
            pipeline(step("idea"), step("srs", of=agent(Requirements, (IdeaBrief,))))

    def test_a_read_of_what_only_the_step_itself_makes(self) -> None:
        with pytest.raises(InvalidValue, match="IdeaBrief"):
            pipeline(step("idea", of=agent(IdeaBrief, (IdeaBrief,))))

    def test_a_mode_that_is_not_offered_is_answered_with_those_that_are(self) -> None:
        missing = next((mode for mode in Mode if mode not in PIPELINES), None)
        if missing is None:
            pytest.skip("every mode is offered")
        with pytest.raises(InvalidValue, match=Mode.DEVELOPER):
            pipeline_for(missing)


class TestOrder:
    @given(pipelines())
    def test_every_pipeline_runs_to_its_end(self, graph: Pipeline) -> None:
        finished: set[str] = set()
        for _ in graph.steps:
            finished |= {step.name for step in graph.ready(finished, ())}
        assert finished == {step.name for step in graph.steps}

    @given(pipelines(), st.data())
    def test_one_ready_step_at_a_time_gets_there_too(
        self, graph: Pipeline, data: st.DataObject
    ) -> None:
        finished: list[str] = []
        while ready := graph.ready(finished, ()):
            finished.append(data.draw(st.sampled_from(ready)).name)
        assert sorted(finished) == sorted(step.name for step in graph.steps)

    @given(pipelines(), st.data())
    def test_a_ready_step_has_everything_before_it_done(
        self, graph: Pipeline, data: st.DataObject
    ) -> None:
        finished: set[str] = set()
        while ready := graph.ready(finished, ()):
            chosen = data.draw(st.sampled_from(ready))
            assert graph.upstream(chosen.name) <= finished
            finished.add(chosen.name)

    @given(pipelines())
    def test_what_was_started_is_not_ready_again(self, graph: Pipeline) -> None:
        first = {step.name for step in graph.ready((), ())}
        assert graph.ready((), first) == ()

    @given(pipelines())
    def test_what_a_step_reads_has_a_source_before_it(self, graph: Pipeline) -> None:
        for reader in graph.steps:
            for artifact in reader.agent.reads:
                source = graph.source_of(reader.name, artifact)
                assert source.agent.makes is artifact
                assert source.name in graph.upstream(reader.name)

    def test_what_nothing_before_makes_has_no_source(self) -> None:
        with pytest.raises(KeyError):
            pipeline(step("idea")).source_of("idea", IdeaBrief)

    def test_an_unknown_step_is_not_found(self) -> None:
        with pytest.raises(KeyError):
            pipeline(step("idea"))["nowhere"]


class TestProgress:
    @given(pipelines(), st.data())
    def test_it_never_falls_and_ends_at_a_hundred(
        self, graph: Pipeline, data: st.DataObject
    ) -> None:
        finished: list[str] = []
        shown = [graph.progress(finished)]
        while ready := graph.ready(finished, ()):
            finished.append(data.draw(st.sampled_from(ready)).name)
            shown.append(graph.progress(finished))
        assert shown == sorted(shown)
        assert (shown[0], shown[-1]) == (0, 100)

    @given(pipelines())
    def test_it_is_not_a_hundred_before_the_last_step(self, graph: Pipeline) -> None:
        names = [step.name for step in graph.steps]
        assert graph.progress(names[1:]) < 100

    @given(pipelines(), st.text())
    def test_a_name_of_no_step_counts_nothing(self, graph: Pipeline, name: str) -> None:
        assert graph.progress([f"no-{name}"]) == 0


@pytest.mark.parametrize("mode", sorted(PIPELINES))
def test_an_offered_pipeline_is_found_under_its_own_mode(mode: Mode) -> None:
    assert pipeline_for(mode).mode is mode
