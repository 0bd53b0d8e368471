"""Spatial congestion: rules by hand, its equilibrium in play, its configurations and policies in files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

from agents import solve
from agents.policies import load
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.games.spatial_congestion import (
    DispersalPolicy,
    SpatialCongestionConfig,
    SpatialCongestionGame,
    TargetPolicy,
)
from karma_envs.games.spatial_congestion.closed_forms import peak_level
from karma_envs.numerics.density import PlaneGrid

SMALL: dict[str, Any] = {"grid_cells": 24, "bandwidth": 0.25}


def begun(seed: int = 3, **fields: Any) -> SpatialCongestionGame:
    game = SpatialCongestionGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


def at(game: SpatialCongestionGame, positions: list[list[float]]) -> None:
    """Put agents there."""
    game.load_state_dict({**game.state_dict(), "position": np.array(positions, np.float64)})


@njit
def ramp(x: float, y: float) -> float:
    """A field that is linear in both directions; interpolation is exact."""
    return 4.0 + x + 0.5 * y


def test_a_step_by_hand_among_a_given_density() -> None:
    """m = 1 everywhere, alpha = 2, eta = .5; peaks 1/(2 pi) e^-|x|^2 and 3/(8 pi) e^-|x - (2, 0)|^2 / 4."""
    game = SpatialCongestionGame(
        n_agents=2,
        crowd_aversion=2,
        movement_cost=0.5,
        peaks=((0, 0), (2, 0)),
        scales=(1, 2),
        weights=(1, 3),
    ).against(np.ones(10_000))
    game.reset(np.random.default_rng(0))
    at(game, [[1.0, 0.0], [0.0, 1.0]])
    rewards = game.step(np.array([[-1.0, 1.0], [2.0, 0.0]], np.float32))
    field = [
        math.exp(-1) / (2 * math.pi) + 3 * math.exp(-5 / 4) / (8 * math.pi),
        math.exp(-5) / (2 * math.pi) + 3 * math.exp(-1 / 4) / (8 * math.pi),
    ]
    assert rewards == pytest.approx([field[0] / 4 - 0.25 * 2, field[1] / 4 - 0.25 * 4], abs=1e-7)
    assert game.is_over
    assert game.states["position"] == pytest.approx(np.array([[0.0, 1.0], [2.0, 1.0]]))


def test_agents_meet_the_density_of_where_they_arrive() -> None:
    """Ten at one place of a flat field, one far away: the kernel's height is 1 / (2 pi h^2) each."""
    flat = np.ones((100, 100))
    game = begun(n_agents=11, desirability=flat, bandwidth=0.3)
    at(game, [[1.0, 1.0]] * 11)
    actions = np.zeros((11, 2), np.float32)
    actions[10] = [-3.0, -3.0]
    rewards = game.step(actions)
    height = 1 / (2 * math.pi * 0.3**2 * 11)
    assert rewards[:10] == pytest.approx(1 / (1 + 10 * height), rel=0.01)
    assert rewards[10] == pytest.approx(1 / (1 + height), rel=0.01)
    assert game.last_step is not None
    assert game.last_step.statistic.sum() * game.grid.cell_area == pytest.approx(1)


def test_nobody_leaves_the_region() -> None:
    game = begun(n_agents=3, start_mean=(3.0, -3.0), **SMALL)
    assert (np.abs(game.states["position"]) <= 3).all()
    game.step(np.array([[4, 4], [-4, -4], [4, -4]], np.float32))
    assert (np.abs(game.states["position"]) <= 3).all()
    assert game.states["position"][2].tolist() == [3.0, -3.0]


def test_disturbed_moves() -> None:
    """sigma = .2: 10^4 agents (seed 4) who do not move; variances add up, within 4 standard errors."""
    game = begun(4, n_agents=10_000, noise=0.2, length=2, **SMALL)
    stay = np.zeros((10_000, 2), np.float32)
    for steps in (1, 2):
        game.step(stay)
        variance = game.states["position"].var(axis=0)
        expected = 0.1 + steps * 0.04
        assert variance == pytest.approx([expected] * 2, rel=4 * math.sqrt(2 / 10_000))


def test_where_there_are_several_steps_agents_know_the_time() -> None:
    game = begun(n_agents=5, length=4, **SMALL)
    assert game.observation_space.shape == (3,)
    for step in range(4):
        assert game.observations()[:, 2].tolist() == [step / 4] * 5
        game.step(np.zeros((5, 2), np.float32))
    assert game.is_over
    assert game.observation_space.contains(game.observations()[0])
    game.begin_anew()
    assert game.observations()[0, 2] == 0
    assert game.discounts.tolist() == [0.99]
    assert begun(n_agents=5).discounts.tolist() == [0.0]


