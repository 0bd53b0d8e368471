"""The regulator game: rules by hand, its totals, its policies, configurations that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from agents.learners import TabularLearner
from agents.policies import load
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.files import json_array
from karma_envs.games.lq_regulator import LinearPolicy, LqRegulatorConfig, LqRegulatorGame
from karma_envs.outcome import summarise
from karma_envs.tabulated import tabulated

MATRICES: dict[str, Any] = {
    "target": (1.0, 0.0),
    "state_matrix": ((1.0, 0.5), (0.0, 1.0)),
    "control_matrix": ((0.0,), (2.0,)),
    "state_cost": ((1.0, 0.5), (0.5, 2.0)),
    "control_cost": 3.0,
    "noise": 0.0,
    "target_coupling": ((0.0, 1.0), (0.0, 0.0)),
    "dynamics_coupling": 0.1,
}


def begun(seed: int = 3, **fields: Any) -> LqRegulatorGame:
    game = LqRegulatorGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


def placed(game: LqRegulatorGame, position: list[list[float]]) -> None:
    """Have agents be there."""
    game.load_state_dict({**game.state_dict(), "position": np.array(position)})


def test_a_step_by_hand() -> None:
    """Two agents at (1, 1) and (0, 3): m = (.5, 2), so tau = (1 + 2, 0) and the drift is (.05, .2)."""
    game = begun(n_agents=2, **MATRICES, length=5)
    placed(game, [[1.0, 1.0], [0.0, 3.0]])
    assert game.action_space.shape == (1,)
    assert game.observations().tolist() == [[1, 1, 0], [0, 3, 0]]
    rewards = game.step(np.array([[2.0], [-1.0]], np.float32))
    # off by (-2, 1) and (-3, 3): 4 - 2 + 2 = 4 and 9 - 9 + 18 = 18; controls cost 3 u^2 / 2 = 6 and 1.5
    assert rewards.tolist() == [-10, -19.5]
    assert game.observations() == pytest.approx(np.array([[1.55, 5.2, 1], [1.55, 1.2, 1]]), abs=1e-6)
    assert game.record() == pytest.approx({"mean_1": 1.55, "variance_1": 0, "mean_2": 3.2, "variance_2": 4})


def test_the_last_step_ends_it_and_time_starts_anew() -> None:
    game = begun(n_agents=3, length=2)
    for step in range(2):
        assert set(game.observations()[:, 2].tolist()) == {step}
        game.step(np.zeros((3, 2), np.float32))
    assert game.is_over
    assert set(game.observations()[:, 2].tolist()) == {2}
    game.begin_anew()
    assert set(game.observations()[:, 2].tolist()) == {0}
    assert begun().length is None
    assert begun().observation_space.shape == (2,)


def test_starts_and_noise_are_of_their_distributions() -> None:
    """10^5 agents (seed 3): means within 4 standard errors, covariances 4 sqrt(2 / N) of the largest."""
    covariance = np.array([[0.5, 0.3], [0.3, 0.2]])
    game = begun(
        n_agents=100_000,
        start_mean=(1.0, -2.0),
        start_covariance=covariance,
        noise=((0.5, 0.0), (0.5, 0.1)),
        length=1,
    )
    position = game.states["position"]
    assert position.mean(axis=0) == pytest.approx([1.0, -2.0], abs=4 * np.sqrt(0.5 / 1e5))
    assert np.cov(position.T) == pytest.approx(covariance, abs=4 * 0.5 * np.sqrt(2 / 1e5))
    game.step(np.zeros((100_000, 2), np.float32))
    noise = game.states["position"] - position
    assert np.cov(noise.T) == pytest.approx(
        np.array([[0.25, 0.25], [0.25, 0.26]]), abs=4 * 0.26 * np.sqrt(2 / 1e5)
    )
    # what disturbs a step has nothing to do with where agents started
    assert np.abs(np.corrcoef(noise.T, position.T)[:2, 2:]).max() < 4 / np.sqrt(1e5)


def test_totals_of_positions() -> None:
    """Mean and variance over agents and steps, of positions before each step, also after loading a state."""
    game = begun(n_agents=20)
    policy = game.baselines["uncontrolled"](game)
    assert np.isnan(game.outcome().position_mean).all()
    first = game.rollout(policy, 7).observations[:-1]
    copy = begun(5, n_agents=20)
    copy.load_state_dict(game.state_dict())
    second = copy.rollout(policy, 5).observations[:-1]
    outcome, seen = copy.outcome(), np.concatenate([first, second]).reshape(-1, 2).astype(float)
    assert outcome.position_mean == pytest.approx(seen.mean(axis=0), abs=1e-5)
    assert outcome.position_variance == pytest.approx(seen.var(axis=0), abs=1e-5)
    assert copy.tables()["positions"]["variance"] == pytest.approx(seen.var(axis=0), abs=1e-5)
    measured = summarise([game.outcome(), outcome.since(game.outcome())], game.metrics)
    assert measured["position_variance"].value == pytest.approx(seen.var(axis=0).mean(), abs=1e-5)
    with pytest.raises(ValueError, match="square_total"):
        copy.load_state_dict({**copy.state_dict(), "square_total": np.full((20, 2), -1.0)})


def test_rewards_stay_finite_whatever_is_played() -> None:
    """A system that doubles in every step, with the largest costs there are, for longer than floats last."""
    game = begun(n_agents=2, state_matrix=2.0, state_cost=1e4, target_coupling=1e4, length=200)
    rewards = game.rollout(game.uniform_policy(), 200).rewards
    assert np.isfinite(rewards).all()
    assert np.isfinite(game.observations()).all()
    assert rewards.min() < -1e20
    assert game.reward_bounds == (-np.inf, 0.0)
    begun(n_agents=2, state_matrix=2.0, length=200).load_state_dict(game.state_dict())


def test_the_best_control_is_hardly_ever_clipped() -> None:
    """With the defaults and noise of variance .1, 10^6 controls at rest (seed 4) keep away from the bound.

    A control has variance K^2 .16117 + .1 = .2156, and 5 is 10.8 standard deviations away.
    """
    game = LqRegulatorGame(n_agents=10_000)
    _, best = game.references()["equilibrium"]
    game.reset(np.random.default_rng(4))
    actions = game.rollout(LinearPolicy(best.gain, best.offset, 0.1), 50).actions
    assert np.abs(actions).max() < 4.0
    assert actions[-10:].std() == pytest.approx(np.sqrt(0.2156), rel=0.02)


def test_it_has_no_cells_and_its_returns_no_bound() -> None:
    game = LqRegulatorGame()
    with pytest.raises(ConfigError, match="what is observed is in Box"):
        tabulated(game)
    with pytest.raises(ConfigError, match="finite observations"):
        TabularLearner(game)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": ()}, r"target = \(\) is not allowed; allowed: 1 to 64 numbers"),
        ({"target": 1.0}, "target = 1.0 is not allowed"),
        (
            {"state_matrix": ((1, 2), (3,))},
            r"state_matrix = .* allowed: a number, or 2 row\(s\) of 2 numbers",
        ),
        ({"state_matrix": ((1, 2, 3), (3, 4, 5))}, "state_matrix"),
        ({"control_matrix": ((1,), (2,), (3,))}, "control_matrix = .* allowed: a number, or 2 row"),
        ({"control_matrix": ((), ())}, "control_matrix"),
        ({"noise": ((1, float("nan")), (0, 1))}, "noise = nan"),
        ({"noise": "loud"}, "noise = 'loud'"),
        ({"state_cost": ((1, 2), (3, 4))}, "state_cost = .* allowed: a symmetric matrix"),
        ({"state_cost": ((1, 2), (2, 1))}, "positive semidefinite matrix; the least eigenvalue is -1"),
        ({"control_cost": 0}, "control_cost = 0 is not allowed; allowed: a positive definite matrix"),
        ({"control_cost": ((1, 0), (0, 0))}, "control_cost"),
        ({"start_covariance": -1}, "start_covariance"),
        ({"start_mean": (1, 2, 3)}, "start_mean = .* allowed: 2 numbers"),
        ({"discount": 1}, "discount"),
        ({"length": 0}, "length"),
        ({"largest_action": 0}, "largest_action"),
        ({"target_coupling": 1e5}, "target_coupling"),
        ({"n_agents": 0}, "n_agents"),
        ({"state_matrix": 1.1, "control_matrix": ((0,), (1,))}, "control_matrix = .* stabilisable"),
        ({"state_cost": 0}, "state_cost = 0.0 is not allowed; allowed: .* bring the population to rest"),
        ({"state_matrix": 2.0, "discount": 0.1}, "state_cost = .*: its spectral radius is 1.9"),
        ({"dynamics_coupling": 1.0}, "dynamics_coupling = 1.0 is not allowed; .* spectral radius is 1.7"),
    ],
)
def test_configurations_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LqRegulatorConfig(**fields)


def test_with_an_end_there_need_be_no_rest() -> None:
    """Unstable systems that nothing controls, and controls that do not matter, are fine for some steps."""
    for fields in ({"state_matrix": 1.1, "control_matrix": ((0,), (1,))}, {"state_cost": 0}):
        game = LqRegulatorGame(length=5, **fields)
        assert "equilibrium" in game.references()


def test_configurations_survive_plain_data() -> None:
    config = LqRegulatorConfig(**MATRICES, length=4)
    assert LqRegulatorConfig.from_dict(config.to_dict()) == config
    assert (
        LqRegulatorConfig(state_cost=np.eye(2).tolist()).regulator.state_cost.tolist() == np.eye(2).tolist()
    )
    assert isinstance(LqRegulatorConfig(control_matrix=np.eye(2)).control_matrix, tuple)
    assert make("lq_regulator", target=(1.0,)).observation_space.shape == (1,)


@pytest.mark.parametrize("steps", [(), (3,)])
def test_policies_in_files_and_as_parameters(tmp_path: Path, steps: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    policy = LinearPolicy(rng.normal(size=(*steps, 2, 3)), rng.normal(size=(*steps, 2)), 0.25)
    loaded = load(policy.save(tmp_path / "policy.npz"))
    assert isinstance(loaded, LinearPolicy)
    for other in (loaded, policy.with_parameters(policy.parameters)):
        assert np.array_equal(other.gain, policy.gain)
        assert np.array_equal(other.offset, policy.offset)
        assert other.variance == 0.25
    assert len({len(column) for column in policy.table().values()}) == 1
    assert policy.table()["gain_3"].tolist() == policy.gain[..., 2].ravel().tolist()
    damaged = {"metadata": json_array({"format": LinearPolicy.FORMAT, "version": 1, "variance": 1.0})}
    with pytest.raises(ValueError, match="it holds no policy"):
        LinearPolicy.from_arrays(damaged)


def test_policies_that_cannot_be() -> None:
    for gain, offset, variance, named in (
        ([1.0], [1.0], 0, "gain"),
        ([[np.nan]], [1.0], 0, "gain"),
        ([[1.0]], [1.0, 2.0], 0, "offset"),
        ([[1.0]], [1.0], -1, "variance"),
    ):
        with pytest.raises(ConfigError, match=named):
            LinearPolicy(gain, offset, variance)
    with pytest.raises(ConfigError, match=r"variance = 0\.0"):
        LinearPolicy([[1.0]], [1.0]).score(np.ones((1, 1)), np.ones((1, 1)))


def test_a_policy_acts_as_it_says() -> None:
    """Its own gain in each step; the last one's beyond; noise of its variance, 10^5 draws (seed 7)."""
    policy = LinearPolicy([[[1.0]], [[2.0]]], [[0.0], [10.0]])
    observations = np.array([[3.0, 0.0], [3.0, 1.0], [3.0, 2.0]], np.float32)
    streams = np.array([7], np.uint64)
    assert policy.act(observations, streams).ravel().tolist() == [-3, 4, 4]
    assert streams[0] == 7  # nothing is drawn
    noisy = LinearPolicy([[1.0]], [0.0], 0.25).act(np.zeros((100_000, 1), np.float32), streams)
    assert noisy.dtype == np.float32
    assert float(noisy.var()) == pytest.approx(0.25, abs=4 * 0.25 * np.sqrt(2 / 1e5))


