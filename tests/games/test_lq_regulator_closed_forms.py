"""Riccati equations, populations at rest and equilibria of the regulator game, against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents import solve
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.games.lq_regulator import LinearPolicy, LqRegulatorConfig, LqRegulatorGame
from karma_envs.games.lq_regulator import closed_forms as lq
from karma_envs.games.lq_regulator.mean_field import LqRegulatorMeanField

Array = NDArray[np.float64]


def config_of(seed: int, **fields: Any) -> LqRegulatorConfig:
    """A random stabilisable system of 1 to 3 dimensions and 1 to 3 controls, perhaps unstable by itself."""
    rng = np.random.default_rng(seed)
    d, m = rng.integers(1, 4, size=2)

    def spread(n: int) -> Array:
        root = rng.normal(size=(n, n))
        return root @ root.T + 0.1 * np.eye(n)

    matrices = {
        "state_matrix": rng.normal(size=(d, d)) * 0.6,
        "control_matrix": rng.normal(size=(d, m)),
        "state_cost": spread(d),
        "control_cost": spread(m),
        "noise": rng.normal(size=(d, d)) * 0.3,
        "target_coupling": rng.normal(size=(d, d)) * 0.3,
        "dynamics_coupling": rng.normal(size=(d, d)) * 0.1,
        "start_covariance": spread(d),
    }
    vectors = {"target": rng.normal(size=d), "start_mean": rng.normal(size=d)}
    return LqRegulatorConfig(**{"discount": rng.uniform(0.5, 0.99), **matrices, **vectors, **fields})


def model_of(seed: int, **fields: Any) -> LqRegulatorMeanField:
    """Not of a random system that is refused, as its population would not come to rest."""
    try:
        return LqRegulatorMeanField(config_of(seed, **fields))
    except ConfigError:
        reject()


seeds = st.integers(0, 10_000)


def test_the_scalar_equation_by_hand() -> None:
    """A = 1, B = b: P = q + gamma P - (gamma b P)^2 / (r/2 + gamma b^2 P) is a quadratic equation in P."""
    config = LqRegulatorConfig(target=(0.5,))
    gamma, b, q, half_r = 0.99, 0.3, 0.5, 0.5
    # gamma b^2 P^2 - (q gamma b^2 - (1 - gamma) r/2) P - q r/2 = 0
    value = max(np.roots([gamma * b**2, (1 - gamma) * half_r - gamma * b**2 * q, -q * half_r]).real)
    assert config.value == pytest.approx(value, abs=1e-12)
    gain = gamma * b * value / (half_r + gamma * b**2 * value)
    assert config.regulator.gain(config.value) == pytest.approx(gain, abs=1e-12)
    variance = 0.25**2 / (1 - (1 - b * gain) ** 2)
    policy = LinearPolicy([[gain]], [gain * 0.5])
    rest = LqRegulatorMeanField(config).rest(policy)
    assert rest.mean == pytest.approx(0.5, abs=1e-12)
    assert rest.covariance == pytest.approx(variance, abs=1e-12)
    assert variance == pytest.approx(0.14088, abs=5e-6)
    exploring = LinearPolicy(policy.gain, policy.offset, 0.1)
    covariance = LqRegulatorMeanField(config).rest(exploring).covariance
    assert covariance == pytest.approx((0.25**2 + 0.1 * b**2) / (1 - (1 - b * gain) ** 2), abs=1e-12)
    assert covariance == pytest.approx(0.16117, abs=5e-6)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_riccati_equation_holds(seed: int) -> None:
    """To 1e-10 of its size; and it is the limit of ever longer games, which are worked back step by step."""
    model = model_of(seed)
    regulator, value = model.config.regulator, model.config.value
    size = np.abs(value).max()
    assert np.abs(regulator.value_before(value) - value).max() <= 1e-10 * size
    assert np.linalg.eigvalsh(value).min() >= -1e-10 * size
    later = np.zeros_like(value)
    for _ in range(20_000):
        later, before = regulator.value_before(later), later
        if np.abs(later - before).max() <= 1e-13 * size:
            break
    assert np.abs(later - value).max() <= 1e-8 * size


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([None, 1, 6]))
def test_no_linear_policy_does_better(seed: int, length: int | None) -> None:
    """Central differences of the payoff vanish at the best response, and every step away loses."""
    model = model_of(seed, length=length)
    rng = np.random.default_rng(seed)
    z = rng.normal(size=model.initial_statistic.shape)
    best = model.best_response(z)
    value = model.policy_value(best, z)[0]
    for _ in range(3):
        way = rng.normal(size=best.parameters.shape)
        way /= np.abs(way).max()
        ahead, back = (
            model.policy_value(best.with_parameters(best.parameters + size * way), z)[0]
            for size in (1e-4, -1e-4)
        )
        assert max(ahead, back) <= value + 1e-9 * abs(value)
        # the second difference bounds what the first may be: it is quadratic there
        assert abs(ahead - back) <= 1e-2 * abs(ahead + back - 2 * value) + 1e-10 * abs(value)
    noisy = LinearPolicy(best.gain, best.offset, 0.1)
    assert model.policy_value(noisy, z)[0] < value


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_the_payoff_without_an_end_is_that_of_a_long_game(seed: int) -> None:
    """Two formulations: Lyapunov equations, and sums over steps up to where the rest is rounding."""
    model = model_of(seed, discount=0.9)
    rng, length = np.random.default_rng(seed), 400
    z = rng.normal(size=model.initial_statistic.shape)
    best = model.best_response(z)
    policy = LinearPolicy(
        best.gain * rng.uniform(0.8, 1.0), best.offset + rng.normal(size=best.offset.shape), 0.2
    )
    value = model.policy_value(policy, z)
    # from the same start: where the best response is at rest
    drift = model.config.coupling.drifts(z)
    mean, covariance = lq.at_rest(model.config.regulator, best.gain, best.offset, drift)
    config = model.config.replace(length=length, start_mean=mean, start_covariance=covariance)
    steps = LqRegulatorMeanField(config)
    assert steps.policy_value(policy, np.tile(z, (length, 1))) == pytest.approx(value, rel=1e-8)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([None, 1, 2, 7]))
def test_the_equilibrium_is_a_fixed_point(seed: int, length: int | None) -> None:
    """The population that plays a best response to the mean has that mean; and nobody gains anything."""
    model = model_of(seed, length=length)
    found = solve(model)
    assert found.method == "riccati"
    assert found.converged
    z = model.equilibrium_statistic()
    assert z is not None
    assert np.abs(model.statistic_of(model.best_response(z)) - z).max() <= 1e-8 * max(1, np.abs(z).max())
    assert found.exploitability_normalised <= 1e-10
    assert np.array_equal(found.statistic, model.statistic_of(found.policy))


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_flow_of_the_equilibrium_by_one_linear_system(seed: int) -> None:
    """A second formulation: m = F m + f, with F from best responses to flows that are 1 in one place."""
    model = model_of(seed, length=5)
    z = model.equilibrium_statistic()
    assert z is not None
    made = np.array(
        [model.statistic_of(model.best_response(one.reshape(z.shape))).ravel() for one in np.eye(z.size)]
    )
    constant = model.statistic_of(model.best_response(np.zeros_like(z))).ravel()
    flow = np.linalg.solve(np.eye(z.size) - (made - constant).T, constant)
    assert z.ravel() == pytest.approx(flow, abs=1e-7 * max(1, np.abs(flow).max()))


def test_long_games_pass_through_the_equilibrium_without_an_end() -> None:
    """The turnpike: far from both ends the flow is at the mean at rest, whatever the start and the end."""
    fields: dict[str, Any] = {"state_matrix": 0.9, "target_coupling": -0.5, "dynamics_coupling": 0.05}
    forever = make("lq_regulator", **fields).mean_field()
    steps = make("lq_regulator", **fields, length=400, start_mean=3.0).mean_field()
    assert isinstance(forever, LqRegulatorMeanField)
    assert isinstance(steps, LqRegulatorMeanField)
    rest, flow = forever.equilibrium_statistic(), steps.equilibrium_statistic()
    assert rest is not None
    assert flow is not None
    assert flow[0].tolist() == [3.0, 3.0]
    assert flow[200] == pytest.approx(rest, abs=1e-9)
    assert np.abs(flow[-1] - rest).max() > 1e-3


def test_a_shared_target_by_hand() -> None:
    """A = 1: at rest everybody is at the target, so m = alpha + g m, and m = alpha / (1 - g)."""
    for coupling, mean in ((0.5, 1.0), (-1.0, 0.25), (0.0, 0.5)):
        found = solve(make("lq_regulator", target_coupling=coupling))
        assert found.statistic == pytest.approx([mean, -mean], abs=1e-12)
        # there is nothing to pay but for being spread out, whatever the mean
        assert found.efficiency == pytest.approx(-0.24195235528, abs=1e-10)


def test_fixed_point_iteration_comes_to_the_same() -> None:
    for fields in ({"target_coupling": 0.5}, {"target_coupling": -0.6, "length": 10}):
        game = make("lq_regulator", **fields)
        exact, iterated = solve(game), solve(game, "fixed_point")
        assert iterated.converged
        assert iterated.statistic == pytest.approx(exact.statistic, abs=1e-9)
        assert iterated.policy.offset == pytest.approx(exact.policy.offset, abs=1e-9)


def test_games_without_an_equilibrium_and_with_many() -> None:
    """Everybody wants to be at alpha + m: no mean is right, unless alpha = 0, where every mean is."""
    found = solve(make("lq_regulator", target_coupling=1.0))
    assert not found.converged
    assert "singular" in found.reason
    assert make("lq_regulator", target_coupling=1.0).references() == {}
    found = solve(make("lq_regulator", target_coupling=1.0, target=(0.0, 0.0)))
    assert found.converged
    assert found.statistic == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize("coupling", [0.0, 0.5])
def test_theory_in_play(coupling: float) -> None:
    """10^4 agents at rest, noise of variance .1 (seed 1): means within 4 standard errors of a mean of N
    numbers, sqrt(v / N) / (1 - g), as the mean's noise is fed back; variances within 4 of v sqrt(2 / N)."""
    game = LqRegulatorGame(n_agents=10_000, target_coupling=coupling, start_mean=(1.0, -1.0))
    model = LqRegulatorMeanField(game.config)
    mean = model.equilibrium_statistic()
    assert mean is not None
    best = model.best_response(mean)
    game.reset(np.random.default_rng(1))
    game.rollout(LinearPolicy(best.gain, best.offset, 0.1), 60)
    position, variance = game.states["position"], 0.16117139
    error = np.sqrt(variance / 10_000)
    assert position.mean(axis=0) == pytest.approx(mean, abs=4 * error / (1 - coupling))
    assert position.var(axis=0) == pytest.approx([variance] * 2, abs=4 * variance * np.sqrt(2 / 10_000))