@pytest.mark.parametrize(
    "field",
    [
        ramp,
        "tests.games.test_spatial_congestion:ramp",
        [[4.0 + x + 0.5 * y for y in (-2, 0, 2)] for x in (-2, 0, 2)],
    ],
    ids=["jitted", "named", "rows"],
)
def test_fields_of_ones_own(field: Any) -> None:
    cells = {"grid_cells": 4} if not isinstance(field, list) else {}
    if isinstance(field, list):
        with pytest.raises(ConfigError, match="desirability"):
            SpatialCongestionConfig(desirability=field, grid_cells=4, bandwidth=1.5)
        field = [[4.0 + x + 0.5 * y for y in (-2.25, -0.75, 0.75, 2.25)] for x in (-2.25, -0.75, 0.75, 2.25)]
        cells = {"grid_cells": 4}
    game = begun(n_agents=2, desirability=field, bandwidth=1.5, **cells)
    places = np.array([[0.3, -1.0], [-2.0, 2.0]])
    expected = 4 + places @ [1, 0.5]
    assert game.desirability(places, np.zeros(2, np.int64)) == pytest.approx(expected)
    assert game.reward_bounds == (0, pytest.approx(4 + 2.25 * 1.5))


def test_fields_travel_as_plain_data() -> None:
    rows = np.arange(16.0).reshape(4, 4)
    config = SpatialCongestionConfig(desirability=rows, grid_cells=4, bandwidth=1.5)
    assert SpatialCongestionConfig.from_dict(config.to_dict()) == config
    assert hash(config) == hash(config.replace(n_agents=1000))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crowd_aversion": 0}, r"crowd_aversion = 0 is not allowed; allowed: a number in \(0, 100\]"),
        ({"movement_cost": -1}, "movement_cost"),
        ({"peaks": ()}, "peaks"),
        ({"peaks": (0, 0)}, "peaks"),
        ({"peaks": ((0, math.nan),)}, "peaks"),
        ({"scales": 0}, "scales"),
        ({"weights": (1, 2)}, "weights = .* allowed: one number for each of the 1 peaks, or one for all"),
        ({"start_mean": (4, 0)}, "start_mean"),
        ({"start_mean": 1}, "start_mean"),
        ({"region": ((-1, 1),)}, "region"),
        ({"region": ((1, -1), (0, 1))}, "region"),
        ({"bandwidth": 0.01}, r"bandwidth = 0.01 is not allowed; allowed: a number in \[0.06, 1.5\]"),
        ({"grid_cells": 3}, "cells"),
        ({"length": 0}, "length"),
        ({"discount": 1}, "discount"),
        ({"largest_move": 0}, "largest_move"),
        ({"noise": -0.1}, "noise"),
        ({"desirability": [[1, 2], [3]]}, "desirability"),
        ({"desirability": 3}, "desirability"),
        ({"desirability": -np.ones((100, 100))}, "desirability"),
        ({"desirability": np.zeros((100, 100))}, "desirability"),
        ({"desirability": "math:sqrt"}, "desirability"),
        ({"desirability": "no_such_module:field"}, "desirability"),
        ({"desirability": lambda x, y: "high"}, "desirability"),
    ],
)
def test_configurations_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SpatialCongestionConfig(**fields)


def test_the_equilibrium_in_play() -> None:
    """1000 agents play it 40 times (seed 3); E|x|^2 and the mean reward within 4 standard errors.

    The grid adds spacing^2 / 6 to the spread. Rewards differ from lambda by the estimator's bias, by some
    percent: an agent counts itself, and the kernel flattens the top.
    """
    game = begun()
    _, policy = game.references()["equilibrium"]
    spreads, rewards = [], []
    for _ in range(40):
        rewards.append(float(game.rollout(policy, 1).rewards.mean()))
        spreads.append(float((game.states["position"] ** 2).sum(axis=1).mean()))
    error = np.std(spreads) / math.sqrt(40)
    assert 0.0005 < error < 0.002
    assert np.mean(spreads) == pytest.approx(0.2204 + 0.06**2 / 6, abs=4 * error)
    value = 1 / (2 * math.pi * peak_level(1.0))
    assert np.mean(rewards) == pytest.approx(value, rel=0.03)


