"""AgileRL's views of a population, and its IPPO as a policy of one."""

import copy
from contextlib import closing

import numpy as np
import pytest
from gymnasium.spaces import Box

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.vector import PopulationVectorEnv
from tests.integrations.common import SMALL, TABULAR, assert_played_as_in_the_table, require, two_types
from tests.own_games import DriftGame, SprintGame

require("agilerl")

import torch  # noqa: E402

from training.integrations.agilerl import (  # noqa: E402  # isort: skip  (it knows their warnings)
    PLAYER,
    PopulationVecEnv,
    async_vec_env,
    distil,
    learn_on,
    policy_of,
    train,
)
from agilerl.algorithms import IPPO, MADDPG, MATD3  # noqa: E402
from agilerl.components.data import MultiAgentTransition, transition_to_tensordict  # noqa: E402
from agilerl.components.replay_buffer import ReplayBuffer  # noqa: E402
from agilerl.wrappers.agent import RSNorm  # noqa: E402

TWO_TYPES = two_types()


def ippo_of(env, seed=0):
    torch.manual_seed(seed)
    spaces = env.single_observation_space(PLAYER), env.single_action_space(PLAYER)
    return IPPO({PLAYER: spaces[0]}, {PLAYER: spaces[1]}, gamma=0.9)


@pytest.mark.parametrize("name", TABULAR)
def test_the_player_is_the_whole_population(name):
    """Two copies, over three episodes: the vector view, whose next episode begins in the same step."""
    env = PopulationVecEnv(name, copies=2, n_agents=6, max_cycles=3)
    views = [PopulationVectorEnv(name, n_agents=6, max_cycles=3) for _ in range(2)]
    observations, infos = env.reset(seed=4)
    expected = np.concatenate([view.reset(seed=4 + number)[0] for number, view in enumerate(views)])
    space, given = env.single_action_space(PLAYER), []
    assert env.num_envs == 12
    for actions in np.random.default_rng(9).integers(0, space.n, (8, 12)):
        assert infos == {PLAYER: {}}
        np.testing.assert_array_equal(observations[PLAYER], expected)
        assert env.observation_space(PLAYER).contains(observations[PLAYER])
        given.append((observations[PLAYER], expected.copy()))
        observations, rewards, terminations, truncations, infos = env.step({PLAYER: actions})
        steps = [view.step(here) for view, here in zip(views, np.split(actions, 2))]
        np.testing.assert_array_equal(rewards[PLAYER], np.concatenate([step[1] for step in steps]))
        np.testing.assert_array_equal(truncations[PLAYER], np.concatenate([step[3] for step in steps]))
        assert not terminations[PLAYER].any()
        ended = bool(truncations[PLAYER].all())
        expected = np.concatenate([view.reset()[0] if ended else step[0] for view, step in zip(views, steps)])
    for array, before in given:  # nothing that was given away has been written to since
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("game", [DriftGame, SprintGame])
def test_games_with_boxes_and_an_end(game):
    """The vector view again; all are terminated at once, and nobody is truncated."""
    env, view = PopulationVecEnv(game), PopulationVectorEnv(game)
    observations, _ = env.reset(seed=4)
    expected, _ = view.reset(seed=4)
    space = env.single_action_space(PLAYER)
    for step in range(1, 9):
        np.testing.assert_array_equal(observations[PLAYER], expected)
        actions = np.array([space.sample() for _ in range(6)])
        observations, rewards, terminations, truncations, _ = env.step({PLAYER: actions})
        expected, earned, *_ = view.step(actions)
        np.testing.assert_array_equal(rewards[PLAYER], earned)
        assert (terminations[PLAYER] == (step % game.length == 0)).all()
        assert not truncations[PLAYER].any()
        if step % game.length == 0:
            expected, _ = view.reset()


def test_an_agent_acts_where_there_are_no_tables():
    """What it draws, from the game's own streams; PyTorch's own generator is as it was."""
    agent, game = ippo_of(PopulationVecEnv(DriftGame)), DriftGame()
    game.reset(np.random.default_rng(0))
    policy, state = policy_of(agent, game), game.state_dict()
    before = torch.get_rng_state()
    first = game.rollout(policy, 3)
    assert torch.equal(torch.get_rng_state(), before)
    game.load_state_dict(state)
    torch.manual_seed(9)
    np.testing.assert_array_equal(game.rollout(policy, 3).actions, first.actions)
    assert (first.actions[0] != first.actions[1]).any()
    table = policy_of(ippo_of(PopulationVecEnv(SprintGame)), SprintGame())
    assert table.probabilities.shape == (1, 20, 2)


class WideDriftGame(DriftGame):
    """A second number of an action does nothing: IPPO needs two."""

    def __init__(self, config=None, **fields):
        super().__init__(config, **fields)
        self.action_space = Box(-1, 1, (2,), np.float32)

    def move(self, actions):
        return super().move(actions[:, :1])


