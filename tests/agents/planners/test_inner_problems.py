"""Inner problems of games: names of parameters, equilibria, derivatives, learning."""

from __future__ import annotations

import numpy as np
import pytest

import agents
import karma_envs
from agents.planners import Choice, Continuous, Space, design
from agents.planners.inner import Inner
from agents.planners.inner.equilibrium import COALITION_GAIN, EXPLOITABILITY, EquilibriumInner
from agents.planners.inner.learning import LearningInner
from agents.planners.inner.parameters import with_point
from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.mean_field.model import CityMeanField
from karma_envs.games.matching import MatchingConfig
from karma_envs.karma.urgency import AgentType

SMALL = {"karma_max": 6, "karma_mean": 2, "n_agents": 10, "discount": 0.9}


def test_points_name_fields_parameters_and_rules() -> None:
    config = MatchingConfig()
    changed = with_point(config, {"karma_max": 12, "karma_mean": 3.14159, "discount": 0.9, "payment": "pbs"})
    assert (changed.karma_max, changed.karma_mean, changed.discount) == (12, 3.14159, 0.9)
    assert changed.payment == "pay_bid_to_society"
    taxed = with_point(config, {"tax.rate": 0.1, "karma_mean": 2.345})
    assert (str(taxed.redistribution), taxed.karma_mean) == ("tax(rate=0.1)", 2.345)
    # With the rule itself chosen, its parameter counts only where it is.
    assert with_point(config, {"tax.rate": 0.1, "redistribution": "none"}).redistribution == "none"
    chosen = with_point(config, {"tax.rate": 0.1, "redistribution": "tax"})
    assert str(chosen.redistribution) == "tax(rate=0.1)"
    own = with_point(taxed, {"redistribution.rate": 0.2, "karma_mean": 5.5})
    assert (str(own.redistribution), own.karma_mean) == ("tax(rate=0.2)", 5.5)
    parts = with_point(config, {"pay_bid_in_parts.peer_share": 0.25})
    assert str(parts.payment) == "pay_bid_in_parts(peer_share=0.25)"
    with pytest.raises(ConfigError, match=r"parameter = 'tax.rat' is not allowed"):
        with_point(config, {"tax.rat": 0.1})
    with pytest.raises(ConfigError, match="karma_mean = 'much'"):
        with_point(config, {"karma_mean": "much"})


@pytest.mark.parametrize("rationality", [np.inf, 5.0])
def test_an_equilibrium_is_measured(rationality: float) -> None:
    game = karma_envs.make("matching", **SMALL)
    inner = EquilibriumInner(game, rationality=rationality, derivatives=True, warm=True)
    assert isinstance(inner, Inner)
    assert set(inner.meanings) == {EXPLOITABILITY}
    here = inner.evaluate({"karma_mean": 2.2, "tax.rate": 0.05}, seed=0, warm=None)
    options = {"rationality": rationality} if np.isfinite(rationality) else {}
    fields = {**SMALL, "karma_mean": 2.2, "redistribution": "tax(rate=0.05)"}
    solved = agents.solve(karma_envs.make("matching", **fields), **options)
    assert here.values["efficiency"] == pytest.approx(solved.efficiency, rel=1e-9)
    assert here.values[EXPLOITABILITY] == pytest.approx(solved.exploitability_normalised, abs=1e-9)
    # A little to one side, begun with this one, it has moved as the derivatives say.
    step = 1e-5
    for name in ("karma_mean", "tax.rate"):
        point = {"karma_mean": 2.2, "tax.rate": 0.05}
        moved = inner.evaluate({**point, name: point[name] + step}, seed=0, warm=here.warm)
        slope = (moved.values["efficiency"] - here.values["efficiency"]) / step
        assert here.derivatives is not None
        assert here.derivatives["efficiency"][name] == pytest.approx(slope, rel=2e-2, abs=1e-5)


def test_the_game_as_it_is_has_no_point() -> None:
    game = karma_envs.make("matching", **SMALL)
    evaluation = EquilibriumInner(game).evaluate({}, seed=0, warm=None)
    assert evaluation.values["efficiency"] == pytest.approx(agents.solve(game).efficiency)
    assert evaluation.derivatives is None
    with pytest.raises(ConfigError, match="mean-field model as it is configured"):
        EquilibriumInner(karma_envs.make("matching", allocation="coin_toss"))


def test_what_a_coalition_gains_is_a_measure_and_an_objective() -> None:
    game = karma_envs.make("matching", **SMALL)
    inner = EquilibriumInner(game, coalition=0.2)
    assert inner.meanings[COALITION_GAIN].is_lower_bound
    assert inner.to_plain()["coalition"] == 0.2
    assert {"coalition", "recognise"}.isdisjoint(EquilibriumInner(game).to_plain())
    space = Space([Choice("payment", ["pay_bid_to_peer", "pay_bid_to_society"])])
    front = design(space, inner, ["efficiency", f"-{COALITION_GAIN}"], budget=2, method="random", seed=1)
    for trial in front.complete:
        model = karma_envs.make("matching", **SMALL, **trial.point).mean_field()
        colluding = agents.coalition_gain(model, agents.solve(model).policy, 0.2, starts=1)
        assert trial.values[COALITION_GAIN] == pytest.approx(colluding.gain.value, abs=1e-9)
        assert trial.values[COALITION_GAIN] > 0
    assert len(front.complete) == 2
    with pytest.raises(ConfigError, match="coalition = 0"):
        EquilibriumInner(game, coalition=0)
    with pytest.raises(ConfigError, match="finite states and actions"):
        EquilibriumInner("meeting_time", coalition=0.2)


