"""RLlib's view of a population, its modules as policies, and the PPO that learns one of each type."""

import os
import subprocess
import sys

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.views.parallel import PopulationParallelEnv
from tests.integrations.common import SMALL, TABULAR, require, two_types
from tests.own_games import DriftGame, OneShotGame, SprintGame

require("rllib")
pytest.importorskip("ray.rllib", reason="needs the extra rllib: pip install karma-envs[rllib]")

import ray  # noqa: E402
import torch  # noqa: E402
from ray.rllib.algorithms.ppo import PPOConfig  # noqa: E402
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import (  # noqa: E402
    DefaultPPOTorchRLModule,
)
from ray.rllib.core.columns import Columns  # noqa: E402
from ray.rllib.core.rl_module import RLModuleSpec  # noqa: E402
from ray.rllib.utils.postprocessing.value_predictions import compute_value_targets  # noqa: E402
from ray.rllib.utils.pre_checks.env import check_multiagent_environments  # noqa: E402

from training.integrations.rllib import (  # noqa: E402
    MaskedPPOModule,
    PopulationMultiAgentEnv,
    action_probabilities,
    distil,
    local_ray,
    policy_of,
    train,
)

# Ray keeps files and sockets open beyond ray.shutdown(), and RLlib registers its environment again.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-multi-agent-env-v0:UserWarning"),
]

TWO_TYPES = two_types()


def made(game="matching", **arguments):
    return PopulationMultiAgentEnv({"game": game, **arguments})


def any_actions(env, n_steps, seed=9):
    rng = np.random.default_rng(seed)
    return rng.integers(0, env.game.n_actions, (n_steps, env.game.n_agents))


def module_of(game, module_class=MaskedPPOModule):
    torch.manual_seed(3)
    env = PopulationMultiAgentEnv({"game": type(game), **SMALL})
    return module_class(
        observation_space=env.get_observation_space(0),
        action_space=env.get_action_space(0),
        model_config={"fcnet_hiddens": [8], "fcnet_activation": "tanh", "vf_share_layers": False},
    )


@pytest.mark.parametrize("name", TABULAR)
def test_spaces_hold_what_agents_see(name):
    env = made(name, n_agents=6, max_cycles=3)
    assert env.agents == env.possible_agents == list(range(6))
    observations, _ = env.reset(seed=1)
    for actions in any_actions(env, 3):
        assert list(observations) == env.agents
        for agent, observation in observations.items():
            assert observation.keys() == {"observations", "action_mask"}
            assert env.get_observation_space(agent).contains(observation)
        observations, rewards, *_ = env.step(dict(enumerate(actions)))
        assert list(rewards) == env.agents
        assert all(type(reward) is float for reward in rewards.values())
    assert isinstance(env.get_observation_space(0), Dict)
    assert len({id(env.get_observation_space(agent)) for agent in env.agents}) == 6


@pytest.mark.parametrize("name", TABULAR)
def test_rllib_finds_no_fault(name):
    check_multiagent_environments(made(name, n_agents=6))


def test_it_plays_as_the_parallel_view():
    """Over several episodes, which continue one random generator, with illegal actions."""
    env, twin = made(max_cycles=4, **SMALL), PopulationParallelEnv("matching", max_cycles=4, **SMALL)
    twin_names = twin.possible_agents
    observations, _ = env.reset(seed=5)
    expected, masks = twin.reset(seed=5)
    for step, actions in enumerate(any_actions(env, 13), 1):
        for agent, name in enumerate(twin_names):
            np.testing.assert_array_equal(observations[agent]["observations"], expected[name])
            np.testing.assert_array_equal(observations[agent]["action_mask"], masks[name]["action_mask"])
        observations, rewards, terminations, truncations, infos = env.step(dict(enumerate(actions)))
        expected, earned, _, _, masks = twin.step(dict(zip(twin_names, actions)))
        assert list(rewards.values()) == list(earned.values())
        illegal = [info.get("illegal_action", False) for info in infos.values()]
        assert illegal == [info.get("illegal_action", False) for info in masks.values()]
        assert any(illegal)
        assert set(terminations) == set(truncations) == {*env.agents, "__all__"}
        assert not any(terminations.values())
        assert set(truncations.values()) == {step % 4 == 0}
        if step % 4 == 0:
            observations, _ = env.reset()
            expected, masks = twin.reset()


@pytest.mark.parametrize("game", [DriftGame, OneShotGame, SprintGame])
def test_games_with_boxes_and_an_end(game):
    """The parallel view; where all actions are legal observations are flat. All are terminated at once."""
    env, twin = made(game), PopulationParallelEnv(game)
    check_multiagent_environments(made(game))
    observations, (expected, _) = env.reset(seed=5)[0], twin.reset(seed=5)
    for step in range(1, 9):
        rows = [each["observations"] if game is SprintGame else each for each in observations.values()]
        np.testing.assert_array_equal(rows, list(expected.values()))
        assert env.get_observation_space(3).contains(observations[3])
        actions = [env.get_action_space(agent).sample() for agent in env.agents]
        observations, rewards, terminations, truncations, _ = env.step(dict(enumerate(actions)))
        expected, earned, *_ = twin.step(dict(zip(twin.possible_agents, actions)))
        assert list(rewards.values()) == list(earned.values())
        assert set(terminations.values()) == {step % game.length == 0}
        assert set(truncations.values()) == {False}
        if terminations["__all__"]:
            observations, (expected, _) = env.reset()[0], twin.reset()


