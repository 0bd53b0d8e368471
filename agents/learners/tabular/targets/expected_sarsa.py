"""Expected SARSA: the mean value of the next action under the policy played (van Seijen et al. 2009)."""

import numpy as np

from agents.learners.tabular.targets import Target
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.sampling import NEVER


@kernel(fastmath={"nnan", "nsz", "reassoc", "contract"})  # sums in vector lanes
def value(q, thresholds, row, observation, action):
    """The target of expected SARSA: the mean of Q of the next observation under the policy.

    Illegal actions have weight 0.
    """
    weighted = np.float32(thresholds[row, observation, 0]) * q[row, observation, 0]
    for candidate in range(1, q.shape[2]):
        weight = np.int32(thresholds[row, observation, candidate]) - np.int32(
            thresholds[row, observation, candidate - 1]
        )
        weighted += np.float32(weight) * q[row, observation, candidate]
    return weighted * np.float32(1.0 / NEVER)


TARGET = Target("expected_sarsa", value, needs_next_action=False)
