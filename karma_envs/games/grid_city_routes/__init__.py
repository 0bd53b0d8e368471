"""The congested grid city with a choice of routes: at every node agents bid for a lane of their choice.

Model:
    That of karma_envs.games.grid_city with route_choice = 'node': trips have an origin and a destination,
    and whatever shortest path between the two an agent likes. All other defaults are that game's:
    n_agents = 1000, paths_per_agent = 2, karma_max = 14, karma_mean = 9.0.

    ============  ==================================================================================
    agents        ``n_agents = 1000``, of one type or more, with trips of their own; at least 1
    observation   one of 1035 with the default path_seed = 0, place and karma; in numbers ``Box(5)``,
                  as there
    action        one of 2 * (karma_max + 1), the lane and the bid; ``karma_max = 14``
    reward        -5 to 0 with the defaults, from minus the highest urgency
    length        none
    ============  ==================================================================================

State:
    As there; a position is a node on one of the agent's trips. With the default path_seed = 0 there are
    1035 observations.

Action:
    option * (karma_max + 1) + b: the lane, of one or two on which a shortest path goes on, and the bid.

Reward:
    0 for who enters its lane and for the dormant, minus its urgency for who has to wait.

Order of a step:
    As there. Who has to wait may choose the other lane in the next step.

End:
    The game never ends by itself; views truncate after max_cycles steps.

Mean-field limit:
    As there, an approximation for large populations.

Known equilibrium:
    None in closed form, as there.

Reference:
    S. Vaishampayan, Multi Agent Reinforcement Learning for Karma Economies, MSc thesis, ETH Zürich
    2024, section 6.2, which names the choice of paths as future work.

Differences from the source:
    The form of the choice is ours. Otherwise those of karma_envs.games.grid_city.
"""

from __future__ import annotations

from dataclasses import dataclass

from karma_envs.games.grid_city import GridCityConfig, GridCityGame


@dataclass(frozen=True)
class GridCityRoutesConfig(GridCityConfig):
    """The grid city's configuration, with a choice of routes at every node."""

    route_choice: str = "node"


GridCityRoutesConfig.__doc__ = GridCityConfig.__doc__  # the fields mean the same, as the command's help says


class GridCityRoutesGame(GridCityGame):
    """The congested grid city in which agents choose their way; see the module's docstring."""

    name = "grid_city_routes"
    config_class = GridCityRoutesConfig
    config: GridCityRoutesConfig
    # Few trips of the town have several shortest paths.
    presets = {**GridCityGame.presets, "town": {**GridCityGame.presets["town"], "k_shortest": 3}}


GAME = GridCityRoutesGame
