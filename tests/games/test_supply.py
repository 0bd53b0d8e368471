"""Supply with uncertain demand: rules by hand, what the source tells of it, policies in files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import solve
from agents.policies import load
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.games.supply import SupplyConfig, SupplyGame, TrackingPolicy

COARSE: dict[str, Any] = {"grid_cells": 20, "bandwidth": 0.2}


def begun(seed: int = 3, **fields: Any) -> SupplyGame:
    game = SupplyGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


def rewards_of_steps(game: SupplyGame, policy: Any, episodes: int = 3) -> np.ndarray:
    """``[T]``: mean rewards of all firms."""
    played = [game.rollout(policy, 30).rewards.mean(axis=1, dtype=np.float64) for _ in range(episodes)]
    return np.mean(played, axis=0)


def test_a_step_by_hand_among_a_given_flow() -> None:
    """Demand 1 / pi at its peak, from (0, 0) to (1, 0) in three steps; m = 3, alpha = .5; B = .5, eta = 2."""
    game = SupplyGame(
        n_agents=1,
        length=3,
        path=((0, 0), (1, 0)),
        demand_scale=1,
        demand=2,
        crowd_aversion=0.5,
        move_scale=0.5,
        start_variance=0,
    ).against(np.full((3, 3600), 3.0))
    game.reset(np.random.default_rng(0))
    assert game.peaks.tolist() == [[0, 0], [0.5, 0], [1, 0]]
    assert game.observations().tolist() == [[np.float32(-0.2), 0, 0]]
    paid = [game.step(np.array([move], np.float32))[0] for move in ([0.4, 0.0], [1.0, 2.0], [0.0, 0.0])]
    peak = 1 / (2 * math.pi)
    assert paid == pytest.approx([peak - 0.16, peak * math.exp(-1) - 5, peak * math.exp(-1.25)], abs=1e-6)
    assert game.is_over


def test_demand_takes_its_path_in_equal_times() -> None:
    game = SupplyGame()
    assert game.peaks.shape == (30, 2)
    assert game.peaks[[0, -1]].tolist() == [[-0.9, 0.15], [1.5, 0.15]]
    radii = np.hypot(*(game.peaks - [0.3, 0.15]).T)
    assert radii == pytest.approx(np.full(30, 1.2), abs=0.02)  # a half-circle, but for its chords
    still = SupplyGame(path=((0.5, 0.5),), length=4)
    assert still.peaks.tolist() == [[0.5, 0.5]] * 4


def test_the_five_starts_of_the_source() -> None:
    starts = [SupplyGame.presets[f"start-{number}"]["start_mean"] for number in range(1, 6)]
    assert starts == [(-0.2, 0.0), (-0.2, 0.3), (-0.39, 0.16), (-0.6, 0.0), (-0.6, 0.3)]
    game = begun(n_agents=4000, start_mean=starts[2])
    assert game.states["position"].mean(axis=0) == pytest.approx([-0.39, 0.16], abs=4 * math.sqrt(0.1 / 4000))


def test_with_free_moves_firms_track_demand() -> None:
    """eta = 0: where they are on average follows the peak, and nobody gains by another plan."""
    game = begun(movement_cost=0.0, **COARSE)
    equilibrium = solve(game)
    assert equilibrium.method == "water_filling"
    assert equilibrium.exploitability_normalised < 1e-12
    _, policy = game.references()["equilibrium"]
    played = game.rollout(policy, 30)
    centres = played.observations[1:, :, :2].mean(axis=1)
    error = float(played.observations[1:, :, :2].std(axis=1).max()) / math.sqrt(200)  # seed 3
    assert centres == pytest.approx(game.peaks, abs=5 * error)
    # The kernel's bandwidth, .2 here, is near the crowd's width: firms seem to be fewer, and get more.
    assert equilibrium.efficiency < played.rewards.mean() < 1.1 * equilibrium.efficiency


def test_with_costly_moves_firms_pay_first_and_cut_across() -> None:
    """eta = 2, 200 firms (seed 3): rewards first below 0, then above, and the total beats tracking."""
    game = begun(**COARSE)
    equilibrium = solve(game, iterations=4, tolerance=0.15)
    assert equilibrium.method == "averaged_beliefs"
    assert equilibrium.converged
    planned = rewards_of_steps(game, equilibrium.policy)
    tracking = rewards_of_steps(game, game.references()["tracking"][1])
    assert planned[:3].max() < 0 < planned[10:].min()
    assert planned.sum() > 0 > tracking.sum()
    assert planned[1:].sum() > 3 * tracking[1:].sum()  # also when the first move to demand is let off
    height = game.states["position"][:, 1].mean()
    assert height < game.peaks[:, 1].max()


def test_tracking_is_at_the_peak() -> None:
    game = begun()
    policy = game.baselines["tracking"](game)
    for peak in game.peaks[:3]:
        game.step(game.sample(policy, game.policy_streams))
        assert game.states["position"] == pytest.approx(np.tile(peak, (200, 1)), abs=1e-6)


def test_policies_in_files(tmp_path: Path) -> None:
    policy = TrackingPolicy([[0.0, 1.0], [2.0, 3.0]], 0.5)
    loaded = load(policy.save(tmp_path / "policy.npz"))
    assert isinstance(loaded, TrackingPolicy)
    assert (loaded.path.tolist(), loaded.move_scale) == (policy.path.tolist(), 0.5)
    second = loaded.act(np.array([[1.0, 1.0, 0.5]], np.float32), np.zeros(1, np.uint64))
    assert second.tolist() == [[2.0, 4.0]]
    assert repr(policy) == "TrackingPolicy(2 steps)"
    with pytest.raises(ConfigError, match="path"):
        TrackingPolicy([1.0, 2.0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"path": ()}, "path"),
        ({"path": (1, 2)}, "path"),
        ({"demand": 0}, "demand = 0 is not allowed"),
        ({"demand_scale": -1}, "demand_scale"),
        ({"length": 1}, "length = 1 is not allowed; allowed: a whole number from 2 to 10000"),
        ({"start_mean": (-3, 0)}, "start_mean"),
        ({"move_scale": 0}, "move_scale"),
    ],
)
def test_configurations_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SupplyConfig(**fields)


def test_it_is_made_by_name() -> None:
    assert isinstance(make("supply", n_agents=7), SupplyGame)
