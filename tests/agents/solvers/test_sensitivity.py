"""Derivatives of equilibria: by hand, by scaling laws, and against equilibria that are solved for anew."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import agents
import karma_envs
from agents.solvers.continuation.search import continuation
from agents.solvers.equilibrium import Equilibrium, as_equilibrium, assess
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.games.matching import MatchingGame
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mechanisms import Parameter, Rule
from karma_envs.numerics.compile import kernel

TINY: dict[str, Any] = {"karma_max": 5, "karma_mean": 2.0, "discount": 0.9, "n_agents": 10}
PBS = {**TINY, "payment": "pay_bid_to_society"}
TYPES = {
    "karma_max": 5,
    "karma_mean": 2.0,
    "n_agents": 10,
    "types": [{"share": 3, "discount": 0.9}, {"share": 7, "discount": 0.8, "urgencies": [1.0, 3.0]}],
}


class Road(FiniteMeanFieldModel):
    """Two roads, chosen anew every day: road 0 gives offset + slope s, where s is its share; road 1 level.

    A slope below 0 is congestion, one above 0 company.
    """

    def __init__(self, offset: float, slope: float = -1.0, level: float = -1.0) -> None:
        self.masses, self.discounts = np.ones(1), np.zeros(1)
        self.legal_actions, self.initial_mean_field = np.ones((1, 2), bool), np.ones((1, 1))
        self.offset, self.slope, self.level = offset, slope, level

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(policy[0, 0, :1])

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        reward = np.array([self.offset + self.slope * statistic[0], self.level])
        return DecisionProblem(reward[None, None], np.ones((1, 1, 2, 1)))


def played(model: FiniteMeanFieldModel, *probabilities: float) -> Equilibrium:
    """The equilibrium of a model of one state with these probabilities of its actions."""
    assessment = assess(model, np.array([[probabilities]]))
    return as_equilibrium("by hand", assessment, 1e-10, [], 0.0)


def offset(model: Road) -> agents.ModelParameter:
    return agents.ModelParameter("offset", model.offset, lambda value: Road(value, model.slope, model.level))


def test_two_roads_by_hand() -> None:
    """offset - s = level: s = offset - level, efficiency = level, until a road is empty."""
    model = Road(-0.3)
    level = agents.ModelParameter("level", -1.0, lambda value: Road(-0.3, level=value))
    result = agents.sensitivity(agents.solve(model), model, [offset(model), level], check=True)
    np.testing.assert_allclose(result.statistic_moves, [[1.0], [-1.0]], atol=1e-9)
    np.testing.assert_allclose(result.policy_moves[0, 0, 0], [1.0, -1.0], atol=1e-9)
    assert result.derivative("efficiency", "offset") == pytest.approx(0.0, abs=1e-8)
    assert result.derivative("efficiency", "level") == pytest.approx(1.0, abs=1e-8)
    branch = result.branches[0]
    assert (branch.low.value, branch.high.value) == pytest.approx((-1.0, 0.0), abs=1e-8)
    assert branch.low.event == "state 0: action 0 is played no more"
    assert branch.high.event == "state 0: action 1 is played no more"
    # Where a road is empty the other goes on to be played.
    assert not branch.low.turns
    assert not branch.high.turns
    assert not branch.turns_inside
    assert result.check is not None
    assert result.check.worst_error < 1e-8
    assert result.predicted(level=-0.9)["efficiency"] == pytest.approx(-0.9)


def test_an_empty_road_becomes_a_best_reply() -> None:
    """Beyond offset = level the first take road 0; of company none does so gladly, and the branch turns."""
    for slope, turns in ((-1.0, False), (2.0, True)):
        model = Road(-1.4, slope)
        (branch,) = agents.sensitivity(played(model, 0.0, 1.0), model, [offset(model)]).branches
        assert branch.high.value == pytest.approx(-1.0, abs=1e-8)
        assert branch.high.event == "state 0: action 0 becomes a best reply"
        assert branch.high.turns is turns
        assert branch.low.value == -np.inf


def test_company_in_balance_turns_at_both_ends() -> None:
    """offset + 2 s = -1 is an equilibrium for offsets of -3 to -1, as are the two of one road each."""
    model = Road(-2.0, 2.0)
    result = agents.sensitivity(played(model, 0.5, 0.5), model, [offset(model)])
    (branch,) = result.branches
    np.testing.assert_allclose(result.statistic_moves, [[-0.5]], atol=1e-9)
    assert (branch.low.value, branch.high.value) == pytest.approx((-3.0, -1.0), abs=1e-8)
    assert branch.low.turns
    assert branch.high.turns


@pytest.mark.parametrize("beyond", [0.01, 0.05])
def test_logit_company_by_hand(beyond: float) -> None:
    """log(s / (1 - s)) = beta (offset + slope s - level), which turns where beta slope s (1 - s) is 1."""
    beta, slope = 3.0, 2.0
    turning = (1 - np.sqrt(1 - 4 / (beta * slope))) / 2
    share = turning - beyond

    def offset_of(s: float) -> float:
        return float(np.log(s / (1 - s)) / beta - slope * s - 1.0)

    model = Road(offset_of(share), slope)
    found = played(model, share, 1 - share)
    result = agents.sensitivity(found, model, [offset(model), "rationality"], rationality=beta, check=True)
    slack = share * (1 - share) / (1 - beta * slope * share * (1 - share))
    gain = model.offset + slope * share + 1.0
    np.testing.assert_allclose(result.statistic_moves[:, 0], [beta * slack, gain * slack], rtol=1e-5)
    assert result.check is not None
    assert result.check.worst_error < 1e-3
    # The fold is foreseen to first order: the nearer, the better.
    distance = offset_of(turning) - model.offset
    assert result.branches[0].fold - model.offset == pytest.approx(distance, rel=10 * beyond)
    assert result.branches[0].turns_inside


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "PBP": (TINY, {}),
    "PBS": (PBS, {}),
    "types": (TYPES, {}),
    "tax": ({**PBS, "redistribution": "tax(rate=0.1)"}, {}),
    "tax from 0": ({**PBS, "redistribution": "tax(rate=0)"}, {}),
    "chain": ({**TINY, "urgency_transition": ((0.8, 0.2), (0.3, 0.7))}, {}),
    "logit": (TINY, {"rationality": 5.0}),
    "exploring": ({**PBS}, {"rationality": 20.0, "exploration": 0.05}),
    "logit types": (TYPES, {"rationality": 10.0}),
}


@cache
def solved(case: str) -> tuple[Equilibrium, PopulationGame]:
    """The equilibrium of one of the cases, and its game."""
    config, options = CASES[case]
    game = karma_envs.make("matching", **config)
    return agents.solve(game, **options), game


@pytest.mark.parametrize("case", ["PBP", "PBS"])
def test_other_units_change_no_bid(case: str) -> None:
    """Urgencies times c: the elasticities of efficiency by all of them add up to 1, those of bids to 0."""
    result = agents.sensitivity(*solved(case), ["urgencies[0]", "urgencies[1]"])
    total = dict(zip(result.outputs, result.elasticities.sum(axis=1)))
    assert total["efficiency"] == pytest.approx(1.0, abs=1e-7)
    assert total["payoff"] == pytest.approx(1.0, abs=1e-7)
    assert total["mean_bid"] == pytest.approx(0.0, abs=1e-6)
    assert total["mean_bid_urgency_5"] == pytest.approx(0.0, abs=1e-6)


NIGHTLY = ("tax", "chain", "exploring", "logit types")


@pytest.mark.parametrize(
    "case", [pytest.param(one, marks=pytest.mark.nightly if one in NIGHTLY else ()) for one in CASES]
)
def test_against_equilibria_solved_anew(case: str) -> None:
    """All parameters and outputs agree with central differences to 1e-3; most do to 1e-6."""
    found, game = solved(case)
    result = agents.sensitivity(found, game, check=True, **CASES[case][1])
    assert set(game.config.parameters()) <= set(result.parameters)
    assert result.check is not None
    assert result.check.worst_error < 1e-3
    assert result.check.worst_exploitability < 1e-10
    one_sided = {name for name, both in zip(result.parameters, result.two_sided) if not both}
    values = dict(zip(result.parameters, result.values))
    assert one_sided == {name for name in ("redistribution.rate", "exploration") if values.get(name) == 0}


@pytest.mark.nightly
@pytest.mark.parametrize("payment", ["pay_bid_to_peer", "pay_bid_to_society"])
def test_the_default_game(payment: str) -> None:
    """Each parameter costs at most 5 % of a solve, and all agree with equilibria solved anew."""
    game = karma_envs.make("matching", payment=payment)
    began = time.process_time()
    found = agents.solve(game)
    solving = time.process_time() - began
    agents.sensitivity(found, game, ["discount"])  # compiled
    began = time.process_time()
    agents.sensitivity(found, game, ["discount"])
    assert time.process_time() - began < 0.05 * solving
    result = agents.sensitivity(found, game, check=True)
    assert result.check is not None
    assert result.check.worst_error < 1e-3


def test_games_with_continua_of_equilibria() -> None:
    """In the auction budgets 0 and 1 mix bids that never win; only outputs that this leaves alone are told.

    In two-state control each stays where it began: share s gives s (b - c s), so by s it is b - 2 c s = -1,
    by b it is s and by c minus s^2. Reward fairness has a kink where both states are worth the same.
    """
    game = karma_envs.make("auction")
    result = agents.sensitivity(agents.solve(game), game, ["values[0]", "refill_probability"], check=True)
    told = dict(zip(result.outputs, np.isfinite(result.derivatives).all(axis=1)))
    assert told == {**dict.fromkeys(result.outputs, True), "mean_bid": False}
    assert result.check is not None
    assert result.check.worst_error < 1e-5
    game = karma_envs.make("two_state_control")
    result = agents.sensitivity(agents.solve(game), game, ["initial_share", "benefit", "crowding"])
    slopes = [result.derivative("efficiency", name) for name in result.parameters]
    np.testing.assert_allclose(slopes, [-1.0, 0.5, -0.25], atol=1e-7)
    assert np.isnan(result.derivative("reward_fairness", "benefit"))


def policies_along(config: dict[str, Any], discounts: list[float]) -> list[NDArray[np.float64]]:
    """Equilibria of a game along the discount, each followed from the one before."""
    models = [karma_envs.make("matching", **{**config, "discount": one}).mean_field() for one in discounts]
    return [found.policy for found in continuation(models) if found is not None]


def test_an_action_comes_where_it_was_foreseen() -> None:
    """Ends are told to first order, so the way there and beyond is a tenth longer than the foreseen one."""
    game = karma_envs.make("matching", **{**TINY, "discount": 0.85})
    (branch,) = agents.sensitivity(agents.solve(game), game, ["discount"]).branches
    assert branch.low.event == "urgency 1, karma 3: bid 1 becomes a best reply"
    assert not branch.low.turns
    length = 0.85 - branch.low.value
    first, before, after = policies_along(TINY, [0.85, 0.85 - 0.9 * length, 0.85 - 1.1 * length])
    np.testing.assert_allclose(first, before, atol=1e-6)
    changed = np.abs(after - before).max(axis=2)[0]
    assert 0 < changed[3] < 0.5  # the bid is taken up by few, the rest goes on as it was
    assert after[0, 3, 1] == pytest.approx(changed[3])
    assert np.delete(changed, 3).max() < 1e-6


def test_a_branch_turns_where_it_was_foreseen() -> None:
    """Beyond, where bid 0 becomes a best reply, there is only another equilibrium, far from this one."""
    (branch,) = agents.sensitivity(*solved("PBP"), ["discount"]).branches
    assert branch.high.event == "urgency 1, karma 4: bid 0 becomes a best reply"
    assert branch.high.turns
    length = branch.high.value - 0.9
    first, before, after = policies_along(TINY, [0.9, 0.9 + 0.85 * length, 0.9 + 1.15 * length])
    np.testing.assert_allclose(first, before, atol=1e-6)
    assert (np.abs(after - before).max(axis=2) > 0.1).sum() > 1


def test_any_mean_karma_and_parameters_of_a_rule_of_ones_own() -> None:
    rule = Rule(
        "tests:flat",
        flat_tax,
        parameters={"rate": Parameter(0.1, 0.0, 1.0, "share of its karma that all pay")},
    )
    game = karma_envs.make("matching", **{**PBS, "redistribution": rule})
    assert game.config.parameters()["redistribution.rate"] == 0.1
    chosen = ["redistribution.rate", "karma_mean"]
    result = agents.sensitivity(agents.solve(game), game, chosen, ["efficiency", "mean_bid"], check=True)
    assert result.outputs == ("efficiency", "mean_bid")
    assert result.check is not None
    assert result.check.worst_error < 1e-3
    assert (np.abs(result.derivatives) > 1e-4).all()
    # A mean whose total for the agents is no whole number is a number of the limit.
    moved = game.config.with_parameter("karma_mean", 2.0123)
    assert moved.karma_mean == 2.0123
    assert type(game)(moved).mean_field().config.karma_mean == 2.0123


@kernel
def flat_tax(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return parameters[0] * karma, True


def test_outputs_of_ones_own_and_standard_errors() -> None:
    """Of s = offset - level: the variance is that of the two, less twice their covariance."""
    model = Road(-0.3)
    level = agents.ModelParameter("level", -1.0, lambda value: Road(-0.3, level=value))
    outputs = {"share": lambda population: float(population.statistic[0])}
    result = agents.sensitivity(agents.solve(model), model, [offset(model), level], outputs)
    assert result.output_values == pytest.approx([0.7])
    assert result.derivatives == pytest.approx(np.array([[1.0, -1.0]]))
    assert result.elasticities == pytest.approx(np.array([[-0.3 / 0.7, 1.0 / 0.7]]))
    assert result.standard_errors({"offset": 0.1})["share"] == pytest.approx(0.1)
    assert result.standard_errors({"offset": 0.3, "level": 0.4})["share"] == pytest.approx(0.5)
    covariance = np.array([[0.09, 0.05], [0.05, 0.16]])
    assert result.standard_errors(covariance)["share"] == pytest.approx(np.sqrt(0.09 + 0.16 - 0.1))
    assert [len(column) for column in result.table().values()] == [2] * 14
    assert "share 1" in repr(result)


def test_alike_types_are_at_a_kink_of_fairness() -> None:
    """Minus a standard deviation falls to both sides of 0: it has no derivative but by what all share."""
    alike = {"discount": 0.9, "urgencies": [1.0, 5.0]}
    game = karma_envs.make("matching", karma_max=5, karma_mean=2.0, n_agents=10, types=[alike, alike])
    chosen = ["types[0].urgencies[1]", "types[0].share", "karma_mean"]
    result = agents.sensitivity(agents.solve(game), game, chosen)
    assert np.isnan(result.derivative("reward_fairness", "types[0].urgencies[1]"))
    assert result.derivative("efficiency", "types[0].share") == pytest.approx(0.0, abs=1e-8)
    assert result.derivative("reward_fairness", "types[0].share") == 0.0
    assert result.derivative("efficiency_type_0", "karma_mean") == pytest.approx(
        result.derivative("efficiency_type_1", "karma_mean")
    )


class Hurried(MatchingGame):
    """A game of one's own, whose agents weigh a loss twice."""

    name = "hurried"

    def mean_field(self, *, by_agent: bool = False) -> MatchingMeanField | None:
        config = self.config.replace(urgencies=tuple(2 * urgency for urgency in self.config.urgencies))
        return MatchingMeanField(config)