def test_a_coalition_whose_members_recognise_each_other_gains_more() -> None:
    game = karma_envs.make("matching", **SMALL)
    inner = EquilibriumInner(game, coalition=0.2, recognise=True)
    values = inner.evaluate({}, seed=0, warm=None).values
    friends = agents.coalition_gain(
        game.mean_field(), agents.solve(game).policy, 0.2, recognise=True, starts=1
    )
    strangers = EquilibriumInner(game, coalition=0.2).evaluate({}, seed=0, warm=None).values
    assert values[COALITION_GAIN] == pytest.approx(friends.gain.value, abs=1e-9)
    assert values[COALITION_GAIN] > strangers[COALITION_GAIN]
    assert "recognise each other" in inner.meanings[COALITION_GAIN].deviations
    assert inner.to_plain()["recognise"] is True
    city = karma_envs.make("grid_city", n_agents=20, rows=1, columns=2, karma_max=4, karma_mean=2)
    with pytest.raises(ConfigError, match="recognise = True"):
        EquilibriumInner(city, coalition=0.2, recognise=True)


def test_types_are_told_apart_where_they_are_the_game_s_own() -> None:
    """Twenty agents with paths of their own are of two types: a mean over agents of each, and no more."""
    types = [AgentType(0.25, 0.9, (1, 5)), AgentType(0.75, 0.9, (1, 3))]
    city = GridCityGame(n_agents=20, rows=1, columns=2, karma_max=4, karma_mean=2.0, types=types)
    values = EquilibriumInner(city, tolerance=0.2).evaluate({}, seed=0, warm=None).values
    equilibrium, model = agents.solve(city, tolerance=0.2), CityMeanField(city)
    assert model.n_types == len(equilibrium.payoff_by_type) > 12
    by_type = [name for name in values if "_type_" in name]
    assert by_type == [f"{name}_type_{kind}" for name in ("efficiency", "payoff") for kind in (0, 1)]
    assert 0.25 * values["payoff_type_0"] + 0.75 * values["payoff_type_1"] == pytest.approx(values["payoff"])
    of_type = model.kind_of_agent[city.type_of_agent == 1]
    assert values["payoff_type_1"] == pytest.approx(equilibrium.payoff_by_type[of_type].mean())


def test_what_cannot_be_is_a_failed_trial() -> None:
    game = karma_envs.make("matching", **SMALL)
    space = Space([Continuous("karma_mean", 1, 9)])
    result = design(space, EquilibriumInner(game, rationality=5), "efficiency", budget=6, method="random")
    for trial in result.trials:
        assert trial.complete == (float(trial.point["karma_mean"]) <= 6)
        assert trial.complete or "karma_mean = " in trial.notes
    assert 0 < len(result.complete) < 6


def test_learning_is_measured_in_play() -> None:
    inner = LearningInner(karma_envs.make("matching", **SMALL), n_epochs=3, epoch_length=50, n_steps=400)
    first = inner.evaluate({"karma_mean": 2.2}, seed=1, warm=None)
    again = inner.evaluate({"karma_mean": 2.2}, seed=1, warm=None)
    assert first == again
    assert inner.evaluate({"karma_mean": 2.2}, seed=2, warm=None) != first
    assert -5 <= first.values["efficiency"] <= 0
    assert first.standard_errors["efficiency"] > 0
    assert set(first.values) >= {"efficiency", "access_fairness", "reward_fairness"}


def test_a_city_is_begun_with_the_equilibrium_of_a_trial_nearby() -> None:
    city = GridCityGame(n_agents=20, rows=1, columns=2, karma_max=6, karma_mean=3.0)
    inner = EquilibriumInner(city, warm=True, tolerance=3e-3)
    assert inner.meanings[EXPLOITABILITY] == CityMeanField(city).meaning
    first = inner.evaluate({}, seed=0, warm=None)
    again = inner.evaluate({"karma_mean": 3.1}, seed=0, warm=first.warm)
    near = GridCityGame(n_agents=20, rows=1, columns=2, karma_max=6, karma_mean=3.1)
    assert first.warm is not None
    solved = agents.solve(near, tolerance=3e-3, start=first.warm["policy"])
    assert again.values["efficiency"] == pytest.approx(solved.efficiency, rel=1e-9)
    # Two measures of the same: over states that are never left, and over kinds of agents.
    fairness = CityMeanField(near).fairness(solved.policy)
    assert again.values["reward_fairness"] == pytest.approx(fairness["reward_fairness"], rel=1e-6)
    assert again.values["reward_fairness"] < -0.01
    assert max(each.values[EXPLOITABILITY] for each in (first, again)) <= 3e-3
