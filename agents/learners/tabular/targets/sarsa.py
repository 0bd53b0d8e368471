"""SARSA: the value of the action that was taken next (conditional temporal difference learning).

Source: Thesis, section 3.1, operator F of CTD learning; with an exploring policy this is
epsilon-SARSA, the Thesis' default algorithm.
"""

from agents.learners.tabular.targets import Target
from karma_envs.numerics.compile import kernel


@kernel
def value(q, thresholds, row, observation, action):
    """The target of SARSA: Q of the next observation and of the action that was taken there."""
    return q[row, observation, action]


TARGET = Target("sarsa", value, needs_next_action=True)
