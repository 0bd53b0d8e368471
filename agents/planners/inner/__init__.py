"""Inner problems: what a mechanism comes to, by solving, by learning, or by anything else."""

from agents.planners.inner.inner import Arrays, Evaluation, Inner, NotConverged

__all__ = ["Arrays", "Evaluation", "Inner", "NotConverged"]
