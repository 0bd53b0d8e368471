"""Supply with uncertain demand: firms move to where demand will be, at a cost, and share it with others.

Model:
    Demand is highest at a place that moves along a path, which firms do not know: they learn of it by their
    rewards alone. In each step firms move, and sell what is demanded where they arrive, less the more others
    are there. Moves are costly, the more the further: a firm that always moves to where demand is highest
    pays more than it gets. It is better to cut across, and meet demand later.

    ============  ==================================================================================
    agents        ``n_agents = 200``, one type, exchangeable; at least 1
    observation   ``Box(3)``: the place x, in ``region = ((-2.0, 2.0), (-2.0, 2.0))``, and the
                  share of the steps that has passed
    action        ``Box(2)``: the move u, along each axis at most ``largest_move = 16.0``
    reward        -512 to 1.2732395 with the defaults; ``crowd_aversion = 0.1``
    length        30; ``length = 30``
    statistic     m, the density of the places reached, on a grid; ``grid_cells = 60``
    ============  ==================================================================================

State:
    Of each firm the place x, how its next move will be disturbed, which it does not observe, and the steps
    that have passed. Firms start at places of a normal distribution, start_mean = (-0.2, 0.0),
    start_variance = 0.1 along each axis; the presets start-1 to start-5 have the source's means.

Action:
    The move u, to x' = x + B u + sigma eps, with move_scale = 0.125 for B, eps standard normal and
    noise = 0.0 for sigma; or to the nearest place in the region, if x' is not in it.

Reward:
    g_t(x') / (1 + m(x'))^alpha - eta / 2 |u|^2 with alpha = crowd_aversion and movement_cost = 2.0 for eta.
    Demand is g_t(x) = w exp(-|x - p_t|^2 / s^2) / (2 pi s^2), with demand = 2.0 for w, demand_scale = 0.5 for
    s, and p_t on the path, which is a half-circle of radius 1.2 around (.3, .15), from the left to the right.
    The density m is estimated from all firms, see karma_envs.numerics.density, with bandwidth = 0.1.

Order of a step:
    1. Firms move. 2. Moves are disturbed, and end at the edge of the region. 3. The density of the places
    reached is estimated. 4. Rewards, of demand as it is in this step.

End:
    After 30 steps, for all firms at once. A game that begins anew draws new starts; demand takes the same
    path.

Mean-field limit:
    For N to infinity m is the density of the places that firms reach, a flow over the steps. Best responses
    to a flow are found by dynamic programming on a grid, see
    karma_envs.crowds.grid_programme.

Known equilibrium:
    With eta = 0, preset free, in every step that of spatial congestion: water-filling around p_t, .9617 for a
    firm and step. With eta = 2 it is computed: firms pay for moves in the first 5 steps, then sell, and get
    .187 a step, where those who track demand lose.

Reference:
    D. Mguni, J. Jennings, E. Munoz de Cote, Decentralised learning in systems with many, many strategic
    agents, 2018, experiment 2.

Differences from the source:
    Its path of demand is in a figure only, and how high demand is and how far a move leads are not said: the
    path, demand, its scale and B are ours, chosen such that what its text tells of the figure holds. As A_1
    there, A is the identity. The estimator of the density is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.crowds.game import CrowdGame
from karma_envs.game import Baseline, PopulationGame
from karma_envs.games.supply.config import SupplyConfig
from karma_envs.games.supply.policy import TrackingPolicy

__all__ = ["GAME", "SupplyConfig", "SupplyGame", "TrackingPolicy"]

_STARTS = ((-0.2, 0.0), (-0.2, 0.3), (-0.39, 0.16), (-0.6, 0.0), (-0.6, 0.3))

_TRAINING = {
    "actor_learning_rate": 1e-2,
    "critic_learning_rate": 1e-2,
    "learning_rate_left": 0.02,
    "action_variance": 0.05,
    "action_variance_final": 0.002,
    "trace_decay": 1.0,
    "critic_steps": 1,
    "observe_time": False,
    "n_steps": 45_000,
    "epoch_length": 30,
}
"""Ours; a variance that falls, as noise of the source's variance, .1, costs more than an equilibrium pays.
What firms observe has the time in it."""


def _tracking(game: SupplyGame) -> TrackingPolicy:
    """Always to where demand is highest."""
    return TrackingPolicy(game.peaks, game.config.move_scale)


class SupplyGame(CrowdGame):
    """The supply game on arrays. See the module's docstring for the model.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.

    Attributes:
        peaks: ``float64[T, 2]``: p_t, where demand is highest.
    """

    name = "supply"
    config_class = SupplyConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {},
        "free": {"movement_cost": 0.0},
        **{f"start-{number}": {"start_mean": start} for number, start in enumerate(_STARTS, 1)},
    }
    learner = "actor_critic"
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": _TRAINING}
    baselines: ClassVar[Mapping[str, Baseline]] = {**CrowdGame.baselines, "tracking": _tracking}
    picture = "karma_envs.games.spatial_congestion.picture"
    length = 30

    config: SupplyConfig

    def __init__(self, config: SupplyConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        x, y = np.transpose(self.config.path)
        times, stops = np.linspace(0, 1, self.length), np.linspace(0, 1, len(x))
        self.peaks = np.column_stack([np.interp(times, stops, x), np.interp(times, stops, y)])

    def desirability(self, places: NDArray[np.float64], steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """g_t, around a peak that moves."""
        offset = (places - self.peaks[steps]) / self.config.demand_scale
        return np.asarray(self.config.peak_demand * np.exp(-np.einsum("na,na->n", offset, offset)))

    @property
    def most_desirable(self) -> float:
        """Demand at the peak."""
        return self.config.peak_demand

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """Tracking, and what every crowd has: the equilibrium where moves are free."""
        return {**super().references(), "tracking": (self.fresh(), _tracking(self))}


GAME = SupplyGame