def test_a_module_acts_where_there_are_no_tables():
    """What it draws, brought from -1 … 1 to the box; from the game's own streams."""
    torch.manual_seed(3)
    game = OneShotGame()
    settings = {"observation_space": game.observation_space, "action_space": game.action_space}
    model = {"fcnet_hiddens": [8], "vf_share_layers": False}
    module = DefaultPPOTorchRLModule(**settings, model_config=model)
    game.reset(np.random.default_rng(0))
    policy, state = policy_of(module, game), game.state_dict()
    first = game.rollout(policy, 1)
    game.load_state_dict(state)
    torch.manual_seed(9)
    np.testing.assert_array_equal(game.rollout(policy, 1).actions, first.actions)
    rows = np.zeros((6, 1), np.float32)
    drawn = np.array([policy.act(rows, np.array([seed], np.uint64)) for seed in range(200)])
    with torch.no_grad():
        means, logs = module.forward_exploration({Columns.OBS: torch.zeros(1, 1)})[
            Columns.ACTION_DIST_INPUTS
        ].chunk(2, dim=1)
    inside = (drawn > 0) & (drawn < 1)
    expected = torch.distributions.Normal(means, logs.exp())
    share = (expected.cdf(torch.ones(1, 2)) - expected.cdf(-torch.ones(1, 2)))[0].numpy()
    error = np.sqrt(share * (1 - share) / 1200)
    assert (np.abs(inside.mean(axis=(0, 1)) - share) < 4 * error).all()  # seeded
    with pytest.raises(ConfigError, match="which no connector has changed"):
        policy_of(module, DriftGame())


def test_ppo_learns_in_a_box():
    """RLlib's own module and learner; mean rewards of an agent and step in 100 episodes."""
    config = (
        PPOConfig()
        .environment(PopulationMultiAgentEnv, env_config={"game": DriftGame})
        .env_runners(num_env_runners=0)
        .multi_agent(policies={"all"}, policy_mapping_fn=lambda *_, **__: "all", count_steps_by="agent_steps")
        .rl_module(rl_module_spec=RLModuleSpec(model_config={"fcnet_hiddens": [32]}))
        .training(gamma=0.9, lr=3e-3, train_batch_size_per_learner=900, minibatch_size=180, num_epochs=5)
        .debugging(seed=0)
    )
    game, means = DriftGame(), []
    with local_ray():
        algorithm = config.build_algo()
        for _ in range(2):
            policy = policy_of(algorithm.get_module("all"), game)
            game.reset(np.random.default_rng(1))
            means.append([game.rollout(policy, 3).rewards.mean() for _ in range(100)])
            for _ in range(4):
                algorithm.train()
        algorithm.stop()
    before, after = np.array(means)
    assert after.mean() > before.mean() + 4 * np.hypot(before.std(), after.std()) / 10  # standard errors


def test_pictures():
    pytest.importorskip("matplotlib").use("agg")
    env = made(render_mode="rgb_array", **SMALL)
    env.reset(seed=0)
    assert env.render().dtype == np.uint8
    env.close()


def test_wrong_use_is_refused():
    with pytest.raises(ConfigError, match=r"env_config = \{'n_agents': 4\} .* game"):
        PopulationMultiAgentEnv({"n_agents": 4})
    with pytest.raises(ConfigError, match=r"observation = 'flat' .* dict"):
        made(observation="flat")
    with pytest.raises(ConfigError, match="max_cycles = 0"):
        made(max_cycles=0)
    env = made(strict=True, **SMALL)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(dict.fromkeys(range(10), 0))
    env.reset(seed=0)
    with pytest.raises(IllegalActionError, match="no action for agent 'player_009'"):
        env.step(dict.fromkeys(range(9), 0))
    with pytest.raises(IllegalActionError, match="10, which is no agent"):
        env.step(dict.fromkeys(range(11), 0))
    with pytest.raises(IllegalActionError, match="allowed: 0 … 3"):
        env.step(dict.fromkeys(range(10), 6))
    with pytest.raises(ConfigError, match=r"game = 'drift' .*finite observations and actions"):
        train(DriftGame(), 1000, 0)
    with pytest.raises(ConfigError, match=r"budget = 9 .* a step of 10 agents"):
        train(karma_envs.make("matching", **SMALL), 9, 0)
    with pytest.raises(ConfigError, match="n_cpus = 0"), local_ray(0):
        pass


def asked(module, game, legal):
    """What a module does where ``legal`` actions are legal."""
    shape = len(legal), game.observation_space.shape[0]
    return action_probabilities(module, np.random.default_rng(0).random(shape, np.float32), legal)