def test_two_equal_peaks_have_half_the_mass_each() -> None:
    """1000 agents, 20 times (seed 3), within 4 standard errors of a share, sqrt(.25 / 20000) = .0035."""
    game = begun(**SpatialCongestionGame.presets["bimodal"])
    _, policy = game.references()["equilibrium"]
    left = []
    for _ in range(20):
        game.rollout(policy, 1)
        left.append(float((game.states["position"][:, 0] < -0.5).mean()))
    assert np.mean(left) == pytest.approx(0.5, abs=4 * 0.0035)


def test_best_responses_among_a_given_density() -> None:
    """A crowd at the peak drives an agent to the ring where g / (1 + m) is greatest, wherever it starts."""
    game = SpatialCongestionGame(n_agents=50)
    crowd = 20.0 * (np.hypot(*game.grid.places.T) < 0.5)
    alone = game.against(crowd)
    ((name, (reference, best)),) = alone.references().items()
    assert name == "best response"
    reference.reset(np.random.default_rng(1))
    rewards = reference.rollout(best, 1).rewards
    assert np.hypot(*reference.states["position"].T) == pytest.approx(0.53, abs=0.06)
    reference.reset(np.random.default_rng(1))
    assert rewards.mean() > 2 * reference.rollout(game.uniform_policy(), 1).rewards.mean()


def test_it_is_solved_by_name() -> None:
    equilibrium = solve(make("spatial_congestion", crowd_aversion=2.0, **SMALL))
    assert equilibrium.method == "water_filling"
    assert equilibrium.converged
    assert equilibrium.exploitability_normalised < 1e-12
    with pytest.raises(
        ConfigError, match=r"movement_cost = 1\.0 is not allowed; allowed: 0, for water-filling"
    ):
        solve(make("spatial_congestion", movement_cost=1.0), "water_filling")
    with pytest.raises(ConfigError, match="water-filling"):
        solve(make("meeting_time"), "water_filling")


def test_where_moves_cost_something_beliefs_are_averaged() -> None:
    """eta = 1: agents go part of the way; nobody gains more than 1 % of |J| by another move."""
    equilibrium = solve(make("spatial_congestion", movement_cost=1.0, **SMALL), tolerance=0.01)
    assert equilibrium.method == "averaged_beliefs"
    assert equilibrium.converged
    x = SpatialCongestionConfig(**SMALL).grid.places[:, 0]
    mean_x = float(equilibrium.statistic @ x / equilibrium.statistic.sum())
    assert 0.5 < mean_x < 0.95


@pytest.mark.parametrize("kind", [DispersalPolicy, TargetPolicy])
def test_policies_in_files(kind: Any, tmp_path: Path) -> None:
    grid = PlaneGrid((0.0, 0.0), (2.0, 1.0), (2, 2))
    plan = np.arange(1.0, 9.0).reshape(2, 4)
    policy = kind(plan if kind is DispersalPolicy else np.stack([plan, plan], axis=2), grid)
    loaded = load(policy.save(tmp_path / "policy.npz"))
    assert isinstance(loaded, kind)
    assert (loaded.grid, loaded.plan.tolist()) == (grid, policy.plan.tolist())
    assert [len(column) for column in policy.table().values()] == [8] * len(policy.table())
    with pytest.raises(ConfigError, match="plan"):
        kind(np.ones((1, 3)), grid)


def test_dispersal_is_as_planned() -> None:
    """Cells of densities 3 : 1, the others 0; 10^4 agents (stream 7), share within 4 standard errors."""
    grid = PlaneGrid((0.0, 0.0), (2.0, 2.0), (2, 2))
    policy = DispersalPolicy([[3.0, 0.0, 0.0, 1.0]], grid)
    places = policy.act(np.zeros((10_000, 2), np.float32), np.array([7], np.uint64))
    low_corner = (places < 1).all(axis=1)
    assert low_corner.mean() == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 10_000))
    assert ((places >= 1).all(axis=1) | low_corner).all()
    assert places[low_corner].mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.02)
    with pytest.raises(ConfigError, match="plan"):
        DispersalPolicy([[1.0, -1.0, 0.0, 0.0]], grid)


def test_scenes() -> None:
    game = begun(n_agents=5, **SMALL)
    assert "density" not in game.scene()
    assert game.record() == {}
    game.step(np.zeros((5, 2), np.float32))
    scene = game.scene()
    assert scene["density"].shape == scene["desirability"].shape == (24, 24)
    assert scene["positions"].shape == (5, 2)
    assert set(game.record()) == {"mean_x", "mean_y", "spread"}