@given(st.integers(0, 1000), st.sampled_from([(), (3,)]))
def test_scores_are_gradients_of_the_log_density(seed: int, steps: tuple[int, ...]) -> None:
    """By central differences, of SciPy's normal density."""
    rng = np.random.default_rng(seed)
    policy = LinearPolicy(rng.normal(size=(*steps, 2, 2)), rng.normal(size=(*steps, 2)), 0.3)
    observed = np.hstack([rng.normal(size=(4, 2)), rng.integers(0, 3, size=(4, 1))])
    observed = observed if steps else observed[:, :2]
    actions = rng.normal(size=(4, 2))
    score, theta = policy.score(observed, actions), policy.parameters

    def log_density(parameters: Any) -> Any:
        centre = policy.with_parameters(parameters).controls(observed)
        return np.array(
            [multivariate_normal(mean, 0.3 * np.eye(2)).logpdf(a) for mean, a in zip(centre, actions)]
        )

    for index in rng.integers(0, len(theta), size=3):
        moved = np.zeros_like(theta)
        moved[index] = 1e-4
        slope = (log_density(theta + moved) - log_density(theta - moved)) / 2e-4
        assert score[:, index] == pytest.approx(slope, abs=1e-6)


def test_the_family_that_gradients_move_in() -> None:
    assert LqRegulatorGame().policy_family().gain.shape == (2, 2)
    family = LqRegulatorGame(length=4).policy_family()
    assert family.gain.shape == (4, 2, 2)
    assert family.variance == 0.1
    low, high = family.bounds
    assert low.shape == high.shape == family.parameters.shape


def test_scenes() -> None:
    game = begun(n_agents=5, target_coupling=0.5)
    scene = game.scene()
    assert "controls" not in scene
    assert scene["target"] == pytest.approx(np.array([0.5, -0.5]) + scene["position"].mean(axis=0) / 2)
    game.step(np.ones((5, 2), np.float32))
    assert np.array_equal(game.scene()["controls"], np.ones((5, 2)))
    alone = LqRegulatorGame(length=2, target_coupling=1.0).against([[1.0, 1.0], [2.0, 2.0]], n_agents=3)
    alone.reset(np.random.default_rng(0))
    for target in ([1.5, 0.5], [2.5, 1.5], [2.5, 1.5]):
        assert alone.scene()["target"].tolist() == target
        if not alone.is_over:
            alone.step(np.zeros((3, 2), np.float32))
