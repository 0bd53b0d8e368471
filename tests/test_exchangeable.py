"""Games of exchangeable agents: N agents make their statistic, agents against a given one do not matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.config import Config, whole
from karma_envs.exchangeable import ExchangeableGame, States
from karma_envs.game import IllegalActionError
from karma_envs.numerics.random import fill_uniform


@dataclass(frozen=True)
class HerdConfig(Config):
    """``n_agents``, and ``length`` in steps, 0 for no end."""

    n_agents: int = 4
    length: int = 3

    def __post_init__(self) -> None:
        self._set(n_agents=whole("n_agents", self.n_agents, 1), length=whole("length", self.length, 0))


class HerdGame(ExchangeableGame):
    """Agents on a line want to be where the others are going: z is the mean place after their moves."""

    name = "herd"
    config_class = HerdConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, config: HerdConfig | None = None, **fields: Any) -> None:
        self.config: HerdConfig = (config or HerdConfig()).replace(**fields)
        self.n_agents, self.length = self.config.n_agents, self.config.length or None
        self.type_of_agent, self.discounts = np.zeros(self.n_agents, np.uint8), np.array([0.9])
        self.observation_space = Box(-100, 100, (1,), np.float32)
        self.action_space = Box(-1, 1, (1,), np.float32)
        self.reward_bounds = -np.inf, 0.0

    def start(self, n: int, streams: NDArray[np.uint64]) -> States:
        place = np.empty(n)
        fill_uniform(streams, 0, place)
        return {"place": place}

    def observe(self, states: States) -> NDArray[np.float32]:
        return states["place"].astype(np.float32)[:, None]

    def statistic(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        return np.array([np.mean(states["place"] + actions[:, 0])])

    def transition(
        self,
        states: States,
        actions: NDArray[Any],
        statistic: NDArray[np.float64],
        streams: NDArray[np.uint64],
    ) -> tuple[States, NDArray[np.float64]]:
        place = states["place"] + actions[:, 0]
        wind = np.empty(len(place))
        fill_uniform(streams, 0, wind)
        return {"place": place + 0.01 * wind}, -((place - statistic[0]) ** 2)

    def allowed_states(self) -> dict[str, Any]:
        return {"place": (-100, 100)}


class Walk:
    """Everybody moves by as much."""

    def __init__(self, move: float) -> None:
        self.move = move

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        return np.full((len(observations), 1), self.move, np.float32)


def begun(**fields: Any) -> HerdGame:
    game = HerdGame(**fields)
    game.reset(np.random.default_rng(5))
    return game


def test_a_population_meets_its_own_statistic() -> None:
    game = begun()
    places = game.observations()[:, 0].astype(float)
    moves = np.array([[0.5], [-0.5], [0.0], [1.0]], np.float32)
    going = places + moves[:, 0]
    rewards = game.step(moves)
    assert rewards.dtype == np.float32
    assert rewards == pytest.approx(-((going - going.mean()) ** 2), abs=1e-6)
    assert game.last_step is not None
    assert game.last_step.statistic == pytest.approx([going.mean()], abs=1e-6)
    assert game.outcome().rewards == pytest.approx(rewards, abs=1e-7)


def test_given_the_statistic_of_a_population_agents_fare_as_in_it() -> None:
    """Nothing is written twice: played against its own flow a population has the same steps to the bit."""
    game, policy = begun(), Walk(0.25)
    flow = []
    rewards = []
    while not game.is_over:
        rewards.append(game.step(policy.act(game.observations(), game.policy_streams)))
        assert game.last_step is not None
        flow.append(game.last_step.statistic)
    other = game.against(flow)
    other.reset(np.random.default_rng(5))
    assert np.array_equal(other.rollout(policy, 3).rewards, rewards)
    assert (other.length, other.observation_space, other.action_space) == (
        game.length,
        game.observation_space,
        game.action_space,
    )


def test_agents_against_a_statistic_do_not_matter_to_each_other() -> None:
    game, other = (HerdGame().against([0.3], n_agents=2) for _ in range(2))
    game.reset(np.random.default_rng(0))
    other.reset(np.random.default_rng(0))
    place = game.state_dict()["place"]
    first = game.step(np.array([[0.1], [1.0]], np.float32))
    second = other.step(np.array([[0.1], [-1.0]], np.float32))
    assert first == pytest.approx(-((place + np.array([0.1, 1.0]) - 0.3) ** 2), abs=1e-6)
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_a_flow_is_met_step_by_step_and_again_after_the_end() -> None:
    game = HerdGame().against([[0.0], [1.0], [2.0]], n_agents=1)
    game.reset(np.random.default_rng(0))
    for _ in range(2):
        met = []
        while not game.is_over:
            game.step(np.zeros((1, 1), np.float32))
            assert game.last_step is not None
            met.append(float(game.last_step.statistic[0]))
        assert met == [0.0, 1.0, 2.0]
        game.begin_anew()
    assert game.outcome().steps == 6


@pytest.mark.parametrize(
    ("length", "statistic"),
    [
        (3, [0.0, 1.0]),  # of two numbers
        (3, [[0.0], [1.0]]),  # a flow of two steps
        (0, [[0.0], [1.0], [2.0]]),  # a flow in a game without an end
        (3, [np.nan]),
        (3, 0.5),
    ],
)
def test_what_is_no_statistic_of_the_game_is_refused(length: int, statistic: Any) -> None:
    with pytest.raises(ValueError, match="a statistic of the game herd"):
        HerdGame(length=length).against(statistic)


def test_an_illegal_action_changes_nothing() -> None:
    game = begun()
    before = game.state_dict()
    with pytest.raises(IllegalActionError, match=r"agent 2 takes action \[1.5\]; allowed: \[-1.\] … \[1.\]"):
        game.step(np.array([[0], [0], [1.5], [0]], np.float32))
    after = game.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_rollouts_stop_at_the_end_and_begin_anew() -> None:
    game = begun()
    first = game.rollout(Walk(0.0), 10)
    assert (len(first), first.ended, game.is_over) == (3, True, True)
    with pytest.raises(RuntimeError, match="the game is over"):
        game.step(np.zeros((4, 1), np.float32))
    second = game.rollout(Walk(0.0), 2)
    assert (len(second), second.ended, game.elapsed) == (2, False, 2)
    assert not np.array_equal(first.observations[0], second.observations[0])  # drawn anew
    assert game.outcome().steps == 5


def test_a_loaded_state_goes_on_the_same() -> None:
    game, other = begun(), HerdGame()
    game.rollout(Walk(0.5), 2)
    other.load_state_dict(game.state_dict())
    for _ in range(3):  # over the end, into the next beginning
        one, two = game.rollout(Walk(0.5), 2), other.rollout(Walk(0.5), 2)
        assert np.array_equal(one.observations, two.observations)
        assert np.array_equal(one.rewards, two.rewards)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("place", np.full(4, 101.0), r"place\[0\] = 101.0; allowed: -100 … 100"),
        ("place", np.zeros(3), "place"),
        ("elapsed", np.array([4]), r"elapsed\[0\] = 4; allowed: 0 … 3"),
        ("steps", np.array([-1]), r"steps\[0\]"),
        ("reward_total", np.array([0, 0, 0, 1.0]), r"reward_total\[3\]"),
        ("reward_total", np.array([0, 0, 0, np.nan]), r"reward_total\[3\]"),
        ("streams", np.zeros(3, np.uint64), "streams"),
    ],
)
def test_states_of_no_game_are_refused(name: str, value: NDArray[Any], message: str) -> None:
    game = begun()
    game.rollout(Walk(0.5), 3)
    state = game.state_dict()
    before = game.state_dict()
    with pytest.raises(ValueError, match=message):
        game.load_state_dict({**state, name: value})
    assert all(np.array_equal(before[key], array) for key, array in game.state_dict().items())


def test_before_it_begins_a_game_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="call reset"):
        HerdGame().observations()