def test_a_game_of_ones_own_is_asked_for_its_own_model() -> None:
    """Its rewards are twice those of the matching game, and so are their derivatives."""
    found, game = solved("PBP")
    plain = agents.sensitivity(found, game, ["urgency_transition[1]"], ["efficiency"])
    own = Hurried(**TINY)
    twice = agents.sensitivity(agents.solve(own), own, ["urgency_transition[1]"], ["efficiency"])
    np.testing.assert_allclose(twice.derivatives, 2 * plain.derivatives, rtol=1e-6)


def test_urgencies_for_good_jump_where_they_cease_to_be() -> None:
    """With any chance to become urgent for good all end up so: efficiency leaps from -1.5 to -2.5."""
    forever = ((1.0, 0.0), (0.0, 1.0))
    game = karma_envs.make("matching", **{**TINY, "urgency_transition": forever})
    chosen = ["urgency_transition[0][1]", "urgencies[1]"]
    result = agents.sensitivity(agents.solve(game), game, chosen)
    assert np.isnan(result.derivative("efficiency", "urgency_transition[0][1]"))
    # Those of urgency 1 and 5 win half of the time: -(1 + 5) / 4 on average, minus (5 - 1) / 4 apart.
    assert result.derivative("efficiency", "urgencies[1]") == pytest.approx(-0.25, abs=1e-7)
    assert result.derivative("reward_fairness", "urgencies[1]") == pytest.approx(-0.25, abs=1e-7)


