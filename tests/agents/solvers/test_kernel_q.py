"""MFC-K-Q: what it sees, its operator by the formula, and how near its values come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.solvers.control import samples as samples_module
from agents.solvers.control.kernel_q import KernelQ, kernel_q
from agents.solvers.control.population import GamePopulation, LimitPopulation
from karma_envs.config import ConfigError
from karma_envs.games.auction import AuctionGame
from karma_envs.games.two_state_control import TwoStateControlConfig, TwoStateControlGame
from karma_envs.games.two_state_control.closed_forms import planners_value
from karma_envs.games.two_state_control.mean_field import TwoStateControlMeanField

DEFAULT = TwoStateControlConfig()
MODEL = TwoStateControlMeanField(DEFAULT)
SHARES = np.linspace(0, 1, 401)
EXACT = np.array([planners_value(DEFAULT, share) for share in SHARES])


def sup_error(learned: KernelQ) -> float:
    return float(np.abs(learned.values(np.stack([1 - SHARES, SHARES], axis=1)) - EXACT).max())


@pytest.mark.parametrize(
    ("exploration", "bounds"),
    [
        ("net", {4: 0.08, 8: 0.03, 16: 0.011}),
        ("walk", {2: 0.3, 4: 0.1, 8: 0.05}),
        pytest.param("walk", {8: 0.05, 16: 0.012}, marks=pytest.mark.nightly),
    ],
)
def test_the_largest_error_shrinks_with_epsilon(exploration: str, bounds: dict[int, float]) -> None:
    """Measured were .0768, .0279, .0100 on the net and .0873, .0348, .0082 walking, from 1/4 on."""
    errors = {steps: sup_error(kernel_q(MODEL, net_steps=steps, exploration=exploration)) for steps in bounds}
    assert all(errors[steps] < bound for steps, bound in bounds.items()), errors
    assert list(errors.values()) == sorted(errors.values(), reverse=True)


@pytest.mark.parametrize("exploration", ["net", "walk"])
@pytest.mark.parametrize("kernel_name", ["triangular", "gaussian"])
def test_it_is_the_fixed_point_of_the_operator_on_pairs(exploration: str, kernel_name: str) -> None:
    """B_K by its formula, with distances in P(S) x H, over all samples and all policies of the net."""
    learned = kernel_q(
        MODEL, net_steps=3, population_steps=7, exploration=exploration, kernel_name=kernel_name
    )
    seen = learned.samples.seen
    mean_fields, q = learned.samples.mean_fields[seen], learned.q[seen]
    policies = learned.net[np.nonzero(seen)[1]]

    def largest(mean_field: NDArray[np.float64]) -> float:
        values = []
        for policy in learned.net:
            apart = np.abs(policies - policy).max(axis=(1, 2)) / learned.epsilon
            ratio = np.maximum(np.abs(mean_fields - mean_field).max(axis=1) * 7, apart)
            weights = np.maximum(1 - ratio, 0) if kernel_name == "triangular" else np.exp(-2 * ratio**2)
            weights = np.where(ratio < 1 - 1e-12, weights, 0)
            values.append(weights @ q / weights.sum())
        return max(values)

    following = learned.samples.following[seen]
    rewards = learned.samples.rewards[seen]
    again = [reward + 0.8 * largest(after) for reward, after in zip(rewards, following)]
    np.testing.assert_allclose(again, q, atol=1e-8)


def test_a_walk_sees_all_of_the_net_in_few_steps() -> None:
    learned = kernel_q(MODEL, net_steps=4, seed=1)
    samples = learned.samples
    assert learned.coverage == 1
    assert 17 * 25 <= samples.steps < 2 * 17 * 25
    share = samples.mean_fields[..., 1]
    assert (np.abs(share - np.linspace(0, 1, 17)[:, None]) <= 1 / 32 + 1e-12).all()
    toward = (share[..., None] * learned.net[:, 1, 1][None, :, None])[..., 0]
    toward += (1 - share) * learned.net[:, 0, 1]
    np.testing.assert_allclose(samples.following[..., 1], 0.9 * toward + 0.1 * share, atol=1e-12)
    again = kernel_q(MODEL, net_steps=4, seed=1)
    np.testing.assert_array_equal(again.q, learned.q)


def test_what_cannot_be_reached_is_left_out() -> None:
    """With control .001 the share moves by at most .001 a step: 60 steps from 1/2 do not leave its cell."""
    config = TwoStateControlConfig(control=0.001)
    learned = kernel_q(TwoStateControlMeanField(config), net_steps=4, population_steps=4, max_steps=60)
    assert learned.samples.steps == 60
    np.testing.assert_array_equal(learned.samples.seen.any(axis=1), [False, False, True, False, False])
    assert np.isfinite(learned.value([0.45, 0.55]))
    assert np.isnan(learned.value([0.0, 1.0]))


def test_agents_of_a_game_teach_the_same_and_can_be_led() -> None:
    """2 000 agents, seed 0: noise of the share, .3 / sqrt(2000) = .007, is below half the cells' 1/24.

    From all in state 1, led by what was learned, they come to a share between 1/8 and 3/8 and stay there.
    """
    game = TwoStateControlGame(n_agents=2000, initial_share=1.0)
    game.reset(np.random.default_rng(0))
    learned = kernel_q(game.mean_field(), net_steps=6, population_steps=24, population=GamePopulation(game))
    assert learned.coverage == 1
    assert sup_error(learned) < 0.25
    game.reset(np.random.default_rng(1))
    led = learned.lead(GamePopulation(game), 30)
    assert (np.abs(led.mean_fields[3:, 1] - 0.25) < 0.125).all()
    assert led.rewards[3:].mean() > 0.09  # of .125; selfish ones have 0
    limit = learned.lead(LimitPopulation(MODEL, np.array([0.0, 1.0])), 30)
    assert limit.payoff(0.8) == pytest.approx(led.payoff(0.8), abs=0.1)


def test_observed_and_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    residuals = []

    def observe(sweep: int, residual: float) -> None:
        residuals.append(residual)
        if sweep == 3:
            raise KeyboardInterrupt

    learned = kernel_q(MODEL, net_steps=4, exploration="net", observer=observe)
    assert learned.interrupted
    assert learned.sweeps == len(residuals) == 3
    assert learned.residual == residuals[-1] < residuals[0]

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(samples_module, "_steps_to", interrupt)
    stopped = kernel_q(MODEL, net_steps=4)
    assert stopped.interrupted
    assert 0 < stopped.coverage < 1
    assert np.isfinite(stopped.q).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"net_steps": 0}, "net_steps = 0"),
        ({"net_steps": 400}, "net_steps = 400"),
        ({"exploration": "wak"}, "exploration = 'wak'"),
        ({"kernel_name": "box"}, "kernel_name = 'box'"),
        ({"tolerance": 0}, "tolerance = 0"),
        ({"max_steps": 0}, "max_steps = 0"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kernel_q(MODEL, **options)


def test_games_that_are_too_large_or_have_types_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"net_steps = 8 .* 10 states and 10 actions"):
        kernel_q(AuctionGame().mean_field())
    game = TwoStateControlGame(n_agents=2)
    game.discounts = np.array([0.8, 0.9])
    with pytest.raises(ConfigError, match="2 types"):
        GamePopulation(game)
