"""Incentives: rewards that somebody adds to those of a game, to move what selfish agents do.

In every step an agent gets ``r(s, u) + Theta(s, u)`` in place of its game's own reward r, where the incentive
Theta depends on what the agent is and does, and on nobody else. It may be negative, a charge. A truncated
power series (:class:`PowerSeries`) has weights that a planner can search; any function will do:

    >>> import numpy as np, karma_envs
    >>> from karma_envs.incentives import incentivised
    >>> matching = karma_envs.make("matching", n_agents=4)
    >>> game = incentivised(matching, lambda features: -0.1 * features[:, 2])  # urgency, karma, bid
    >>> game.reset(np.random.default_rng(0))
    >>> game.step([0, 0, 0, 10]).round(1).tolist()
    [0.0, -1.0, -1.0, -1.0]

Source: *Controlling the crowd: inducing efficient equilibria in multi-agent systems*, 2018, "The framework",
where Theta is the reward modifier of a meta-agent.
"""

from karma_envs.incentives.game import IncentivisedGame, incentivised
from karma_envs.incentives.power_series import Incentive, PowerSeries

__all__ = ["Incentive", "IncentivisedGame", "PowerSeries", "incentivised"]
