"""Solutions of games without karma: tables, figures and theory by what the game says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import karma_envs
from agents import TabularPolicy
from agents.evaluators import counterexample_of, lipschitz_of, sublinearity_in
from agents.solvers import Equilibrium
from karma_envs.baselines import random as random_bids
from karma_envs.config import ConfigError
from karma_envs.finite import as_finite
from karma_envs.karma.urgency import AgentType
from tests.own_fields import FullRoadsGame, HarvestGame
from training.cli import main
from training.common.figures import new_panels
from training.common.lines import lines_of
from training.common.policy_figures import policies_beside
from training.common.tables import read_table
from training.solving.figures import distribution, mean_feature, policy_heat_maps
from training.solving.search_figure import several_equilibria
from training.solving.solution import Solution, SolveConfig, policy_rows, solve_to_folder
from training.theory.tools import Theory

HARVEST, ROADS = "tests.own_fields:HarvestGame", "tests.own_fields:FullRoadsGame"


@pytest.fixture(scope="module")
def harvest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Solution, Equilibrium]:
    config = SolveConfig(game=HARVEST, rationality=3)
    return solve_to_folder(config, tmp_path_factory.mktemp("harvest") / "eq")


def test_tables_have_the_columns_of_the_game(harvest: tuple[Solution, Equilibrium]) -> None:
    solution, found = harvest
    rows = read_table(solution.folder / "policy.csv")
    assert list(rows[0]) == ["type", "season", "stock", "harvest", "effort", "probability"]
    assert len(rows) == 2 * (1 + 2 + 3 + 3)
    (one,) = (row for row in rows if (row["season"], row["stock"], row["harvest"]) == ("wet", 2, 1))
    assert one["effort"] == 0.25
    assert one["probability"] == found.policy.probabilities[0, 4 + 2, 1]
    (kind,) = solution.types
    assert list(kind) == ["type", "share", "discount", "reward", "payoff", "harvest", "exploitability"]
    assert kind["harvest"] == pytest.approx(found.statistic[0])
    assert kind["reward"] == pytest.approx(kind["harvest"] * (1 - kind["harvest"] / 2))
    assert {name for name in solution.numbers if "fairness" in name} == {
        "reward_fairness",
        "harvest_fairness",
    }


def test_a_policy_of_the_city_tells_places_and_options_by_number() -> None:
    """By urgency and karma, and by bid, they are not told apart."""
    game = as_finite(karma_envs.make("grid_city_routes", n_agents=20, karma_max=2, karma_mean=1))
    rows = policy_rows(game, TabularPolicy(random_bids(game)))
    assert list(rows[0]) == ["type", "observation", "urgency", "karma", "action", "bid", "probability"]
    assert len(rows) == game.legal_actions[game.reachable_by_type()[0]].sum()
    assert rows[-1]["action"] // 3 == 1
    assert rows[-1]["bid"] == rows[-1]["action"] % 3


def test_figures_are_of_what_the_game_is_made_of(harvest: tuple[Solution, Equilibrium]) -> None:
    solution, found = harvest
    dry, wet, colours = policy_heat_maps(solution).axes
    assert [panel.get_title() for panel in (dry, wet)] == ["season dry", "season wet"]
    assert (wet.get_xlabel(), wet.get_ylabel(), colours.get_ylabel()) == ("stock", "harvest", "probability")
    np.testing.assert_allclose(wet.images[0].get_array(), found.policy.probabilities[0, 4:].T)

    (panel,) = mean_feature(solution, "effort").axes
    assert [line.get_label() for line in panel.lines] == ["season dry", "season wet"]  # no "all stock"
    efforts = found.policy.probabilities[0] @ [0, 0.25, 1]
    np.testing.assert_allclose(panel.lines[1].get_ydata(), efforts[4:])

    (stocks,) = distribution(solution, "stock").axes
    heights = [bar.get_height() for bar in stocks.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(heights, found.mean_field[0, :4] + found.mean_field[0, 4:])
    assert stocks.lines[0].get_xdata()[0] == pytest.approx(heights @ np.arange(4))
    (seasons,) = distribution(solution, "season").axes
    assert [bar.get_height() for bar in seasons.patches] == pytest.approx([0.5, 0.5])  # type: ignore[attr-defined]
    assert not seasons.lines  # seasons have no mean
    formatter = seasons.xaxis.get_major_formatter()
    assert [formatter(place) for place in (0.0, 0.5, 1.0)] == ["dry", "", "wet"]


def test_the_command_draws_a_game_of_one_axis_and_nameless_actions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "eq"
    assert main(["solve", ROADS, "--folder", str(folder), "--quiet"]) == 0
    assert "luck evens out: of reward" in capsys.readouterr().out
    assert {path.stem for path in (folder / "figures").iterdir()} == {
        *("policy_heat_maps", "mean_action", "last_road_distribution", "exploitability_history"),
    }
    assert list(read_table(folder / "policy.csv")[0]) == ["type", "last road", "action", "probability"]
    (panel,) = mean_feature(Solution.open(folder, trust=True), "action").axes
    assert panel.get_legend() is None


def test_equilibria_of_any_game_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    flags = ["--folder", str(tmp_path / "eq"), "--quiet", "--search", "1", "--no-figures"]
    assert main(["solve", HARVEST, *flags]) == 0
    heads = "no  efficiency  harvest s=dry  harvest s=wet  effort s=dry  effort s=wet  stock sd  exploit."
    assert heads in capsys.readouterr().out
    solution = Solution.open(tmp_path / "eq", trust=True)
    # All take what a wet season brought in the dry one after it: half of them hold one unit, half none.
    (row,) = read_table(tmp_path / "eq" / "equilibria.csv")
    assert row["mean_harvest_season_dry"] == pytest.approx(1)
    assert row["mean_harvest_season_wet"] == pytest.approx(0, abs=1e-9)
    assert row["stock_std"] == pytest.approx(0.5)
    actions, _ = several_equilibria(solution).axes
    assert actions.get_ylabel() == "mean harvest"
    dots = [line for line in actions.lines if line.get_marker() == "."]
    assert [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in dots] == [  # type: ignore[union-attr]
        ([1], [pytest.approx(1)]),
        ([0], [0]),
    ]


def test_theory_uses_the_tools_that_are_about_any_game(tmp_path: Path) -> None:
    folder = str(tmp_path / "theory")
    assert main(["theory", HARVEST, "--policies", "5", "--folder", folder, "--quiet"]) == 0
    numbers = Theory.open(folder, trust=True).numbers
    for tool in ("lipschitz", "sublinearity"):
        assert "HarvestField" in numbers[tool]["because"]
        assert "matching game" in numbers[tool]["because"]
    assert numbers["lasry-lions"]["pairs"] == 5
    assert numbers["lasry-lions"]["positive_pairs"] == 0  # what more take is worth less: monotone
    assert "fraction" in numbers["contractivity"]
    assert "fraction" in numbers["monotonicity"]


def test_what_is_about_the_matching_game_says_so_at_the_door() -> None:
    model: Any = HarvestGame().mean_field()
    for ask in (lipschitz_of, counterexample_of, lambda other: sublinearity_in(other, np.zeros((1, 8, 3)))):
        with pytest.raises(ConfigError, match=r"model = 'HarvestField' is not allowed.*matching game"):
            ask(model)


def test_lines_go_along_the_quantity_with_most_values() -> None:
    (lines,) = lines_of(HarvestGame())
    assert (lines.along, lines.labels) == ("stock", ("season dry", "season wet"))
    np.testing.assert_array_equal(lines.sums(np.arange(8)), np.arange(8).reshape(2, 4))
    (roads,) = lines_of(FullRoadsGame())
    assert (roads.along, roads.labels, roads.values.tolist()) == (
        *("last road", ("",)),
        ["north", "middle", "south"],
    )


def test_lines_of_types_are_what_each_may_be_in() -> None:
    types = (AgentType(1, 0.7), AgentType(3, 0.9, (1, 2, 9)))
    game = as_finite(karma_envs.make("matching", n_agents=8, karma_max=4, karma_mean=2, types=types))
    calm, urgent = lines_of(game)
    assert calm.labels == ("urgency 1", "urgency 5")
    assert urgent.labels == ("urgency 1", "urgency 2", "urgency 9")
    assert calm.others[1] == {"urgency": 5.0}
    np.testing.assert_array_equal(calm.sums(np.ones(15)), np.ones((2, 5)))
    means = calm.means(np.arange(15.0), np.where(np.arange(15) == 7, 2.0, 0.0))
    assert means[1, 2] == 7
    assert np.isnan(means).sum() == 9


def test_a_point_of_the_city_is_many_places() -> None:
    """Agents of the city bid by urgency and karma; the dormant, who have no urgency, are on no line."""
    game = as_finite(karma_envs.make("grid_city", n_agents=20, karma_max=3, karma_mean=2))
    (lines,) = lines_of(game)
    assert (lines.along, lines.labels) == ("karma", ("urgency 1", "urgency 5"))
    places = lines.sums(np.ones(game.n_observations))
    reachable = game.reachable_by_type()[0].reshape(-1, 4)[1:]  # not dormant
    np.testing.assert_array_equal(places, np.tile(reachable.sum(axis=0) / 2, (2, 1)))


def test_policies_beside_one_another_by_any_feature() -> None:
    game = HarvestGame()
    most = np.zeros((8, 3))
    most[np.arange(8), np.minimum(np.tile(np.arange(4), 2), 2)] = 1
    dry, wet = policies_beside(game, {"most": TabularPolicy(most)}, "effort").axes
    assert wet.get_title() == "season wet"
    np.testing.assert_allclose(dry.lines[0].get_ydata(), [0, 0.25, 1, 1])
    with pytest.raises(ConfigError, match="feature = 'bid' is not allowed; allowed: harvest, effort"):
        policies_beside(game, {}, "bid")


def test_many_panels_go_in_rows() -> None:
    figure, axes = new_panels(8, 1, 1)
    assert len(axes) == 8
    assert len({panel.get_subplotspec().rowspan.start for panel in axes}) == 2  # type: ignore[union-attr]
    figure, axes = new_panels(30, 1, 1, most=6)
    assert len(axes) == 6
    assert figure.get_supxlabel() == "the first 6 of 30"
