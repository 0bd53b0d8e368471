"""BenchMARL's tasks, and its experiments' policies as tables."""

import os
import pickle

import numpy as np
import pytest

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingGame
from tests.integrations.common import SMALL, TABULAR, require, two_types
from tests.own_games import DriftGame, SprintGame

require("benchmarl")

import torch  # noqa: E402

from training.integrations.benchmarl import (  # noqa: E402  # isort: skip
    KarmaClass,
    KarmaTask,
    distil_experiment,
    policy_of_experiment,
    train,
)
from benchmarl.algorithms import IppoConfig, IqlConfig, MappoConfig, QmixConfig  # noqa: E402
from benchmarl.experiment import Experiment, ExperimentConfig  # noqa: E402
from benchmarl.models import GruConfig, MlpConfig  # noqa: E402
from torchrl.envs import ObservationNorm, check_env_specs  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:size_average and reduce args:UserWarning"),  # TorchRL's
    pytest.mark.filterwarnings("ignore:SyncDataCollector has been deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The default behavior of TransformedEnv:FutureWarning"),  # nested
    pytest.mark.filterwarnings("ignore:No episode terminated:UserWarning"),
]

TWO_TYPES = two_types((0.9, 0.9), ((1, 2), (1, 5)), karma_max=6, karma_mean=3)


def made(task, seed=0):
    return task.get_env_fun(num_envs=1, continuous_actions=False, seed=seed, device="cpu")


def experiment(folder, algorithm, task, *, model=MlpConfig, **changes):
    """Three iterations of sixty steps in two environments, with evaluations."""
    config = ExperimentConfig.get_from_yaml()
    settings = {
        "save_folder": str(folder), "loggers": [], "create_json": True, "render": False,
        "max_n_frames": None, "max_n_iters": 3,
        "evaluation": True, "evaluation_interval": 60, "evaluation_episodes": 2,
        "on_policy_collected_frames_per_batch": 60, "off_policy_collected_frames_per_batch": 60,
        "on_policy_n_envs_per_worker": 2, "off_policy_n_envs_per_worker": 2,
        "on_policy_n_minibatch_iters": 2, "on_policy_minibatch_size": 30,
        "off_policy_n_optimizer_steps": 4, "off_policy_train_batch_size": 32, "off_policy_memory_size": 1000,
        **changes,
    }  # fmt: skip
    for name, value in settings.items():
        assert hasattr(config, name)
        setattr(config, name, value)
    return Experiment(task, algorithm.get_from_yaml(), model.get_from_yaml(), seed=0, config=config)


def test_every_game_is_a_task():
    assert [task.name.lower() for task in KarmaTask] == list(karma_envs.names())
    for member in KarmaTask:
        task = member.get_task({"n_agents": 6, "max_cycles": 7})
        assert task == pickle.loads(pickle.dumps(task))
        env = made(task)()
        check_env_specs(env)
        game = karma_envs.make(member.name.lower(), n_agents=6)
        n_features = game.observation_space.shape[0]
        assert task.group_map(env) == {"player": env.possible_agents}
        assert task.max_steps(env) == (game.length or 7)
        assert task.env_name() == KarmaTask.env_name() == "karma_envs"
        assert task.observation_spec(env)["player", "observation"].shape == (6, n_features)
        numbered = game.name in TABULAR
        if numbered:
            assert task.action_spec(env)["player", "action"].space.n == game.n_actions
            assert task.action_mask_spec(env)["player", "action_mask"].shape == (6, game.n_actions)
        else:
            assert task.action_spec(env)["player", "action"].shape == (6, *game.action_space.shape)
            assert task.action_mask_spec(env) is None
        assert task.state_spec(env)["state"].shape == (6 * n_features,)
        assert task.supports_discrete_actions() == numbered
        assert task.supports_continuous_actions() != numbered
        assert not task.has_render(env)


def test_a_task_without_configuration_is_the_game_as_it_is_by_default():
    task = KarmaTask.MATCHING.get_task()
    env = made(task)()
    assert env.game.config == karma_envs.make("matching").config
    assert task.max_steps(env) == 1000


def test_environments_side_by_side_differ_and_seeds_repeat_them():
    task = KarmaTask.MATCHING.get_task({"n_agents": 20})
    first, second = ([make().reset()["state"] for _ in range(2)] for make in (made(task), made(task)))
    assert not torch.equal(first[0], first[1])
    assert torch.equal(torch.stack(first), torch.stack(second))
    other = made(task, seed=5)().reset()["state"]
    assert not torch.equal(first[0], other)
    unseeded = made(task, seed=None)
    assert not torch.equal(unseeded().reset()["state"], unseeded().reset()["state"])


