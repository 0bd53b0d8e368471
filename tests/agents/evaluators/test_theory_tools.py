"""Chapter 5 of the Thesis: closed forms, and what must hold of random policies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import agents
import karma_envs
from agents.evaluators import (
    MirrorAscent,
    bid_monotonicity_sum,
    contractivity_violations,
    counterexample,
    lasry_lions_sum,
    lipschitz_constants,
    monotonicity_violations,
    sublinearity_of,
)
from karma_envs.config import ConfigError
from karma_envs.mean_field import FiniteMeanFieldModel


def model(**fields: object) -> FiniteMeanFieldModel:
    found = karma_envs.make("matching", **{"karma_max": 6, "karma_mean": 3, **fields}).mean_field()
    assert found is not None
    return found


def random_flow(
    game: FiniteMeanFieldModel, rng: np.random.Generator, concentration: float = 1.0
) -> np.ndarray:
    """A joint distribution of state and action with two urgencies equally likely."""
    weights = rng.standard_gamma(concentration, (game.n_types, *game.legal_actions.shape)) + 1e-12
    weights *= game.legal_actions
    halves = weights.reshape(game.n_types, 2, -1)
    return (halves / halves.sum(axis=2, keepdims=True) / 2).reshape(weights.shape)


def test_the_published_lipschitz_constants() -> None:
    peer = lipschitz_constants(0.9, 1.0, "pay_bid_to_peer")
    assert peer.update == pytest.approx(126.0, abs=1e-9)
    assert (peer.value_state, peer.value_policy, peer.value_population) == pytest.approx((20, 100, 100))
    assert (peer.transition_population, peer.q_population) == pytest.approx((1, 100))
    society = lipschitz_constants(0.9, 1.0, "pay_bid_to_society", 20)
    assert society.transition_population == 41  # eq. 5.4
    assert society.update == pytest.approx(126.0, abs=1e-9)  # L_pop = 0
    larger = [lipschitz_constants(0.9, 1.0, payment, population=1.0).update
              for payment in ("pay_bid_to_peer", "pay_bid_to_society")]  # fmt: skip
    assert 126 < larger[0] < larger[1]
    assert lipschitz_constants(0.9, 1.0, entropy_range=1.0).update > 126
    assert lipschitz_constants(0.0, 1.0).update == 0
    wrong = {"payment": "second_price", "discount": 1, "karma_max": 0, "population": -1, "entropy_range": -1}
    for name, given in wrong.items():
        with pytest.raises(ConfigError, match=f"{name} = "):
            lipschitz_constants(**{name: given})  # type: ignore[arg-type]


def greatest_ratios(**fields: object) -> tuple[float, float]:
    """Greatest change of rewards and of transitions over that of the population, for random pairs."""
    rng, game = np.random.default_rng(0), model(**fields)
    reward, transition = 0.0, 0.0
    for _ in range(100):
        first, other = (random_flow(game, rng, 10 ** rng.uniform(-1.5, 1)) for _ in range(2))
        pair = []
        for flow in (first, first + 0.1 * (other - first)):
            mean_field = flow.sum(axis=2)
            policy = flow / mean_field[..., None]
            pair.append(game.decision_problem(game.statistic(mean_field, policy)))
        distance = 0.1 * np.abs(first - other).sum()
        rewards = np.abs(pair[0].reward - pair[1].reward)[:, game.legal_actions]
        reward = max(reward, rewards.max() / distance)
        moves = np.abs(pair[0].dense(anew=True) - pair[1].dense(anew=True)).sum(axis=3)
        transition = max(transition, moves.max() / distance)
    return reward, transition


def test_the_constants_bound_the_model_where_no_surplus_is_shared() -> None:
    """Karma that does not fit is an effect of the cap, which the Thesis leaves out."""
    constants = lipschitz_constants(urgency_max=5.0)
    reward, transition = greatest_ratios(redistribution="none")
    assert constants.reward_population / 10 < reward <= constants.reward_population
    assert constants.transition_population / 10 < transition <= constants.transition_population
    assert greatest_ratios(karma_max=2, karma_mean=1)[1] > constants.transition_population


def test_one_urgency_is_neutral_and_strict_wins_are_monotone() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.dirichlet(np.ones(21), 2)[:, :, None]
        assert abs(bid_monotonicity_sum(first, second, [1], [1])) < 1e-12
        strict = bid_monotonicity_sum(first, second, [1], [1], tie=0)
        assert strict == pytest.approx(-0.5 * ((first - second) ** 2).sum(), abs=1e-12)
    neutral = model(urgencies=(2.0, 2.0))
    flows = [random_flow(neutral, rng) for _ in range(2)]
    assert abs(lasry_lions_sum(neutral, *flows)) < 1e-12


def test_the_matrix_form_is_the_sum_over_the_model() -> None:
    rng, game = np.random.default_rng(1), model()
    for _ in range(5):
        flows = [random_flow(game, rng) for _ in range(2)]
        bids = [2 * flow.reshape(2, 7, 7).sum(axis=1).T for flow in flows]
        expected = bid_monotonicity_sum(*bids, [1, 5], [0.5, 0.5])
        assert lasry_lions_sum(game, *flows) == pytest.approx(expected, abs=1e-12)
        assert lasry_lions_sum(game, flows[0], flows[0]) == 0
    above_karma = np.zeros_like(flows[0])
    above_karma[0, 0, 1] = 1.0
    for wrong in (flows[0][0], 2 * flows[0], -flows[0], above_karma):
        with pytest.raises(ConfigError, match="second = "):
            lasry_lions_sum(game, flows[0], wrong)


@pytest.mark.parametrize("probabilities", [(0.5, 0.5), (0.75, 0.25)])
def test_the_counterexample_violates_monotonicity_with_equal_karma(
    probabilities: tuple[float, float],
) -> None:
    found = counterexample((1.0, 9.0), probabilities, karma_mean=3, karma_max=6)
    assert found.total == pytest.approx(probabilities[0] * probabilities[1] * 8 / 2)
    game = model(urgencies=(1.0, 9.0), urgency_transition=probabilities)
    assert lasry_lions_sum(game, found.first[None], found.second[None]) == pytest.approx(found.total)
    karma = np.tile(np.arange(7), 2)
    for flow, policy in ((found.first, found.first_policy), (found.second, found.second_policy)):
        assert flow.sum() == pytest.approx(1)
        assert flow.sum(axis=1) @ karma == pytest.approx(3)
        assert policy.sum(axis=1) == pytest.approx(np.ones(14))
        assert not policy[~game.legal_actions].any()


@pytest.mark.parametrize(
    ("karma_mean", "share"),
    [(0.5, 0.25), (1.0, 0.5), (2.0, 1.0), (2.5, 1.0), (6.0, 1.0)],
)
def test_a_counterexample_of_any_karma_and_urgencies(karma_mean: float, share: float) -> None:
    urgencies, chances = (5.0, 2.0, 1.0, 7.0), (0.5, 0.3, 0.2, 0.0)
    found = counterexample(urgencies, chances, karma_mean, karma_max=6)
    assert found.total == pytest.approx(share**2 * 0.5 * 0.2 * 4 / 2)
    game = model(urgencies=urgencies, urgency_transition=chances, karma_mean=karma_mean)
    assert lasry_lions_sum(game, found.first[None], found.second[None]) == pytest.approx(found.total)
    for flow, bids in ((found.first, found.first_bids), (found.second, found.second_bids)):
        assert flow.sum(axis=1) @ np.tile(np.arange(7), 4) == pytest.approx(karma_mean)
        np.testing.assert_allclose(bids @ chances, flow.sum(axis=0), atol=1e-15)


@pytest.mark.parametrize(
    "wrong",
    [
        {"urgencies": (2.0, 2.0)},
        {"urgencies": (-1.0, 2.0)},
        {"probabilities": (0.5, 0.6)},
        {"probabilities": (0.5, 0.25, 0.25)},
        {"probabilities": (float("nan"), 0.5)},
        {"karma_mean": 0},
        {"karma_mean": 21},
        {"karma_max": 1},
    ],
)
def test_what_allows_no_counterexample_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        counterexample(**wrong)


def test_bids_without_a_future_are_linear_and_a_jump_is_found() -> None:
    everything = np.tile(np.arange(7.0), 2)[None]
    assert float(sublinearity_of(everything, 6)) == pytest.approx(0.0, abs=1e-12)
    assert sublinearity_of(everything, 6).first_karma is None
    jump = everything.copy()
    jump[0, 7 + 2] = 1.0
    found = sublinearity_of(jump, 6)
    assert (found.violation, found.urgency, found.karma, found.scaled_karma) == (3.0, 1, 2, 6)
    assert found.first_karma == 2
    later = jump.copy()
    later[0, 7 + 4] = 3.0  # bids then rise too fast from 4 on, too
    assert sublinearity_of(later, 6).first_karma == 2
    unvisited = np.ones_like(jump)
    unvisited[0, 7 + 2] = 0.0
    assert float(sublinearity_of(jump, 6, unvisited)) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="visited"):
        sublinearity_of(jump, 6, np.zeros_like(jump))
    for arguments, name in (
        ((jump, 5), "mean_bids"),
        ((jump, 1), "karma_max"),
        ((jump, 6, jump[0]), "mean_field"),
    ):
        with pytest.raises(ConfigError, match=f"{name} = "):
            sublinearity_of(*arguments)


def test_equilibrium_bids_are_sublinear_but_for_rounding() -> None:
    found = karma_envs.make("matching").mean_field()
    equilibrium = agents.solve(found)
    bids = equilibrium.policy.mean_actions()
    assert float(sublinearity_of(bids, 20, equilibrium.mean_field, rounding=0.5)) < 0  # measured: -.13


@pytest.mark.parametrize("entropy_in_value", [False, True])
def test_mirror_ascent_stops_at_its_equilibrium(entropy_in_value: bool) -> None:
    ascent = MirrorAscent(model(), 2.0, entropy_in_value=entropy_in_value)
    found = ascent.equilibrium()
    assert found.converged
    following, mean_field = ascent.update(found.policy)
    assert np.abs(following - found.policy).max() < 1e-8
    assert np.abs(mean_field - found.mean_field).max() < 1e-7
    assert ascent.equilibrium(found.policy).residual < 1e-8


def test_strong_regularisation_contracts_and_weak_does_not() -> None:
    weak = contractivity_violations(model(), 50.0, n_policies=20)
    assert weak.fraction > 0.5
    assert weak.worst > 1
    strong = contractivity_violations(model(), 1.0, n_policies=200, n_updates=5)
    assert strong.fraction == 0
    assert 0 < strong.n_tested < strong.n_drawn == 200
    assert 0 < strong.worst < 1
    assert strong.equilibrium.converged
    shortsighted = contractivity_violations(model(discount=0.0), 1.0, n_policies=40)
    assert shortsighted.fraction == 0  # as the Thesis finds
    again = contractivity_violations(model(discount=0.0), 1.0, n_policies=40, population_steps=1)
    assert again.n_tested == shortsighted.n_tested


def test_generalised_monotonicity_is_measured_in_the_policys_own_mean_field() -> None:
    """The equilibrium's policy against itself gains 0; seeds determine what is drawn."""
    found = monotonicity_violations(model(), 5.0, n_policies=20)
    assert found.worst < 0  # random bids lose against the equilibrium's
    assert found.fraction == 0
    again = monotonicity_violations(model(), 5.0, n_policies=20, nash=found.equilibrium.policy)
    assert again.worst == pytest.approx(found.worst, abs=1e-6)
    assert monotonicity_violations(model(), 5.0, n_policies=20, seed=1).worst != found.worst


def test_policies_on_the_way_violate_monotonicity_where_regularisation_is_weak() -> None:
    """Random policies lose to the equilibrium's in their own mean field; their best responses need not."""
    for rationality, least, most in ((1.0, 0.0, 0.0), (30.0, 0.8, 1.0)):  # measured .95
        drawn = monotonicity_violations(model(), rationality, n_policies=20)
        updated = monotonicity_violations(model(), rationality, n_policies=20, n_updates=3)
        assert drawn.n_tested == updated.n_tested > 5
        assert drawn.fraction == 0.0
        assert least <= updated.fraction <= most
        assert updated.worst >= drawn.worst
