"""Wrappers of other packages around each view; heavy ones in the session ``wrappers`` of ``noxfile.py``."""

import gymnasium
import numpy as np
import pytest
from pettingzoo.utils.conversions import aec_to_parallel
from pettingzoo.utils.wrappers import TerminateIllegalWrapper

from karma_envs import matching_v0
from karma_envs.views import GameViews
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv
from tests.integrations.common import TABULAR

extra = "nox -s wrappers"


def test_skrl_wraps_the_population():
    """The same trajectory as without it, in tensors, beyond the horizon too."""
    wrap_env = pytest.importorskip("skrl.envs.wrappers.torch", reason=extra).wrap_env
    env, twin = (
        wrap_env(matching_v0.parallel_env(n_agents=4, max_cycles=3)),
        matching_v0.parallel_env(n_agents=4),
    )
    env._seed = 5
    observations, _ = env.reset()
    expected, _ = twin.reset(seed=5)
    assert env.possible_agents == twin.possible_agents
    for bid in range(3):
        for agent, row in expected.items():
            np.testing.assert_array_equal(observations[agent].cpu().numpy()[0], row)
        np.testing.assert_array_equal(env.state()["player_000"].cpu().numpy()[0], twin.state())
        actions = {agent: env.action_space(agent).sample() * 0 + bid for agent in env.agents}
        tensors = {agent: _tensor([[action]]) for agent, action in actions.items()}
        observations, rewards, _, truncated, _ = env.step(tensors)
        expected, paid, *_ = twin.step(actions)
        assert {agent: float(reward) for agent, reward in rewards.items()} == paid
    assert all(bool(flag) for flag in truncated.values())
    env.reset()


def _tensor(values):
    return pytest.importorskip("torch").tensor(values)


BIDS, ILLEGAL = (20, 0, 0), [False, True, False, False]  # of who has karma 10
CUT = [False, False, False, True]


@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")  # folders of Minari's own
@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_minari_records_infos(observation, tmp_path, monkeypatch):
    """Whose keys are therefore the same in all steps, legal or not, at the horizon or not."""
    minari = pytest.importorskip("minari", reason=extra)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = gymnasium.make("karma_envs/Matching-v0", n_agents=4, max_cycles=3, observation=observation)
    collector = minari.DataCollector(env, record_infos=True)
    for seed in (0, 1):
        collector.reset(seed=seed)
        for bid in BIDS:
            collector.step(bid)
    about = dict.fromkeys(("author", "author_email", "algorithm_name", "code_permalink", "description"), "-")
    dataset = collector.create_dataset("karma/matching-v0", eval_env=env, **about)
    for episode in dataset.iterate_episodes():
        assert episode.infos["illegal_action"].tolist() == ILLEGAL
        assert episode.infos["TimeLimit.truncated"].tolist() == CUT
        assert episode.truncations.tolist() == CUT[1:]
    collector.close()


@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_infos_of_a_learner_always_have_the_same_keys(observation):
    env = SingleAgentEnv("matching", n_agents=4, max_cycles=3, observation=observation)
    mask = {"action_mask"} if observation == "flat" else set()
    infos = [env.reset(seed=0)[1], *(env.step(bid)[-1] for bid in BIDS)]
    for info in infos:
        assert set(info) == {"illegal_action", "TimeLimit.truncated"} | mask
        assert all(type(info[key]) is bool for key in set(info) - mask)
    assert [info["illegal_action"] for info in infos] == ILLEGAL
    assert [info["TimeLimit.truncated"] for info in infos] == CUT


@pytest.mark.parametrize("name", TABULAR)
def test_supersuit_skips_frames(name):
    """A population that repeats its actions: twice the rewards of one that has them once."""
    supersuit = pytest.importorskip("supersuit")
    env = supersuit.frame_skip_v0(GameViews(name).parallel_env(n_agents=6), 2)
    twin = GameViews(name).parallel_env(n_agents=6)
    env.reset(seed=3)
    twin.reset(seed=3)
    for _ in range(3):
        rewards = env.step(dict.fromkeys(env.agents, 0))[1]
        paid = [twin.step(dict.fromkeys(twin.agents, 0))[1] for _ in range(2)]
        assert rewards == {agent: sum(each[agent] for each in paid) for agent in twin.agents}
    turns = supersuit.frame_skip_v0(GameViews(name).env(n_agents=6), 2)
    turns.reset(seed=3)
    turns.step(0)