def test_the_payoff_of_a_game_that_ends_in_play() -> None:
    """Discounted rewards of 10^5 agents against the flow (seed 2) within 4 standard errors."""
    game = LqRegulatorGame(length=8, target_coupling=0.5, state_matrix=((1.0, 0.2), (0.0, 0.9)), discount=0.9)
    found = solve(game)
    alone = game.against(found.statistic, n_agents=100_000)
    alone.reset(np.random.default_rng(2))
    discounted = 0.9 ** np.arange(8) @ alone.rollout(found.policy, 8).rewards
    error = discounted.std() / np.sqrt(100_000)
    assert error < 0.01
    assert discounted.mean() == pytest.approx(found.payoff, abs=4 * error)
    [(name, (_, best))] = alone.references().items()
    assert name == "best response"
    assert best.offset == pytest.approx(found.policy.offset, abs=1e-12)


def test_policies_that_bring_no_population_to_rest() -> None:
    model = LqRegulatorMeanField(LqRegulatorConfig())
    wandering = LinearPolicy(np.zeros((2, 2)), np.zeros(2))
    assert np.isnan(model.statistic_of(wandering)).all()
    distance = model.exploitability(wandering)
    assert distance.normalised == np.inf
    assert not distance.at_rest
    assert model.curves(wandering) == {}
    with pytest.raises(ConfigError, match="brings a population to rest"):
        model.rest(wandering)
    with pytest.raises(ConfigError, match="the same in every step"):
        model.statistic_of(LinearPolicy(np.zeros((3, 2, 2)), np.zeros((3, 2))))
    with pytest.raises(ConfigError, match="LinearPolicy, of which payoffs are known"):
        model.statistic_of(LqRegulatorGame().uniform_policy())
    assert model.policy_value(LinearPolicy(-np.eye(2), np.zeros(2)), np.zeros(2)).tolist() == [-np.inf]
    with pytest.raises(ConfigError, match="that of a linear-quadratic game"):
        solve(make("meeting_time"), "riccati")