def test_ippo_learns_in_a_box():
    """Mean rewards of an agent and step in 100 episodes, before and after some updates."""
    env, game, means = PopulationVecEnv(WideDriftGame, copies=5), WideDriftGame(), []
    torch.manual_seed(0)
    agent = IPPO(
        {PLAYER: env.single_observation_space(PLAYER)},
        {PLAYER: env.single_action_space(PLAYER)},
        gamma=0.9, lr=3e-3, batch_size=180, update_epochs=5,
    )  # fmt: skip
    observations, _ = env.reset(seed=0)
    begins = np.zeros(env.num_envs)
    for _ in range(2):
        game.reset(np.random.default_rng(1))
        policy = policy_of(agent, game)
        means.append([game.rollout(policy, 3).rewards.mean() for _ in range(100)])
        for _ in range(6):
            observations, begins = learn_on(agent, env, observations, begins, 30, 0.1)
    before, after = np.array(means)
    assert after.mean() > before.mean() + 4 * np.hypot(before.std(), after.std()) / 10  # standard errors


def test_where_games_begin_is_learned_from(monkeypatch):
    """A step is told as done when it begins a game after the end of another, also in the next update."""
    told = []
    monkeypatch.setattr(
        IPPO, "learn", lambda agent, experiences: told.append((experiences[4], experiences[7]))
    )
    train(SprintGame(), 6 * 60, 0)
    begins = np.concatenate([columns[PLAYER] for columns, _ in told])
    assert begins.shape == (60, 6)
    assert (begins == (np.arange(60) % 4 == 0)[:, None] * (np.arange(60) > 0)[:, None]).all()
    for (following, _), (_, last) in zip(told[1:], told):
        np.testing.assert_array_equal(following[PLAYER][0], last[PLAYER])


def test_asynchronous_environments_are_the_parallel_ones():
    """With masks; their processes end with close."""
    views = [PopulationParallelEnv("matching", max_cycles=3, **SMALL) for _ in range(2)]
    with closing(async_vec_env("matching", max_cycles=3, **SMALL)) as env:
        observations, infos = env.reset(seed=4)
        expected = [view.reset(seed=4 + number) for number, view in enumerate(views)]
        for actions in np.random.default_rng(9).integers(0, 7, (5, 2, 10)):
            for name in env.possible_agents:
                rows, masks = observations[name], infos[name]["action_mask"]
                np.testing.assert_array_equal(rows, [seen[name] for seen, _ in expected])
                np.testing.assert_array_equal(masks, [info[name]["action_mask"] for _, info in expected])
            observations, rewards, _, truncations, infos = env.step(dict(zip(env.possible_agents, actions.T)))
            expected = []
            for number, view in enumerate(views):
                seen, earned, _, truncated, info = view.step(
                    dict(zip(view.possible_agents, actions[number].tolist()))
                )
                for name in view.possible_agents:
                    assert rewards[name][number] == earned[name]
                    assert truncations[name][number] == truncated[name]
                expected.append((seen, info) if view.agents else view.reset())
        processes = env.processes
        assert all(process.is_alive() for process in processes)
    assert not any(process.is_alive() for process in processes)


def test_an_experience_belongs_together():
    """In learning, what an action earned is credited to it, whoever's and whenever it was.

    To whom the future is worth nothing, the reward of an action is its advantage and its return: actions
    earn their own number, so that the highest becomes the likeliest.
    """
    env = PopulationVecEnv("matching", **SMALL)
    agent = IPPO(
        {PLAYER: env.single_observation_space(PLAYER)},
        {PLAYER: env.single_action_space(PLAYER)},
        gamma=0.0, gae_lambda=0.0, lr=3e-3, batch_size=80, update_epochs=4,
    )  # fmt: skip
    observations, _ = env.reset(seed=0)
    zeros = {PLAYER: np.zeros(10)}
    for _ in range(12):
        rows = []
        for _ in range(32):
            actions, logs, _, values = agent.get_action(observations)
            rows.append((observations, actions, logs, {PLAYER: actions[PLAYER] / 6}, zeros, values))
            observations, *_ = env.step(actions)
        columns = [{PLAYER: [each[PLAYER] for each in column]} for column in zip(*rows)]
        agent.learn((*columns, observations, zeros))
    assert np.mean([row[1][PLAYER].mean() for row in rows]) > 4  # random: 3


def test_the_table_is_what_the_network_does():
    """Frequencies are within 4 standard errors of it; illegal actions are played as all karma."""
    env = PopulationVecEnv("matching", copies=4, **SMALL)
    agent = ippo_of(env)
    policy = distil(agent, env.game).policy
    assert not policy.probabilities[0][~env.game.legal_actions].any()
    observations, _ = env.reset(seed=1)
    counts = np.zeros(policy.probabilities.shape[1:])
    for _ in range(300):
        actions, *_ = agent.get_action(observations)
        karma = np.rint(observations[PLAYER][:, 1] * 6).astype(int)
        now = (observations[PLAYER][:, 0] == 1) * 7 + karma
        np.add.at(counts, (now, np.minimum(actions[PLAYER], karma)), 1)
        observations, *_ = env.step(actions)
    assert_played_as_in_the_table(counts, policy.probabilities[0])