def test_a_masked_module_is_the_network_without_illegal_actions():
    """Conditioned on being legal, actions are as probable as RLlib's own network makes them."""
    game = karma_envs.make("matching", **SMALL)
    module, legal = module_of(game), game.legal_actions
    found = asked(module, game, legal)
    assert (found[~legal] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    everything = asked(module, game, np.ones_like(legal))
    expected = np.where(legal, everything, 0)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)
    assert everything[~legal].max() > 0.01  # which the mask has taken away


def test_training_and_play_see_the_same_masked_logits():
    game = karma_envs.make("matching", **SMALL)
    module = module_of(game)
    mask = torch.as_tensor(game.legal_actions.astype(np.int8))
    seen = torch.rand(len(mask), game.observation_space.shape[0])
    batch = {Columns.OBS: {"observations": seen, "action_mask": mask}}
    played = module.forward_exploration(batch)[Columns.ACTION_DIST_INPUTS]
    trained = module.forward_train(batch)
    torch.testing.assert_close(played, trained[Columns.ACTION_DIST_INPUTS])
    values = module.compute_values(batch)
    torch.testing.assert_close(values, module.compute_values(batch, trained[Columns.EMBEDDINGS]))
    assert batch[Columns.OBS].keys() == {"observations", "action_mask"}  # nothing was taken out


def test_rllibs_own_module_for_masks_is_read_too():
    """The keys are those it asks for; it is deprecated code of RLlib's, which logs that."""
    examples = pytest.importorskip("ray.rllib.examples.rl_modules.classes.action_masking_rlm")
    game = karma_envs.make("matching", **SMALL)
    module = module_of(game, examples.ActionMaskingTorchRLModule)
    found = asked(module, game, game.legal_actions)
    assert (found[~game.legal_actions] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_what_has_no_table_is_refused():
    game = karma_envs.make("matching", **TWO_TYPES)

    class Flat:
        observation_space = Box(0, 1, (2,))

    with pytest.raises(ConfigError, match=r"Flat.*masks"):
        distil(Flat(), game)
    with pytest.raises(ConfigError, match=r"module = '3 models' .* one for each of 2 types"):
        distil([Flat()] * 3, game)

    class Greedy:
        observation_space = made(**SMALL).get_observation_space(0)

        def forward_exploration(self, batch):
            return {Columns.ACTIONS: torch.zeros(len(batch[Columns.OBS]["observations"]))}

    with pytest.raises(ConfigError, match=r"Greedy.*logits"):
        distil(Greedy(), karma_envs.make("matching", **SMALL))

    class Filtered:
        observation_space = Dict(
            {"observations": Box(-10, 10, (2,), np.float32), "action_mask": Box(0, 1, (7,), np.int8)}
        )

    with pytest.raises(ConfigError, match=r"Filtered that sees Box\(-10.*which no connector has changed"):
        distil(Filtered(), karma_envs.make("matching", **SMALL))


def test_two_types_have_two_policies_with_their_own_discounts(monkeypatch):
    """RLlib's learner of PPO would take one gamma for all modules."""
    lowest = {}

    def spy(*, rewards, gamma, **kwargs):
        lowest[gamma] = min(lowest.get(gamma, 0), float(np.min(rewards)))
        return compute_value_targets(rewards=rewards, gamma=gamma, **kwargs)

    path = "ray.rllib.connectors.learner.general_advantage_estimation.compute_value_targets"
    monkeypatch.setattr(path, spy)
    game = karma_envs.make("matching", **TWO_TYPES)
    trained = train(game, 800, 0)
    assert trained.agent_steps == 792  # 33 updates of 3 steps of 8 agents
    probabilities = trained.policy.probabilities
    assert len(probabilities) == 2
    assert trained.policy.row_of_agent.tolist() == game.type_of_agent.tolist()
    assert np.abs(probabilities[0] - probabilities[1]).max() > 0.01
    assert not probabilities[:, ~game.legal_actions].any()
    # Who is urgent and yields gets -5, here times 1 - gamma.
    assert lowest == pytest.approx({0.5: -5 * 0.5, 0.9: -5 * 0.1})


SCRIPT = """
import hashlib, karma_envs
from training.integrations.rllib import train
policy = train(karma_envs.make("matching", n_agents=4, karma_max=6, karma_mean=3), 400, 0).policy
print(hashlib.sha1(policy.probabilities.tobytes()).hexdigest())
"""


def test_a_seed_gives_the_same_policy_in_every_process():
    """Python orders sets of names differently in each process, and RLlib goes through sets of agents."""

    def policy(hash_seed):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        return done.stdout

    assert policy("1") == policy("2")


def test_ray_is_stopped_by_whom_it_was_started():
    """And seeds matter."""
    assert not ray.is_initialized()
    deterministic = torch.are_deterministic_algorithms_enabled()
    game = karma_envs.make("matching", **SMALL)
    with local_ray():
        found = [train(game, 100, seed).policy.probabilities for seed in (0, 0, 1)]
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert torch.are_deterministic_algorithms_enabled() == deterministic
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.01


def test_it_learns(score_of):
    """Seeds 0 to 4 score 0.49 to 0.60."""
    assert score_of("rllib-ppo") > 0.3