def test_what_would_not_fit_is_refused_before_any_work() -> None:
    model = Road(-0.3)
    found = agents.solve(model)
    model.legal_actions = np.broadcast_to(np.ones((1, 1), bool), (1, 2 * 10**8))
    with pytest.raises(ConfigError, match=r"source = .* whose derivatives take 7\.5 GiB"):
        agents.sensitivity(found, model, [offset(model)])


@pytest.mark.parametrize(
    ("chosen", "options", "said"),
    [
        (["discont"], {}, r"parameter = 'discont' .*did you mean discount\?"),
        ([], {}, "parameters = .* allowed: at least one"),
        (["discount"], {"exploration": 0.1}, "exploration = 0.1 .*allowed: 0 with a rationality"),
        (["discount"], {"rationality": 2.0}, "equilibrium = 'a policy that is off by"),
        (["discount"], {"outputs": ["effici"]}, "output = 'effici'"),
    ],
)
def test_what_is_no_question_is_refused(chosen: list[str], options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        agents.sensitivity(*solved("PBP"), chosen, **options)


def test_other_refusals() -> None:
    model = Road(-0.3)
    found = agents.solve(model)
    with pytest.raises(ConfigError, match="a name where the game is given in place of its model"):
        agents.sensitivity(found, model, ["offset"])
    result = agents.sensitivity(found, model, [offset(model)])
    for covariance in (np.eye(2), np.array([[-1.0]]), {"offset": -1.0}, {"level": 1.0}):
        with pytest.raises(ConfigError, match="covariance"):
            result.standard_errors(covariance)
    with pytest.raises(ConfigError, match="allowed: one of this game"):
        agents.sensitivity(found, karma_envs.make("matching", **TINY), ["discount"])
    with pytest.raises(ConfigError, match="finite states and actions"):
        agents.sensitivity(found, karma_envs.make("meeting_time"))
