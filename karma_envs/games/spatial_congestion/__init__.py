"""Spatial congestion: agents move to desirable places, which are worth less the more agents there are.

Model:
    Places in the plane differ in how desirable they are, and N agents do not like crowds. Knowing where it
    is, each agent moves, all at once, and gets what the place is worth where it arrives, among those who
    arrive there too. By default it is one shot: after the step the game is over.

    ============  ==================================================================================
    agents        ``n_agents = 1000``, one type, exchangeable; at least 1
    observation   ``Box(2)``: the place x, in ``region = ((-3.0, 3.0), (-3.0, 3.0))``; where
                  length > 1 also the share of the steps that has passed
    action        ``Box(2)``: the move u, along each axis at most ``largest_move = 4.0``
    reward        0 to 0.15915494 with the defaults; ``crowd_aversion = 1.0``, ``movement_cost = 0.0``
    length        1; ``length = 1``
    statistic     m, the density of the places reached, on a grid; ``grid_cells = 100``, ``bandwidth = 0.1``
    ============  ==================================================================================

State:
    Of each agent the place x, how its next move will be disturbed, which it does not observe, and the steps
    that have passed. Agents start at places of a normal distribution, start_mean = (1.0, 0.0),
    start_variance = 0.1 along each axis; who would start beyond the region starts at its edge.

Action:
    The move u, to x' = x + B u + sigma eps, with move_scale = 1.0 for B, eps standard normal and noise = 0.0
    for sigma; or to the nearest place in the region, if x' is not in it.

Reward:
    g(x') / (1 + m(x'))^alpha - eta / 2 |u|^2 with alpha = crowd_aversion and eta = movement_cost. The
    desirability g is a sum of peaks, w exp(-|x - mu|^2 / s^2) / (2 pi s^2), with peaks = ((0.0, 0.0),) for
    mu, scales = (1.0,) for s and weights = (1.0,) for w; or any field, see ``desirability``. Mind that there
    is no 1/2 in the exponent.

    The density m is estimated from all agents, oneself included, see karma_envs.numerics.density. With the
    defaults its bias is at most 4 % in the equilibrium's middle, its standard error about 10 % there, and
    an agent counts itself as .016.

Order of a step:
    1. Agents move. 2. Moves are disturbed, and end at the edge of the region. 3. The density of the places
    reached is estimated. 4. Rewards.

End:
    After ``length`` steps, for all agents at once. A game that begins anew draws new starts.

Mean-field limit:
    For N to infinity m is the density of the places that agents reach, and no agent moves it. Where moves are
    free, each agent gets at most max g / (1 + m)^alpha wherever it starts.

Known equilibrium:
    Where moves are free (eta = 0, sigma = 0), water-filling: m = ((g / lambda)^(1 / alpha) - 1)+ of mass 1,
    and all agents get lambda. Around one peak m(r) = (C exp(-r^2 / (alpha s^2)) - 1)+ with
    pi alpha s^2 (C - 1 - log C) = 1; for s = 1 E|x - mu|^2 = .2204, .2790, .3286, .3724, .4122 for alpha = 1,
    1.5, 2, 2.5, 3, and lambda = .0786811 for alpha = 1. Two equal peaks have half the mass each. As the
    potential int int_0^m g (1 + s)^-alpha ds dx is strictly concave in m, this is the only density.
    With eta > 0 it is computed on a grid.

Reference:
    D. Mguni, J. Jennings, E. Munoz de Cote, Decentralised learning in systems with many, many strategic
    agents, 2018, experiment 1; Controlling the crowd: inducing efficient equilibria in multi-agent systems,
    2018, for several steps.

Differences from the source:
    The source does not say how the density is estimated, nor how far agents can move: estimator, region and
    largest move are ours. Its A_1 is the identity, and its B_1, too, by default. Of the bimodal field the
    peaks' scale is ours, .5: with 1, two peaks at distance 1 are one. Its movement cost there is half of eq.
    16's; with eta = 0, as it was run, that is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.crowds.game import CrowdGame
from karma_envs.crowds.policy import DispersalPolicy, TargetPolicy
from karma_envs.games.spatial_congestion.config import SpatialCongestionConfig

__all__ = ["GAME", "DispersalPolicy", "SpatialCongestionConfig", "SpatialCongestionGame", "TargetPolicy"]

_TRAINING = {
    "critic_steps": 1,
    "actor_learning_rate": 3e-4,
    "action_variance_final": 0.005,
    "observe_time": False,
    "n_steps": 2000,
    "epoch_length": 1,
}
"""Ours, but for the length; a variance that falls, as the source's, of .1, is nearly all of the spread that
agents have in equilibrium: their means would not disperse. What agents observe has the time in it."""


class SpatialCongestionGame(CrowdGame):
    """The spatial congestion game on arrays. See the module's docstring for the model.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    name = "spatial_congestion"
    config_class = SpatialCongestionConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {},
        "bimodal": {"peaks": ((-1.0, 0.0), (0.0, 0.0)), "scales": (0.5, 0.5), "weights": (0.5, 0.5)},
    }
    learner = "actor_critic"
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": _TRAINING}
    picture = "karma_envs.games.spatial_congestion.picture"

    config: SpatialCongestionConfig

    def desirability(self, places: NDArray[np.float64], steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """g, the same in all steps."""
        config = self.config
        if config.desirability is not None:
            return self.grid.interpolate(config.field, places)
        total = np.zeros(len(places))
        for peak, scale, height in zip(config.peaks, config.scales, config.heights(), strict=True):
            offset = (places - peak) / scale
            total += height * np.exp(-np.einsum("na,na->n", offset, offset))
        return total

    @property
    def most_desirable(self) -> float:
        """What all peaks would give together at one place; of a field the greatest number."""
        config = self.config
        return float(config.heights().sum() if config.desirability is None else config.field.max())


GAME = SpatialCongestionGame
