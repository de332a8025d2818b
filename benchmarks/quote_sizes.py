"""Measure what a run says to a model and is answered: the figures that quotes are shipped with.

Every sample idea is run through the pipeline with the offline composer, and each call is
measured as the Claude adapter would send it: instructions, schema and inputs as the prompt,
the composed artifact as the answer. Sizes are in tokens, at four UTF-8 bytes each.

    python -m benchmarks.quote_sizes
"""

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from adapters.claude.instructions import Instructions
from adapters.claude.prompt import prompt_for
from adapters.claude.settings import ClaudeSettings
from adapters.offline.language_model import OfflineLanguageModel
from application.ports.language_model import CallProgress, ModelRequest, RawReply
from domain.billing.estimates import tokens_of
from domain.projects.run import RunStatus
from domain.shared.errors import InvalidValue
from tests.unit.offline.ideas import IDEAS
from tests.unit.runs.world import open_world

Call = tuple[str, int, int]
"""The name of the instructions, and the tokens of prompt and answer."""


class Measuring(OfflineLanguageModel):
    """The offline composer, and what each call would have been with a model."""

    def __init__(self) -> None:
        self.measured: list[Call] = []
        self._instructions = Instructions()
        self._settings = ClaudeSettings(api_key="none")

    async def reply(
        self,
        request: ModelRequest,
        so_far: Sequence[RawReply],
        on_progress: Callable[[CallProgress], None],
    ) -> RawReply:
        reply = await super().reply(request, so_far, on_progress)
        if not request.findings:  # a second asking is the house's
            prompt = prompt_for(request, so_far, self._instructions, self._settings)
            size = tokens_of(_bytes_in((prompt.system, prompt.messages, prompt.output_config)))
            answer = tokens_of(len(reply.text.encode()))
            self.measured.append((request.instructions, size, answer))
        return reply


def _bytes_in(said: object) -> int:
    """UTF-8 bytes of every word in it, names of members included."""
    if isinstance(said, Mapping):
        return sum(_bytes_in(key) + _bytes_in(value) for key, value in said.items())
    if isinstance(said, list | tuple):
        return sum(map(_bytes_in, said))
    return len(str(said).encode())


async def main() -> None:
    """Print the figures by kind of call, over all ideas whose run came to its end."""
    by_kind: dict[str, list[tuple[int, int]]] = defaultdict(list)
    per_run: dict[str, list[int]] = defaultdict(list)
    answers: dict[str, list[int]] = defaultdict(list)
    runs = 0
    for idea in IDEAS.values():
        model = Measuring()
        world = await open_world(language_model=model)  # type: ignore[arg-type]  # as the port
        try:
            project = await world.project(idea.ljust(10, "."))
        except InvalidValue as refused:
            print(f"not run: {refused}")
            continue
        run = await world.execute(project)
        await world.worker()(run.id)
        ended = await world.run(run.id)
        if ended.status is not RunStatus.SUCCEEDED:
            print(f"not counted: {ended.error_code}")
            continue
        runs += 1
        spoken: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for kind, size, answer in model.measured:
            spoken[kind].append((size - tokens_of(len(idea.encode())), answer))
            by_kind[kind].append(spoken[kind][-1])
        for kind, calls in spoken.items():
            per_run[kind].append(len(calls))
            answers[kind].append(sum(answer for _, answer in calls))
    print(f"{runs} runs\n\nper call, without the idea itself (least / median / most)")
    for kind, calls in by_kind.items():
        prompts, replies = zip(*calls, strict=True)
        print(f"{kind:11} prompt {_spread(prompts)}   answer {_spread(replies)}")
    print("\nper run: calls, and answers together")
    for kind, counts in per_run.items():
        print(f"{kind:11} calls {_spread(counts)}   answers {_spread(answers[kind])}")


def _spread(values: Sequence[int]) -> str:
    return f"{min(values):>7,} {int(statistics.median(values)):>7,} {max(values):>7,}"


if __name__ == "__main__":
    asyncio.run(main())