def test_it_learns(score_of):
    assert score_of("agilerl-ippo", budget=20_000) > 0.3


def test_the_seed_decides():
    game = karma_envs.make("matching", **SMALL)
    first, again, other = (train(game, 2000, seed).policy.probabilities for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # PyTorch
@pytest.mark.parametrize("algorithm", [MADDPG, MATD3])
def test_actors_of_their_own_learn_with_masks(algorithm):
    """Strict: an illegal action would have raised."""
    sizes = {**SMALL, "n_agents": 4}
    with closing(async_vec_env("matching", copies=2, strict=True, **sizes)) as env:
        names = env.possible_agents
        torch.manual_seed(0)
        agent = algorithm(
            [env.single_observation_space(name) for name in names],
            [env.single_action_space(name) for name in names],
            agent_ids=names,
            vect_noise_dim=2,
            batch_size=16,
        )
        agent.set_training_mode(True)
        before = [array.clone() for array in agent.actors.parameters()]
        memory = ReplayBuffer(1000)
        observations, infos = env.reset(seed=0)
        for _ in range(20):
            actions, raw = agent.get_action(observations, infos)
            following, rewards, terminations, _, infos = env.step(actions)
            transition = transition_to_tensordict(
                MultiAgentTransition(
                    obs=observations, action=raw, reward=rewards, next_obs=following, done=terminations
                )
            )
            transition.batch_size = torch.Size([2])
            memory.add(transition)
            observations = following
        for _ in range(4):
            agent.learn(memory.sample(16))
    assert all(torch.isfinite(array).all() for array in agent.actors.parameters())
    assert any((old != new).any() for old, new in zip(before, agent.actors.parameters()))


def test_wrong_use_is_refused():
    env = PopulationVecEnv("matching", strict=True, **SMALL)
    env.reset(seed=0)
    with pytest.raises(IllegalActionError, match="10 whole numbers"):
        env.step({PLAYER: np.zeros(9, int)})
    with pytest.raises(IllegalActionError, match=r"agent 4 takes action 5, .*; allowed: 0 … 3"):
        env.step({PLAYER: 5 * np.eye(10, dtype=int)[4]})
    for make in (PopulationVecEnv, async_vec_env):
        with pytest.raises(ConfigError, match=r"observation = 'dict' .* flat"):
            make("matching", observation="dict")
        with pytest.raises(ConfigError, match="copies = 0"):
            make("matching", copies=0)
    with pytest.raises(ConfigError, match=r"game = 'drift' .*finite observations and actions"):
        train(DriftGame(), 1000, 0)
    with pytest.raises(ConfigError, match=r"budget = 9 .* a step of 10 agents"):
        train(karma_envs.make("matching", **SMALL), 9, 0)
    with pytest.raises(ConfigError, match=r"matching with 2 types.* one type"):
        train(karma_envs.make("matching", **TWO_TYPES), 1000, 0)
    names = ["one_0", "other_0"]
    space = env.single_observation_space(PLAYER), env.single_action_space(PLAYER)
    several = IPPO([space[0]] * 2, [space[1]] * 2, agent_ids=names)
    with pytest.raises(ConfigError, match="one with networks one_0, other_0"):
        distil(several, env.game)
    with pytest.raises(ConfigError, match=r"agent = 'RSNorm' .* not in a wrapper"):
        distil(RSNorm(ippo_of(env)), env.game)


def test_a_refused_action_changes_nothing_in_any_copy():
    env, twin = (PopulationVecEnv("matching", copies=2, strict=True, **SMALL) for _ in range(2))
    env.reset(seed=4)
    twin.reset(seed=4)
    with pytest.raises(IllegalActionError, match="agent 9 takes action 6"):
        env.step({PLAYER: 6 * np.eye(20, dtype=int)[19]})
    actions = {PLAYER: np.arange(20) % 3}
    for one, other in zip(env.step(actions)[:2], twin.step(actions)[:2]):
        np.testing.assert_array_equal(one[PLAYER], other[PLAYER])
    with pytest.raises(IllegalActionError, match="agent 9 takes action 6"):
        copy.copy(env).step({PLAYER: 6 * np.eye(20, dtype=int)[19]})


def test_copies_are_whole():
    env = PopulationVecEnv("matching", copies=2, **SMALL)
    env.reset(seed=4)
    for other in (copy.copy(env), copy.deepcopy(env)):
        actions = {PLAYER: np.arange(20) % 3}
        expected = copy.deepcopy(env).step(actions)
        for one, given in zip(other.step(actions)[:2], expected[:2]):
            np.testing.assert_array_equal(one[PLAYER], given[PLAYER])
        assert other.game.outcome().steps == 1
        assert env.game.outcome().steps == 0
