"""No intervention: the problem as it is, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from agents.planners.study import Proposal, Study
from agents.planners.trial import Trial


def none(study: Study, told: Sequence[Trial]) -> list[Proposal]:
    """The problem as it is, and then the points to start with, if any."""
    return [] if told else [Proposal({}), *map(Proposal, study.start)]


METHOD = none
