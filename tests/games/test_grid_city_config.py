"""What configurations of the city refuse, and that they come back from plain data."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityConfig, GridCityGame
from karma_envs.games.grid_city.network import RoadNetwork, road_network


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("n_agents", 0, "from 1"),
        ("karma_mean", 15, r"\[0, 14\]"),
        ("rows", 0, "from 1"),
        ("columns", 2.5, "from 1"),
        ("capacity", 0, "from 1"),
        ("capacity", (1, 0), r"capacity\[1\] = 0"),
        ("capacity", "much", "a whole number, a list of one for each lane, or null"),
        ("paths_per_agent", 0, "from 1"),
        ("paths_per_agent", 5000, "65535 observations"),
        ("path_seed", -1, "from 0"),
        ("dormant_probability", 1.5, r"\[0, 1\]"),
        ("urgency_transition", ((0.5, 0.5), (0.5, 0.4)), r"urgency_transition\[1\]"),
        ("allocation", "bingo", "highest_bid"),
        ("redistribution", "uniformly", "did you mean uniform"),
        ("network", "village", "module:function"),
        ("network", 3, "module:function"),
        ("network", "no_such_module:city", "no_such_module"),
        ("network", "math:sqrt", "it returned float"),
        ("network", "math:pi", "it is float"),
    ],
)
def test_bad_configurations(field: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        GridCityGame(**{field: value})
    assert field in str(error.value) or field == "types"


def test_a_network_of_ones_own_has_its_own_size() -> None:
    with pytest.raises(ConfigError, match="rows = 3"):
        GridCityConfig(rows=3, network="somewhere:city")
    game = GridCityGame(network=f"{__name__}:small_town", n_agents=7)
    assert game.network.capacity.tolist() == [7]
    assert GridCityConfig.from_dict(game.config.to_dict()) == game.config


def small_town(n_agents: int) -> RoadNetwork:
    return road_network(nx.DiGraph([("in", "out")]), pairs=[("in", "out")], capacity=n_agents)


@pytest.mark.parametrize(
    ("fields", "positions", "options", "says"),
    [
        ({"paths_per_agent": 2184}, 1, 1, None),  # (1 + 2184 * 2) * 15 = 65535 observations
        ({"paths_per_agent": 1092}, 2, 1, None),
        ({}, 1, 4369, None),  # 4369 * 15 = 65535 actions
        ({"paths_per_agent": 1092}, 3, 1, "paths_per_agent = 1092 .* 3 positions .* 2 urgencies .* 98295$"),
        ({}, 1, 4370, r"karma_max = 14 .* 65535 actions; with 4370 options in a position there are 65550$"),
        ({"route_choice": "trip"}, 1, 4370, r"are 65550 \(routes_per_trip limits them\)"),
    ],
)
def test_observations_and_actions_have_16_bits(
    fields: dict[str, Any], positions: int, options: int, says: str | None
) -> None:
    config = GridCityConfig(**fields)
    if says is None:
        config.check_size(positions, options)
    else:
        with pytest.raises(ConfigError, match=says):
            config.check_size(positions, options)


def test_what_cannot_be_numbered_is_refused_before_a_network_is_made() -> None:
    def never(n_agents: int) -> RoadNetwork:
        raise AssertionError

    for fields in ({"paths_per_agent": 2185}, {"urgencies": range(250), "paths_per_agent": 20}):
        with pytest.raises(ConfigError, match="65535 observations"):
            GridCityConfig(network=never, **fields)  # type: ignore[arg-type]