def test_efficiency_in_play() -> None:
    """Mean rewards per step within 4 standard errors: over all steps, and of 10^4 agents at rest (seed 5)."""
    ending = LqRegulatorGame(length=8, target_coupling=0.5, start_mean=2.0)
    found = solve(ending)
    alone = ending.against(found.statistic, n_agents=10_000)
    alone.reset(np.random.default_rng(5))
    rewards = alone.rollout(found.policy, 8).rewards.mean(axis=0)
    assert rewards.mean() == pytest.approx(found.efficiency, abs=float(4 * rewards.std() / 100))
    forever = LqRegulatorGame(n_agents=10_000)
    policy = LinearPolicy(0.5 * np.eye(2), (0.5, 0.0), 0.1)
    model = LqRegulatorMeanField(forever.config)
    game = forever.against(model.statistic_of(policy))
    game.reset(np.random.default_rng(5))
    game.rollout(policy, 100)
    rewards = game.rollout(policy, 1).rewards[0]
    efficiency = model.efficiency(policy)
    assert rewards.mean() == pytest.approx(efficiency[0], abs=float(4 * rewards.std() / 100))
    assert model.efficiency(LinearPolicy(-np.eye(2), (0, 0))).tolist() == [-np.inf]
    assert model.policy_value(policy, np.full(2, np.nan)).tolist() == [-np.inf]
