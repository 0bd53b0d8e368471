"""The meeting-time game: rules by hand, its equilibrium in play, its policies in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.policies import load
from karma_envs import make
from karma_envs.config import ConfigError
from karma_envs.files import json_array
from karma_envs.games.meeting_time import ArrivalPolicy, MeetingTimeConfig, MeetingTimeGame
from karma_envs.games.meeting_time.closed_forms import best_arrival, equilibrium_start_time


def begun(seed: int = 3, **fields: Any) -> MeetingTimeGame:
    game = MeetingTimeGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


def with_noise(game: MeetingTimeGame, uncertainty: list[float], noise: list[float]) -> None:
    """Have agents be disturbed so, and not at random."""
    game.load_state_dict(
        {**game.state_dict(), "uncertainty": np.array(uncertainty), "noise": np.array(noise)}
    )


def test_a_step_by_hand() -> None:
    """Four agents, three of whom make the quorum: arrivals 1, -1, 2.5, 6; so T = 2.5."""
    game = begun(n_agents=4, quorum=0.75, lateness_cost=1.0, delay_cost=10.0, waiting_cost=100.0)
    with_noise(game, [1.0, 1.0, 0.5, 1.5], [0.0, -1.0, 1.0, 2.0])
    rewards = game.step(np.array([[1.0], [0.0], [2.0], [3.0]], np.float32))
    assert rewards == pytest.approx([-1 - 150, -350, -2.5, -6 - 35], abs=1e-4)
    assert game.record() == {"start_time": 2.5}
    assert game.is_over
    assert game.outcome().rewards.sum() == pytest.approx(-(151 + 350 + 2.5 + 41))


@pytest.mark.parametrize(
    ("n_agents", "quorum", "needed"),
    [(10, 0.9, 9), (10, 0.7, 7), (10, 0.71, 8), (3, 0.5, 2), (1, 0.01, 1), (7, 0.999, 7)],
)
def test_the_quorum_is_a_number_of_agents(n_agents: int, quorum: float, needed: int) -> None:
    game = begun(n_agents=n_agents, quorum=quorum)
    with_noise(game, [1.0] * n_agents, [0.0] * n_agents)
    game.step(np.arange(1.0, n_agents + 1, dtype=np.float32)[::-1, None] / 2)
    assert game.record() == {"start_time": needed / 2}


def test_the_meeting_does_not_start_before_it_is_scheduled() -> None:
    game = begun(n_agents=2, scheduled_time=1.0)
    with_noise(game, [1.0, 1.0], [0.0, 0.0])
    rewards = game.step(np.array([-1.0, 0.5], np.float32))
    assert game.record() == {"start_time": 1.0}
    assert rewards == pytest.approx([-2.0, -0.5])


def test_agents_observe_their_uncertainty_and_get_a_new_one_each_time() -> None:
    game = begun(n_agents=1000)
    first = game.observations()
    assert first.shape == (1000, 1)
    assert ((first >= 0.5) & (first <= 1.5)).all()
    game.begin_anew()
    assert not np.array_equal(game.observations(), first)
    assert game.observation_space.contains(game.observations()[0])


def test_uncertainties_are_of_their_distribution() -> None:
    """Shares of 10^4 agents (seed 3) within 4 standard errors, sqrt(p (1 - p) / n) = .0046 at p = .3."""
    game = begun(n_agents=10_000, uncertainty=((2.0, 6.0), (0.5, 3.0), (1.0, 1.0)))
    values, counts = np.unique(game.observations(), return_counts=True)
    assert values.tolist() == [0.5, 1.0, 2.0]
    assert counts / 10_000 == pytest.approx([0.3, 0.1, 0.6], abs=4 * 0.005)
    uniform = begun(n_agents=10_000).observations()
    assert float(uniform.mean()) == pytest.approx(1.0, abs=4 * np.sqrt(1 / 12 / 10_000))
    assert float(uniform.std()) == pytest.approx(np.sqrt(1 / 12), abs=0.005)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"uncertainty": (0, 1)}, r"uncertainty = \(0, 1\) is not allowed; allowed: \(low, high\) with 0 <"),
        ({"uncertainty": (2, 1)}, "uncertainty"),
        ({"uncertainty": (1, 2, 3)}, "uncertainty"),
        ({"uncertainty": ((1, 2), 3)}, "uncertainty"),
        ({"uncertainty": ((1, 0.5), (2, -0.5))}, "uncertainty"),
        ({"uncertainty": ((1, 2, 3),)}, "uncertainty"),
        ({"uncertainty": ()}, "uncertainty"),
        ({"uncertainty": 1.0}, "uncertainty"),
        ({"uncertainty": "wide"}, "uncertainty"),
        ({"quorum": 1}, r"quorum = 1 is not allowed; allowed: a number in \(0, 1\)"),
        ({"quorum": 0}, "quorum"),
        ({"waiting_cost": 0}, "waiting_cost"),
        ({"lateness_cost": -1}, "lateness_cost"),
        ({"lateness_cost": 0, "delay_cost": 0}, "delay_cost = 0.0 is not allowed; allowed: above 0"),
        ({"scheduled_time": 1e5}, r"scheduled_time = 100000.0 is not allowed; allowed: a number in \[-5000"),
        ({"n_agents": 0}, "n_agents"),
    ],
)
def test_configurations_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MeetingTimeConfig(**fields)


@pytest.mark.parametrize("uncertainty", [(0.5, 2), [0.5, 2], ((1, 2), (3, 4)), [[1, 2], [3, 4]]])
def test_configurations_survive_plain_data(uncertainty: Any) -> None:
    config = MeetingTimeConfig(uncertainty=uncertainty)
    assert MeetingTimeConfig.from_dict(config.to_dict()) == config
    assert isinstance(config.uncertainty, tuple)


def test_the_equilibrium_in_play() -> None:
    """10^4 agents who play the equilibrium start it within 4 standard errors of T* (seed 3).

    The start time is a sample quantile, of standard error sqrt(q (1 - q) / N) / f(T*), with f the density of
    arrivals at T*, here from a difference quotient of their distribution function.
    """
    game = begun(n_agents=10_000)
    _, policy = game.references()["equilibrium"]
    game.rollout(policy, 1)
    start = equilibrium_start_time(game.config)
    sigma, weights = game.config.uncertainties
    tau = best_arrival(game.config, start, sigma)
    density = weights @ (np.exp(-(((start - tau) / sigma) ** 2) / 2) / sigma) / np.sqrt(2 * np.pi)
    error = np.sqrt(0.9 * 0.1 / 10_000) / density
    assert 0.01 < error < 0.03
    assert game.record()["start_time"] == pytest.approx(start, abs=4 * error)


def test_nobody_gains_by_leaving_the_equilibrium() -> None:
    """Against T* every other intention costs more: 10^5 agents with the same noise (seed 3)."""
    start = equilibrium_start_time(MeetingTimeConfig())
    game = MeetingTimeGame().against([start], n_agents=100_000)

    class Shifted:
        def __init__(self, shift: float) -> None:
            self.shift = shift

        def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
            return ArrivalPolicy(start).act(observations, streams) + np.float32(self.shift)

    values = []
    for shift in (-0.5, -0.1, 0.0, 0.1, 0.5):
        game.reset(np.random.default_rng(3))
        values.append(float(game.rollout(Shifted(shift), 1).rewards.mean()))
    assert max(values) == values[2]
    [(name, (reference, best))] = game.references().items()
    assert name == "best response"
    reference.reset(np.random.default_rng(3))
    assert float(reference.rollout(best, 1).rewards.mean()) == values[2]


def test_there_is_no_reference_without_an_equilibrium() -> None:
    assert MeetingTimeGame(lateness_cost=0.5).references() == {}


def test_the_equilibrium_lies_in_the_action_space() -> None:
    for fields in ({}, {"quorum": 0.999}, {"quorum": 0.01}, {"lateness_cost": 0.8 + 1e-6}):
        game = MeetingTimeGame(**fields)
        start = equilibrium_start_time(game.config)
        tau = best_arrival(game.config, start, game.config.uncertainties[0])
        assert game.action_space.low[0] < tau.min()
        assert tau.max() < game.action_space.high[0]


def test_policies_in_files(tmp_path: Path) -> None:
    policy = ArrivalPolicy(1.25, MeetingTimeConfig(scheduled_time=0.5, uncertainty=((1, 2), (2, 3))))
    loaded = load(policy.save(tmp_path / "policy.npz"))
    assert isinstance(loaded, ArrivalPolicy)
    assert (loaded.start_time, loaded.config) == (policy.start_time, policy.config)
    assert np.array_equal(loaded.arrivals([0.5, 1.0]), policy.arrivals([0.5, 1.0]))
    damaged = {"metadata": json_array({"format": ArrivalPolicy.FORMAT, "version": 1, "start_time": 1.0})}
    with pytest.raises(ValueError, match="it holds no policy"):
        ArrivalPolicy.from_arrays(damaged)


def test_a_policy_acts_as_it_says() -> None:
    observations = np.array([[0.5], [1.5]], np.float32)
    policy, streams = ArrivalPolicy(2.0), np.array([7], np.uint64)
    actions = policy.act(observations, streams)
    assert actions.dtype == np.float32
    assert actions == pytest.approx(policy.arrivals(observations), abs=1e-6)
    assert streams[0] == 7  # nothing is drawn
    assert repr(policy) == "ArrivalPolicy(of agents who expect the meeting to start at 2)"


def test_it_is_made_by_name() -> None:
    game = make("meeting_time", n_agents=7)
    assert isinstance(game, MeetingTimeGame)
    assert game.n_agents == 7


def test_scenes() -> None:
    game = begun(n_agents=5)
    assert "start_time" not in game.scene()
    game.step(np.zeros((5, 1), np.float32))
    scene = game.scene()
    assert np.array_equal(scene["intended"], np.zeros(5))
    assert scene["rewards"].shape == scene["arrivals"].shape == (5,)
    state = game.state_dict()
    assert scene["arrivals"] == pytest.approx(state["uncertainty"] * state["noise"])


def test_rewards_keep_their_bounds() -> None:
    """With the largest noise there is, at the ends of the action space, also against a far start."""
    for game in (MeetingTimeGame(n_agents=2), MeetingTimeGame().against([-30.0], n_agents=2)):
        for low_first in (1, -1):
            game.reset(np.random.default_rng(0))
            with_noise(game, [1.5, 1.5], [-8.6 * low_first, 8.6 * low_first])
            actions = np.array([game.action_space.low, game.action_space.high])[::low_first]
            rewards = game.step(actions)
            assert game.reward_bounds[0] <= rewards.min() < game.reward_bounds[0] / 3
            assert rewards.max() <= 0
    state = game.state_dict()
    for name, value in (("noise", 9.0), ("uncertainty", 1.6), ("uncertainty", np.nan)):
        with pytest.raises(ValueError, match=name):
            game.load_state_dict({**state, name: np.full(2, value)})


def test_baselines() -> None:
    """Who expects the meeting at t comes as if it were: the quorum is not there then, with the defaults."""
    game = begun(n_agents=10_000)
    policy = game.baselines["punctual"](game)
    assert policy.start_time == 0.0
    game.rollout(policy, 1)
    assert 0.7 < game.record()["start_time"] < 0.95  # in the limit 0.8214
    assert "random" in game.baselines


def test_the_family_that_gradient_methods_move_in() -> None:
    """A policy is told by the start time that agents expect, which is not before the scheduled one."""
    family = MeetingTimeGame(scheduled_time=1.5).policy_family()
    assert family.parameters.tolist() == [1.5]
    assert [bound.tolist() for bound in family.bounds] == [[1.5], [np.inf]]
    moved = family.with_parameters(np.array([2.5]))
    assert (moved.start_time, moved.config) == (2.5, family.config)
    assert family.parameters.tolist() == [1.5]
