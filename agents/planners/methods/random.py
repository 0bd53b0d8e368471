"""Random search: points drawn one by one, uniformly in coordinates; the least that a method must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.planners.study import Proposal, Study, near
from agents.planners.trial import Trial


def random(study: Study, told: Sequence[Trial]) -> list[Proposal]:
    """The points to start with, then random ones."""
    numbers = range(len(told), len(told) + study.workers)
    return [
        near(
            study,
            told,
            study.start[number]
            if number < len(study.start)
            else study.space.draw(np.random.default_rng(study.seed_of(number))),
        )
        for number in numbers
    ]


METHOD = random
