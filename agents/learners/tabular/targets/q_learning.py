"""Q-learning: the value of the best next action (Thesis, section 3.1, operator G; Watkins 1989)."""

from agents.learners.tabular.kernels import row_maximum
from agents.learners.tabular.targets import Target
from karma_envs.numerics.compile import kernel


@kernel
def value(q, thresholds, row, observation, action):
    """The target of Q-learning: the greatest Q of the next observation."""
    return row_maximum(q, row, observation)


TARGET = Target("q_learning", value, needs_next_action=False)
