"""A crowd with incentives: water-filling, its potential, and the incentive that makes any density."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agents
import karma_envs
from karma_envs.crowds.water_filling import inducing_incentive, potential, water_filling
from karma_envs.incentives import incentivised

AREA = 0.25
FIELD = np.array([3.0, 2.0, 1.0, 0.5, 0.0])


def brute_force(field, paid, alpha, n=4000):
    """Agents come one by one, each to the cell where it gets most: the game of N with 1 / N of mass each."""
    counts = np.zeros(len(field))
    for _ in range(n):
        rewards = field / (1 + (counts + 0.5) / (n * AREA)) ** alpha + paid
        counts[rewards.argmax()] += 1
    return counts / (n * AREA)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    "paid", [[0, 0, 0.5, 1, 0], [-1, 0, 1, 0, -3], [0, 0, 0, 0, 0.9], [0.0, 0, 0, 0, 4.0]]
)
def test_water_filling_is_what_agents_do_one_by_one(paid, alpha):
    paid = np.array(paid, float)
    density, level = water_filling(FIELD, AREA, alpha, paid)
    assert density.sum() * AREA == pytest.approx(1)
    np.testing.assert_allclose(density, brute_force(FIELD, paid, alpha), atol=0.01)
    rewards = FIELD / (1 + density) ** alpha + paid
    np.testing.assert_allclose(rewards[density > 0], level)
    assert (rewards <= level + 1e-9).all()


def test_no_incentive_gives_the_same_bits():
    without = water_filling(FIELD, AREA, 1.5)
    paid = water_filling(FIELD, AREA, 1.5, np.zeros(5))
    np.testing.assert_array_equal(without[0], paid[0])
    assert without[1] == paid[1]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 3.0]))
def test_the_equilibrium_has_the_greatest_potential(seed, alpha):
    """No other density has more; and mass that is moved changes it by the difference of rewards."""
    rng = np.random.default_rng(seed)
    field, paid = rng.uniform(0.1, 2, 6), rng.normal(size=6)
    density, _ = water_filling(field, AREA, alpha, paid)
    greatest = potential(density, field, AREA, alpha, paid)
    for share in (1e-3, 0.1, 1.0):
        other = rng.dirichlet(np.ones(6)) / AREA
        mixed = (1 - share) * density + share * other
        assert potential(mixed, field, AREA, alpha, paid) <= greatest + 1e-12
    other = rng.dirichlet(np.ones(6)) / AREA
    move = np.array([1.0, -1, 0, 0, 0, 0]) * 1e-6
    rewards = field / (1 + other) ** alpha + paid
    after, before = (potential(other + sign * move, field, AREA, alpha, paid) for sign in (1, -1))
    assert (after - before) / 2e-6 == pytest.approx(AREA * (rewards[0] - rewards[1]), rel=1e-4, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 3.0]))
def test_any_density_can_be_made_the_equilibrium(seed, alpha):
    rng = np.random.default_rng(seed)
    field, wanted = rng.uniform(0.1, 2, 6), rng.dirichlet(np.ones(6)) / AREA
    paid = inducing_incentive(wanted, field, alpha)
    assert AREA * (paid * wanted).sum() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(water_filling(field, AREA, alpha, paid)[0], wanted, rtol=1e-9, atol=1e-9)


def test_a_solver_finds_it_and_nobody_gains():
    """In two steps, of which agents are paid to be at the left in the first, at the right in the second."""
    game = incentivised(
        karma_envs.make("spatial_congestion", length=2, grid_cells=60),
        lambda features: 0.1 * features[:, 0] * (4 * features[:, 2] - 1),
    )
    found = agents.solve(game)
    assert found.converged
    assert found.exploitability < 1e-9
    flow = np.reshape(found.statistic, (2, -1))
    mean_x = flow @ game.game.grid.places[:, 0] * game.game.grid.cell_area
    assert mean_x[0] < -0.3
    assert mean_x[1] == pytest.approx(-mean_x[0])
    given = game.against(found.statistic)
    assert given.mean_field().exploitability(found.policy).absolute < 1e-9


def test_policies_without_a_plan_are_played_with_incentives():
    """All stay where they start, at (1, 0) on average, and are paid a tenth of x."""
    game = karma_envs.make("spatial_congestion", start_variance=0.01)
    paid = incentivised(game, lambda features: 0.1 * features[:, 0])

    class Staying:
        def act(self, observations, streams):
            return np.zeros((len(observations), 2), np.float32)

    z = game.mean_field().initial_statistic
    values = [each.mean_field().policy_value(Staying(), z)[0] for each in (game, paid)]
    assert values[1] - values[0] == pytest.approx(0.1, abs=1e-3)
