"""Games with boxes and with an end, in every view: what is seen, what is done, and how it ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import data_equivalence

from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.tabulated import TabulatedGame, tabulated
from karma_envs.views import aec
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv
from tests.own_games import OWN_GAMES, DriftGame, OneShotGame, OwnGame, RoadsGame, SprintGame

HORIZON = 5
ENDING = [game for game in OWN_GAMES if game.length is not None]
BOXES = [DriftGame, OneShotGame]


@pytest.mark.parametrize("game", OWN_GAMES)
def test_a_game_with_an_end_terminates_and_one_without_is_truncated(game: type[OwnGame]) -> None:
    horizon = {} if game.length else {"max_cycles": HORIZON}
    parallel, single = PopulationParallelEnv(game, **horizon), SingleAgentEnv(game, **horizon)
    vector, turns = PopulationVectorEnv(game, **horizon), aec.raw_env(game, **horizon)
    for env in (parallel, single, vector, turns):
        env.reset(seed=0)
        assert env.max_cycles == (game.length or HORIZON)
    zeros = parallel.game.actions_of([parallel.action_space("player_000").sample() * 0] * 6)
    for step in range(1, (game.length or HORIZON) + 1):
        over, cut = step == game.length, step == HORIZON and game.length is None
        *_, ends, cuts, infos = parallel.step(dict(zip(parallel.possible_agents, zeros)))
        assert set(ends.values()) == {over}
        assert set(cuts.values()) == {cut}
        assert {info.get("TimeLimit.truncated", False) for info in infos.values()} == {cut}
        *_, ended, truncated, info = single.step(zeros[0])
        assert (ended, truncated, info["TimeLimit.truncated"]) == (over, cut, cut)
        *_, every_end, every_cut, infos = vector.step(zeros)
        assert set(every_end.tolist()) == {over}
        assert set(every_cut.tolist()) == {cut}
        assert ("TimeLimit.truncated" in infos) is cut
        for action in zeros:
            turns.step(action)
        assert set(turns.terminations.values()) == {over}
        assert set(turns.truncations.values()) == {cut}
    assert parallel.agents == []
    assert parallel.step({}) == ({}, {}, {}, {}, {})
    observations, rewards, every_end, every_cut, _ = vector.step(zeros)  # begins the next episode
    for zero in (rewards, every_end, every_cut):
        assert not zero.any()
    np.testing.assert_array_equal(observations, vector.game.observations())
    assert vector.game.elapsed == 0
    vector.step(zeros)
    assert vector.game.outcome().steps == 1


@pytest.mark.parametrize("game", OWN_GAMES)
def test_views_play_the_same(game: type[OwnGame]) -> None:
    """For a seed and actions, the same observations and rewards, as those of the game itself."""
    own, parallel, vector = game(), PopulationParallelEnv(game), PopulationVectorEnv(game)
    own.reset(np.random.Generator(np.random.PCG64(np.random.SeedSequence(3))))
    seen, _ = parallel.reset(seed=3)
    rows, _ = vector.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(game.length or HORIZON):
        np.testing.assert_array_equal(rows, own.observations())
        np.testing.assert_array_equal(list(seen.values()), rows)
        space = own.action_space
        if isinstance(space, Box):
            actions = rng.uniform(space.low, space.high, (6, *space.shape)).astype(np.float32)
        else:
            actions = rng.integers(0, int(space.n), 6) * own.action_mask()[:, -1]
        expected = own.step(actions)
        seen, rewards, *_ = parallel.step(dict(zip(parallel.possible_agents, actions)))
        rows, earned, *_ = vector.step(actions)
        np.testing.assert_array_equal(list(rewards.values()), expected)
        np.testing.assert_array_equal(earned, expected)


@pytest.mark.parametrize("make", [PopulationParallelEnv, PopulationVectorEnv, SingleAgentEnv, aec.env])
def test_a_game_can_be_given_itself(make: Any) -> None:
    """Another one like it is played, such as one in cells, which has no class of its own."""
    given = tabulated(DriftGame(n_agents=4), cells=5)
    env = make(given, observation="dict")
    env.reset(seed=0)
    game = getattr(env, "parallel_env", env.unwrapped).game if make is aec.env else env.game
    assert isinstance(game, TabulatedGame)
    assert game is not given
    assert (game.n_agents, game.cells, game.length) == (4, 5, 3)
    with pytest.raises(ConfigError, match=r"game = 'drift' .*a name or a class"):
        make(given, n_agents=5)


@pytest.mark.parametrize("game", OWN_GAMES)
def test_masks_are_where_actions_are_numbered(game: type[OwnGame]) -> None:
    numbered = game not in BOXES
    parallel, vector, single = PopulationParallelEnv(game), PopulationVectorEnv(game), SingleAgentEnv(game)
    assert isinstance(single.action_space, Discrete if numbered else Box)
    _, infos = parallel.reset(seed=0)
    assert all(("action_mask" in info) is numbered for info in infos.values())
    assert ("action_mask" in vector.reset(seed=0)[1]) is numbered
    assert ("action_mask" in single.reset(seed=0)[1]) is numbered
    if numbered:
        assert single.action_masks().dtype == bool
        pair = PopulationParallelEnv(game, observation="dict")
        observed, _ = pair.reset(seed=0)
        assert observed["player_000"] in pair.observation_space("player_000")
    else:
        with pytest.raises(ConfigError, match="'dict' is not allowed; allowed: flat"):
            PopulationParallelEnv(game, observation="dict")
        with pytest.raises(ConfigError, match="numbered actions"):
            single.action_masks()


def test_actions_outside_a_box_are_clipped_and_flagged_or_refused() -> None:
    env, strict = PopulationVectorEnv(DriftGame), PopulationVectorEnv(DriftGame, strict=True)
    twin = PopulationVectorEnv(DriftGame)
    for each in (env, strict, twin):
        each.reset(seed=1)
    wild = np.array([[2.0], [-1.5], [0.5], [0.0], [1.0], [-1.0]])
    found = env.step(wild)
    assert found[4].pop("illegal_action").tolist() == [True, True, False, False, False, False]
    del found[4]["_illegal_action"]
    assert data_equivalence(found, twin.step(np.clip(wild, -1, 1)), exact=True)
    before = strict.game.state_dict()
    with pytest.raises(
        IllegalActionError, match=r"agent 0 takes action \[2\.\].*allowed: \[-1\.\] … \[1\.\]"
    ):
        strict.step(wild)
    assert data_equivalence(before, strict.game.state_dict(), exact=True)
    parallel = PopulationParallelEnv(DriftGame)
    parallel.reset(seed=1)
    *_, infos = parallel.step(dict(zip(parallel.possible_agents, wild)))
    assert [info.get("illegal_action", False) for info in infos.values()] == [True, True, *[False] * 4]


def test_turns_refuse_an_action_outside_a_box_on_its_own_turn() -> None:
    env = aec.env(OneShotGame, strict=True)
    env.reset(seed=0)
    env.step([0.5, 0.5])
    with pytest.raises(IllegalActionError, match="agent 1 takes action"):
        env.step([0.5, 1.5])
    assert env.agent_selection == "player_001"
    env.step(np.array([0.5, 1.0]))
    assert env.agent_selection == "player_002"


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((6, 3)), np.zeros(6), np.full((6, 2), np.nan), [[0, np.inf]] * 6, "low", [None] * 6],
)
def test_what_is_no_action_in_a_box_is_refused(wrong: Any) -> None:
    env = PopulationVectorEnv(OneShotGame)
    env.reset(seed=0)
    before = env.game.state_dict()
    with pytest.raises(IllegalActionError):
        env.step(wrong)
    assert data_equivalence(before, env.game.state_dict(), exact=True)


def test_actions_in_a_box_come_in_many_forms() -> None:
    """One number each where the box has one: arrays of all shapes that leave no doubt, lists, numbers."""
    moves = np.linspace(-1, 1, 6, dtype=np.float32)
    forms: list[Any] = [moves[:, None], moves, moves[:, None].tolist(), [np.array([m]) for m in moves]]
    forms += [[moves[0], *(np.array([m]) for m in moves[1:])], moves.astype(np.float64)]
    states = []
    for form in forms:
        env = PopulationVectorEnv(DriftGame)
        env.reset(seed=2)
        env.step(form)
        states.append(env.game.state_dict())
    assert all(data_equivalence(states[0], state, exact=True) for state in states)


@pytest.mark.parametrize("game", ENDING)
def test_a_game_with_an_end_has_no_shorter_horizon(game: type[OwnGame]) -> None:
    with pytest.raises(ConfigError, match=f"max_cycles = 0 .*from {game.length} up"):
        PopulationParallelEnv(game, max_cycles=0)
    env = PopulationParallelEnv(game, max_cycles=1000)
    assert env.max_cycles == game.length


@pytest.mark.parametrize("game", ENDING)
def test_a_game_that_is_over_takes_no_step(game: type[OwnGame]) -> None:
    env = PopulationVectorEnv(game)
    env.reset(seed=0)
    own: Any = env.game
    actions = own.sample(own.uniform_policy(), np.zeros(1, np.uint64))
    while not own.is_over:
        own.step(own.admissible(actions)[0])
    before = own.state_dict()
    with pytest.raises(RuntimeError, match=f"over after {game.length} steps"):
        own.step(actions)
    assert data_equivalence(before, own.state_dict(), exact=True)


@pytest.mark.parametrize("game", OWN_GAMES)
def test_one_learner_among_others_who_play_a_policy(game: type[OwnGame]) -> None:
    """The others play what they are given: one that does nothing changes with the population's policy."""
    policy = game().uniform_policy()
    by_name, by_policy = SingleAgentEnv(game), SingleAgentEnv(game, population=policy)
    nothing = by_name.action_space.sample() * 0
    for env in (by_name, by_policy):
        env.reset(seed=5)
    for _ in range(game.length or HORIZON):
        assert data_equivalence(by_name.step(nothing), by_policy.step(nothing), exact=True)


def test_policies_that_cannot_be_played_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a policy for the game drift has act\(observations, streams\)"):
        SingleAgentEnv(DriftGame, population=SprintGame().uniform_policy())
    for game in (DriftGame, RoadsGame):
        with pytest.raises(ConfigError, match="baseline = 'bid_all' is not allowed; allowed: random"):
            SingleAgentEnv(game, population="bid_all")
