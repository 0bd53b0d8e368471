"""What every game gives: actions of any space, rollouts up to an end, and errors that say what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from karma_envs.actions import UniformPolicy, as_action, as_actions
from karma_envs.checks import check_game, check_parallel_env
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError, PolicyError, PopulationGame
from karma_envs.numerics.random import new_streams
from karma_envs.states import Allowed
from karma_envs.tabulated import tabulated
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.single_agent import SingleAgentEnv
from tests.own_games import DriftGame, OneShotGame, OwnConfig, OwnGame, RoadsGame, SprintGame


class WarmthGame(OwnGame):
    """Without an end, seen in a box, with numbered actions: who heats (1) warms up, and pays for it."""

    name = "warmth"
    own_fields: ClassVar[Mapping[str, Allowed]] = {"warmth": (0, 1)}

    def __init__(self, config: OwnConfig | None = None, **fields: Any) -> None:
        super().__init__(config, **fields)
        self.observation_space = Box(0, 1, (1,), np.float32)
        self.action_space = Discrete(2)
        self.reward_bounds = -1.3, 0.0

    def start(self, draws: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        return {"warmth": np.floor(4 * draws).astype(np.float32) / 4}

    def move(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        warmth = np.clip(self.state["warmth"] + 0.5 * actions - 0.25, 0, 1).astype(np.float32)
        self.state["warmth"] = warmth
        return np.asarray(warmth - 1 - 0.3 * actions, np.float32)

    def observations(self) -> NDArray[np.float32]:
        return self.state["warmth"][:, None].copy()


def test_numbered_actions_in_a_game_without_tables() -> None:
    game = WarmthGame()
    game.reset(np.random.default_rng(0))
    assert game.action_mask().tolist() == [[1, 1]] * 6
    played, replaced = game.admissible(np.array([0, 1, 2, -1, 1, 0]))
    assert played.tolist() == [0, 1, 1, 0, 1, 0]
    assert replaced.tolist() == [False, False, True, True, False, False]
    assert game.admissible(np.array([0, 1, 1, 0, 1, 0]))[1] is None
    transitions = game.rollout(game.uniform_policy(), 30)
    assert transitions.actions.dtype == np.uint16
    assert transitions.observations.shape == (31, 6, 1)
    assert not transitions.ended
    assert 40 < transitions.actions.sum() < 140  # of 180; mean 90, sd 6.7; seed 0
    check_env(SingleAgentEnv(WarmthGame, max_cycles=10), skip_render_check=True)
    check_parallel_env(PopulationParallelEnv(WarmthGame, max_cycles=6))


def test_a_tabulated_game_keeps_the_contract_of_finite_games() -> None:
    """Its cells are where agents can be, so that nothing is lost."""
    check_game(tabulated(WarmthGame(), cells=5))
    box, cells = WarmthGame(), tabulated(WarmthGame(), cells=5)
    for game in (box, cells):
        game.reset(np.random.default_rng(3))
        game.step(np.array([0, 1, 0, 1, 0, 1]))
    np.testing.assert_array_equal(box.observations(), cells.observations())


@pytest.mark.parametrize("game", [DriftGame, OneShotGame, SprintGame, RoadsGame, WarmthGame])
def test_a_rollout_is_the_steps_of_its_actions(game: type[OwnGame]) -> None:
    """From the same state, up to the end; then from the start that the game draws itself."""
    rolled, stepped = game(), game()
    for each in (rolled, stepped):
        each.reset(np.random.default_rng(2))
    policy = rolled.uniform_policy()
    for _ in range(3):
        transitions = rolled.rollout(policy, 7)
        if stepped.is_over:
            stepped.begin_anew()
        assert len(transitions) == min(7, game.length or 7)
        assert transitions.ended is (game.length is not None)
        for step, actions in enumerate(transitions.actions):
            np.testing.assert_array_equal(transitions.observations[step], stepped._observed())
            np.testing.assert_array_equal(transitions.rewards[step], stepped.step(actions))
        np.testing.assert_array_equal(transitions.observations[-1], stepped._observed())


def test_a_policy_acts_on_what_it_observes_and_is_clipped() -> None:
    class Far:
        """Moves away from 0, and further than anybody may."""

        def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
            return 9 * np.sign(observations[:, :1])

    game = DriftGame()
    game.reset(np.random.default_rng(1))
    transitions = game.rollout(Far(), 3)
    np.testing.assert_array_equal(transitions.actions[0], np.sign(transitions.observations[0][:, :1]))


def test_what_a_game_with_an_end_must_say_is_asked_for_by_name() -> None:
    class Bare(RoadsGame):
        length = 5
        elapsed = PopulationGame.elapsed  # type: ignore[assignment]
        begin_anew = PopulationGame.begin_anew
        policy_streams = PopulationGame.policy_streams  # type: ignore[assignment]

    game = Bare()
    with pytest.raises(NotImplementedError, match="Bare has an end: its state must tell the steps played"):
        _ = game.is_over
    with pytest.raises(NotImplementedError, match="Bare has an end: it must say how it begins anew"):
        game.begin_anew()
    with pytest.raises(NotImplementedError, match="Bare must say which stream"):
        _ = game.policy_streams


def test_policies_without_act_are_refused() -> None:
    game = DriftGame()
    game.reset(np.random.default_rng(0))
    with pytest.raises(PolicyError, match=r"act\(observations, streams\); this is 'still'"):
        game.rollout("still", 1)


def test_uniform_actions_have_the_mean_and_spread_of_their_box() -> None:
    """40,000 draws in [-2, 4] and [0, 1]: means 1 and 0.5 within 4 standard errors; seed 5."""
    space = Box(np.array([-2, 0], np.float32), np.array([4, 1], np.float32))
    actions = UniformPolicy(space).act(
        np.zeros((40_000, 3), np.float32), new_streams(np.random.default_rng(5), 1)
    )
    assert all(action in space for action in actions[:100])
    error = np.array([6, 1]) / np.sqrt(12 * 40_000)
    assert (np.abs(actions.mean(axis=0) - [1, 0.5]) < 4 * error).all()
    np.testing.assert_allclose(actions.std(axis=0), np.array([6, 1]) / np.sqrt(12), rtol=0.02)
    with pytest.raises(ConfigError, match=r"'random' is not allowed; .* whose actions have bounds"):
        UniformPolicy(Box(-np.inf, np.inf, (1,), np.float32))


@pytest.mark.parametrize(
    ("value", "space", "expected"),
    [
        (3, Discrete(2), 3),
        (np.uint8(1), Discrete(2), 1),
        (np.array([[1]]), Discrete(2), 1),
        (2**70, Discrete(2), 2**63 - 1),
        (-(2**70), Discrete(2), -(2**63)),
        (np.uint64(2**64 - 1), Discrete(2), 2**63 - 1),
        (0.5, Box(0, 1, (1,), np.float32), [0.5]),
        ([1, 2], Box(0, 1, (2,), np.float32), [1, 2]),
        (np.array([[0.25], [0.5]]), Box(0, 1, (2,), np.float32), [0.25, 0.5]),
    ],
)
def test_one_action_of_many_forms(value: Any, space: Any, expected: Any) -> None:
    np.testing.assert_array_equal(as_action(value, space), expected)


@pytest.mark.parametrize(
    ("value", "space", "says"),
    [
        (0.5, Discrete(2), "action 0.5 is not a whole number"),
        (True, Discrete(2), "not a whole number"),
        (None, Box(0, 1, (1,), np.float32), r"not a number of shape \[1\]"),
        ([1, 2, 3], Box(0, 1, (2,), np.float32), r"not a number of shape \[2\]"),
        ([1, np.nan], Box(0, 1, (2,), np.float32), "is not finite"),
        (1e39, Box(0, 1, (1,), np.float32), "is not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_what_is_no_action_is_refused(value: Any, space: Any, says: str) -> None:
    with pytest.raises(IllegalActionError, match=says):
        as_action(value, space)
    with pytest.raises(IllegalActionError):
        as_actions([value] * 3, 3, space)


def test_actions_are_taken_over_as_new_arrays() -> None:
    given = np.zeros((2, 1), np.float32)
    taken = as_actions(given, 2, Box(0, 1, (1,), np.float32))
    assert not np.shares_memory(given, taken)
    whole = np.zeros(2, np.int64)
    assert not np.shares_memory(whole, as_actions(whole, 2, Discrete(2)))
