"""What steps of finished runs cost, as aggregates over everybody's."""

from collections.abc import Mapping
from typing import Protocol

from domain.agents.pipelines import Pipeline
from domain.billing.pricing import ModelPrice
from domain.billing.quote import ObservedStep


class StepHistory(Protocol):
    """The platform's own figures. No person's are told: only sums of many people's."""

    async def observed(
        self, pipeline: Pipeline, prices: Mapping[str, ModelPrice]
    ) -> Mapping[str, ObservedStep]:
        """The latest charged steps of runs of this pipeline and version that succeeded.

        ``prices`` are the rows to reckon with, by step: a step counts where it used that row's
        model. A step that fewer than ``domain.billing.quote.HISTORY_STEPS`` of them are known
        of, or of fewer than ``HISTORY_PEOPLE`` people, is left out.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        ...