def test_spaces_are_there_by_agent_too():
    for env in (matching_v0.parallel_env(n_agents=4), matching_v0.raw_env(n_agents=4)):
        assert list(env.observation_spaces) == list(env.action_spaces) == env.possible_agents
        for agent in env.possible_agents:
            assert env.observation_spaces[agent] is env.observation_space(agent)
            assert env.action_spaces[agent] is env.action_space(agent)
        assert env.observation_spaces is env.observation_spaces


def test_the_random_generator_is_that_of_the_seed():
    env, twin = (PopulationParallelEnv("matching", n_agents=4) for _ in range(2))
    for each in (env, twin):
        each.reset(seed=7)
    assert env.np_random.integers(2**40) == twin.np_random.integers(2**40)
    assert matching_v0.parallel_env(n_agents=4).np_random is not None  # before a reset too


def test_gymnasium_films_the_population(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("moviepy", reason=extra)
    env = PopulationVectorEnv("matching", n_agents=4, max_cycles=3, render_mode="rgb_array")
    env = gymnasium.wrappers.vector.RecordVideo(  # there since Gymnasium 1.2
        env, str(tmp_path / "videos"), record_first_only=True, episode_trigger=lambda _: True
    )
    env.reset(seed=0)
    for _ in range(5):
        env.step(np.zeros(4, int))
    env.close()
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == 2


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_pettingzoo_ends_the_game_at_an_illegal_action(name, observation):
    env = TerminateIllegalWrapper(GameViews(name).env(n_agents=6, observation=observation), illegal_reward=-9)
    env.reset(seed=0)
    for _ in range(7):  # a whole step, and one turn
        env.step(0)
    observed, *_, info = env.last()
    mask = info.get("action_mask") if observation == "flat" else observed["action_mask"]
    if mask.all():
        pytest.skip("every action of this game is legal")
    env.step(int(np.flatnonzero(mask == 0)[0]))
    left = {}
    for agent in env.agent_iter():
        _, reward, terminated, _, _ = env.last()
        assert terminated
        left[agent] = reward
        env.step(None)
    assert list(left) == [f"player_00{number}" for number in range(6)]
    assert left["player_000"] == 0  # it has acted, and had its reward of the first step before
    assert left["player_001"] == -9
    env.reset(seed=0)  # and on
    env.step(0)
    assert env.agent_selection == "player_001"


def test_pettingzoo_makes_turns_parallel_again():
    env, twin = (
        aec_to_parallel(matching_v0.env(n_agents=4, max_cycles=3)),
        matching_v0.parallel_env(n_agents=4),
    )
    env.reset(seed=0)
    twin.reset(seed=0)
    for bid in range(3):
        observations, rewards, _, truncations, _ = env.step(dict.fromkeys(env.agents, bid))
        expected, paid, *_ = twin.step(dict.fromkeys(twin.agents, bid))
        assert dict(rewards) == paid
        for agent, row in expected.items():
            np.testing.assert_array_equal(observations[agent], row)
    assert all(truncations.values())


def test_specs_tell_the_horizon():
    """Without a limit of Gymnasium's own, which would cut what ``max_cycles`` allows."""
    env = gymnasium.make("karma_envs/Matching-v0", n_agents=4, max_cycles=7)
    assert env.spec.max_episode_steps == 7
    assert not isinstance(env, gymnasium.wrappers.TimeLimit)
    again = gymnasium.make(env.spec)
    again.reset(seed=0)
    flags = [again.step(0)[3] for _ in range(7)]
    assert flags == [False] * 6 + [True]
    assert gymnasium.make("karma_envs/Matching-v0", max_episode_steps=3).spec.max_episode_steps == 3
    env.unwrapped.max_cycles = 9
    assert env.unwrapped.spec.max_episode_steps == 9  # wrappers keep what they were told first
    assert SingleAgentEnv("matching", n_agents=4).spec is None
    vector = gymnasium.make_vec("karma_envs/Matching-v0", num_envs=4, max_episode_steps=5)
    assert vector.spec.max_episode_steps == vector.max_cycles == 5
    assert gymnasium.make_vec("karma_envs/Matching-v0", num_envs=4).spec.max_episode_steps == 1000


def test_autoreset_modes_that_are_there():
    for mode in (gymnasium.vector.AutoresetMode.NEXT_STEP, "NextStep"):
        env = gymnasium.make_vec("karma_envs/Matching-v0", num_envs=4, autoreset_mode=mode)
        assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.NEXT_STEP