def weights(loss):
    return torch.cat([each.detach().flatten() for each in loss.parameters()])


@pytest.mark.parametrize("algorithm", [IppoConfig, MappoConfig, IqlConfig, QmixConfig])
@pytest.mark.parametrize("sizes", [SMALL, TWO_TYPES], ids=["one type", "two types"])
def test_algorithms_run_without_an_illegal_action(tmp_path, algorithm, sizes):
    """Strict: the first illegal action would have raised, while learning or in an evaluation."""
    task = KarmaTask.MATCHING.get_task({**sizes, "strict": True, "max_cycles": 20})
    run = experiment(tmp_path, algorithm, task)
    before = {group: weights(loss) for group, loss in run.losses.items()}
    run.run()
    assert run.total_frames == 180
    assert np.isfinite(run.mean_return)
    for group, loss in run.losses.items():
        assert not torch.equal(weights(loss), before[group])
    game = karma_envs.make("matching", **sizes)
    policy = distil_experiment(run, game, n_steps=50).policy
    game.check_policy(policy)
    greedy = np.isin(policy.probabilities, (0, 1)).all()
    assert greedy == (algorithm in (IqlConfig, QmixConfig))


class Doubled(MatchingGame):
    def step(self, actions):
        return 2 * super().step(actions)


def test_a_game_of_ones_own(tmp_path):
    task = KarmaClass("DOUBLED", {**SMALL, "max_cycles": 20}, game=Doubled)
    assert isinstance(made(task)().game, Doubled)
    run = experiment(tmp_path, IppoConfig, task, max_n_iters=1)
    run.run()
    assert run.task_name == "doubled"


@pytest.mark.parametrize("game", [DriftGame, SprintGame])
def test_games_with_boxes_and_an_end(tmp_path, game):
    """Actions are of the kind that the game has; what was learned is played."""
    task = KarmaClass(game.name.upper(), {}, game=game)
    assert task.supports_continuous_actions() == (game is DriftGame)
    assert task.supports_discrete_actions() == (game is SprintGame)
    run = experiment(tmp_path, IppoConfig, task, max_n_iters=1)
    assert run.continuous_actions == (game is DriftGame)
    run.run()
    own = game()
    own.reset(np.random.default_rng(0))
    assert own.rollout(policy_of_experiment(run, own), 10).ended


def test_it_learns_and_leaves_nothing_behind(score_of, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert score_of("benchmarl-ippo") > 0.2
    assert os.listdir(tmp_path) == []
    assert capfd.readouterr() == ("", "")


def test_the_seed_decides():
    game = karma_envs.make("matching", **TWO_TYPES)
    first, second, other = (train(game, 1000, seed) for seed in (1, 1, 2))
    assert first.agent_steps == 31 * 4 * 8
    np.testing.assert_array_equal(first.policy.probabilities, second.policy.probabilities)
    assert np.abs(first.policy.probabilities - other.policy.probabilities).max() > 0.01
    assert first.policy.row_of_agent.tolist() == game.type_of_agent.tolist()


def test_wrong_use_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no field 'n_agent'"):
        made(KarmaTask.MATCHING.get_task({"n_agent": 3}))()
    with pytest.raises(ConfigError, match=r"observation = 'dict' .* flat"):
        made(KarmaTask.MATCHING.get_task({"observation": "dict"}))()
    with pytest.raises(ConfigError, match="chess"):
        made(KarmaClass("CHESS"))()
    game = karma_envs.make("matching", **SMALL)
    with pytest.raises(ConfigError, match=r"game = 'drift' .*finite observations and actions"):
        train(DriftGame(), 1000, 0)
    with pytest.raises(ConfigError, match=r"budget = 9 .* a step of 10 agents"):
        train(game, 9, 0)
    with pytest.raises(ConfigError, match=r"game = .*one discount factor"):
        train(karma_envs.make("matching", preset="two-discounts"), 1000, 0)
    task = KarmaTask.MATCHING.get_task({**SMALL, "max_cycles": 20})
    with pytest.raises(ConfigError, match="share_policy_params = False"):
        distil_experiment(experiment(tmp_path, IppoConfig, task, share_policy_params=False), game)
    with pytest.raises(ConfigError, match="a model without memory"):
        distil_experiment(experiment(tmp_path, IppoConfig, task, model=GruConfig), game)
    normalised = Normalised("MATCHING", {**SMALL, "max_cycles": 20})
    with pytest.raises(ConfigError, match=r"experiment = 'one with ObservationNorm'"):
        distil_experiment(experiment(tmp_path, IppoConfig, normalised), game)


class Normalised(KarmaClass):
    def get_env_transforms(self, env):
        return [ObservationNorm(loc=0.5, scale=2.0, in_keys=[("player", "observation")])]
