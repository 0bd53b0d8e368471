"""Planners: choose a mechanism by what selfish agents make of it.

:func:`design` searches a :class:`Space` of parameters for what makes an inner problem, such as the
equilibrium of a game, come to the best of an objective.
"""

from agents.planners.design import AllFailed, design
from agents.planners.inner import Evaluation, Inner, NotConverged
from agents.planners.objectives import Limit, MaxMin, Measure, Objective, TradeOff
from agents.planners.result import Design, NoneAcceptable
from agents.planners.space import Choice, Continuous, Space, Whole
from agents.planners.trial import Trial

__all__ = [
    "AllFailed",
    "Choice",
    "Continuous",
    "Design",
    "Evaluation",
    "Inner",
    "Limit",
    "MaxMin",
    "Measure",
    "NoneAcceptable",
    "NotConverged",
    "Objective",
    "Space",
    "Trial",
    "TradeOff",
    "Whole",
    "design",
]
