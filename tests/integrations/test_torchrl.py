"""TorchRL's view of a population, and its actors as policies of one."""

import numpy as np
import pytest

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.views.parallel import PopulationParallelEnv
from tests.integrations.common import SMALL, TABULAR, require, two_types
from tests.own_games import DriftGame, OneShotGame, SprintGame

require("torchrl")

import torch  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from tensordict.nn import TensorDictModule, TensorDictSequential  # noqa: E402
from torchrl.envs import check_env_specs  # noqa: E402
from torchrl.envs.utils import MarlGroupMapType  # noqa: E402
from torchrl.modules import NormalParamExtractor, ProbabilisticActor, TanhNormal  # noqa: E402

from training.integrations.torchrl import (  # noqa: E402
    action_probabilities,
    distil,
    masked_actor,
    policy_of,
    torchrl_env,
    train,
)

# of 0.11, which BenchMARL needs
pytestmark = pytest.mark.filterwarnings("ignore:size_average and reduce args:UserWarning")

TWO_TYPES = two_types(karma_max=6, karma_mean=3)


def playing(actions):
    """A policy that plays given actions ``[steps, agents]`` of the group ``player``, one after the other."""
    rows = iter(torch.as_tensor(actions))
    return TensorDictModule(lambda _: next(rows), [("player", "observation")], [("player", "action")])


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize("return_state", [False, True])
def test_specs(name, return_state):
    env = torchrl_env(name, n_agents=6, max_cycles=5, return_state=return_state)
    check_env_specs(env)
    batch = env.rollout(3)
    n_features = env.game.observation_space.shape[0]
    shapes = {"observation": (3, 6, n_features), "action_mask": (3, 6, env.game.n_actions), "action": (3, 6)}
    assert {key: tuple(batch["player", key].shape) for key in shapes} == shapes
    assert batch["player", "observation"].dtype == torch.float32
    assert batch["player", "action_mask"].dtype == torch.bool
    assert batch["player", "action"].dtype == torch.int64
    assert ("state" in batch) == return_state
    if return_state:
        assert torch.equal(batch["state"], batch["player", "observation"].flatten(1))


@pytest.mark.parametrize("later", [False, True], ids=["seed", "set_seed"])
def test_it_plays_what_the_parallel_env_plays(later):
    """Over several episodes; actions are legal ones and others."""
    env = torchrl_env("matching", max_cycles=5, seed=None if later else 4, **SMALL)
    twin = PopulationParallelEnv("matching", **SMALL)
    actions = np.random.default_rng(9).integers(0, 7, (17, 10))
    if later:
        env.set_seed(4)
    twin.reset(seed=4)
    batch = env.rollout(17, playing(actions), break_when_any_done=False)
    for step, row in enumerate(actions):
        if step % 5 == 0:
            observations, infos = twin.reset()
        here = batch[step]["player"]
        np.testing.assert_array_equal(here["observation"], np.stack(list(observations.values())))
        np.testing.assert_array_equal(
            here["action_mask"], np.stack([info["action_mask"] for info in infos.values()])
        )
        observations, rewards, *_, infos = twin.step(dict(zip(twin.possible_agents, row)))
        np.testing.assert_array_equal(
            batch[step]["next", "player", "reward"][:, 0], np.float32(list(rewards.values()))
        )


def test_the_horizon_truncates_all_and_terminates_nobody():
    """The last observation, which learners bootstrap from, has its masks."""
    batch = torchrl_env("matching", max_cycles=5, **SMALL).rollout(11, break_when_any_done=False)
    last = torch.tensor([step in (4, 9) for step in range(11)])
    for keys in ((), ("player",)):
        ends = {each: batch[("next", *keys, each)].flatten(1) for each in ("done", "truncated", "terminated")}
        assert torch.equal(ends["done"], last[:, None].expand_as(ends["done"]))
        assert torch.equal(ends["truncated"], ends["done"])
        assert not ends["terminated"].any()
    after = batch["next", "player"]
    karma = (6 * after["observation"][..., 1]).round()
    assert torch.equal(after["action_mask"].sum(-1), karma.long() + 1)


@pytest.mark.parametrize("game", [DriftGame, OneShotGame, SprintGame])
def test_games_with_boxes_and_an_end(game):
    """All are terminated at once, and nobody is truncated; specs hold, and random actions are played."""
    env = torchrl_env(game, return_state=True, seed=0)
    check_env_specs(env)
    batch = env.rollout(7, break_when_any_done=False)
    last = torch.tensor([step % game.length == 0 for step in range(1, 8)])
    for keys in ((), ("player",)):
        terminated = batch[("next", *keys, "terminated")].flatten(1)
        assert torch.equal(terminated, last[:, None].expand_as(terminated))
        assert not batch[("next", *keys, "truncated")].any()
    assert (("player", "action_mask") in batch.keys(True)) == (game is SprintGame)
    actions = batch["player", "action"].numpy()
    assert actions.shape == (7, 6, *env.game.action_space.shape)
    assert all(env.game.action_space.contains(action) for step in actions for action in step)


def test_an_actor_acts_where_there_are_no_tables():
    """What it draws, from the game's own streams."""
    game = DriftGame()
    game.reset(np.random.default_rng(0))
    torch.manual_seed(0)
    network = TensorDictModule(
        torch.nn.Sequential(torch.nn.Linear(2, 2), NormalParamExtractor()),
        [("player", "observation")],
        [("player", "loc"), ("player", "scale")],
    )
    actor = ProbabilisticActor(
        network,
        in_keys={"loc": ("player", "loc"), "scale": ("player", "scale")},
        out_keys=[("player", "action")],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": -1, "high": 1},
    )
    policy, state = policy_of({"player": actor}, game), game.state_dict()
    first = game.rollout(policy, 3)
    assert first.ended
    game.load_state_dict(state)
    torch.manual_seed(9)
    np.testing.assert_array_equal(game.rollout(policy, 3).actions, first.actions)
    assert (first.actions[0] != first.actions[1]).any()
    with pytest.raises(ConfigError, match=r"actors = .* player"):
        policy_of({"agents": actor}, game)


def test_a_greedy_actor_acts_greedily():
    actor = TensorDictModule(torch.square, [("player", "observation")], [("player", "action")])
    rows = np.linspace(0, 1, 12, dtype=np.float32).reshape(6, 2)
    actions = policy_of({"player": actor}, OneShotGame()).act(rows, np.zeros(1, np.uint64))
    np.testing.assert_array_equal(actions, rows**2)


def test_no_action_is_illegal():
    """Strict: the first illegal action would have raised, as one does."""
    env = torchrl_env("matching", strict=True, **SMALL)
    env.rollout(200)
    env.rollout(200, masked_actor(env.game, "player"))
    with pytest.raises(IllegalActionError, match="allowed: 0 … 3"):
        env.rollout(1, playing(np.full((1, 10), 4)))


def test_groups_are_types():
    env = torchrl_env("matching", **TWO_TYPES)
    check_env_specs(env)
    names = env.possible_agents
    assert env.group_map == {"type_0": names[:2], "type_1": names[2:]}
    assert env.game.type_of_agent.tolist() == [0] * 2 + [1] * 6
    each = torchrl_env("matching", group_map=MarlGroupMapType.ONE_GROUP_PER_AGENT, **SMALL)
    assert each.rollout(2)["player_003", "action"].shape == (2, 1)


def test_an_actor_is_a_table():
    game = karma_envs.make("matching", **TWO_TYPES)
    torch.manual_seed(0)
    actors = {group: masked_actor(game, group) for group in ("type_0", "type_1")}
    policy = distil(actors, game, n_steps=100).policy
    game.check_policy(policy)
    game.reset(np.random.default_rng(0))
    observations, types, now = game.observations(), game.type_of_agent, game.observation_index()
    for number, (group, actor) in enumerate(actors.items()):
        here = types == number
        seen = {"observation": observations[here], "action_mask": game.legal_actions[now[here]]}
        with torch.no_grad():
            expected = actor.get_dist(TensorDict({group: seen})).probs
        np.testing.assert_allclose(policy.probabilities[number, now[here]], expected, atol=1e-6)
    assert np.abs(policy.probabilities[0] - policy.probabilities[1]).max() > 0.01


def test_a_greedy_actor_is_played_greedily():
    """However many agents its group has, each row is answered once."""

    def highest(mask):
        return mask.sum(-1) - 1

    actor = TensorDictModule(highest, [("player", "action_mask")], [("player", "action")])
    legal = np.tri(7, dtype=bool)
    found = action_probabilities(actor, "player", np.zeros((7, 2), np.float32), legal, 4)
    np.testing.assert_array_equal(found, np.eye(7))


def test_it_learns(score_of):
    assert score_of("torchrl-ippo") > 0.25


def test_types_learn_at_once():
    """To whom the future is worth nothing high bids pay, to others less so."""
    impatient = [{**TWO_TYPES["types"][0], "discount": 0.0}, TWO_TYPES["types"][1]]
    game = karma_envs.make("matching", **{**TWO_TYPES, "types": impatient})
    trained = train(game, 10_000, seed=1)
    assert trained.agent_steps == 30 * 41 * 8
    game.check_policy(trained.policy)
    bids = trained.policy.mean_actions().reshape(2, 2, 7)[:, :, 1:] / np.arange(1, 7)
    assert bids[0].mean() > 0.65
    assert bids[0].mean() > bids[1].mean() + 0.1


def test_the_seed_decides():
    game = karma_envs.make("matching", **TWO_TYPES)
    first, second, other = (train(game, 1000, seed).policy.probabilities for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0.01


def test_wrong_use_is_refused():
    game = karma_envs.make("matching", **SMALL)
    with pytest.raises(ConfigError, match=r"observation = 'dict' .* flat"):
        torchrl_env("matching", observation="dict")
    with pytest.raises(ConfigError, match="matchin"):
        torchrl_env("matchin")
    with pytest.raises(ConfigError, match="no field 'n_agent'"):
        torchrl_env("matching", n_agent=3)
    with pytest.raises(ConfigError, match=r"actors = \['agents'\] .* player"):
        distil({"agents": masked_actor(game, "agents")}, game)
    hidden = TensorDictSequential(masked_actor(game, "player"))  # it would be read as if it were greedy
    with pytest.raises(ConfigError, match=r"actor = 'TensorDictSequential' .*get_dist"):
        distil({"player": hidden}, game)
    with pytest.raises(ConfigError, match=r"game = 'drift' .*finite observations and actions"):
        train(DriftGame(), 1000, 0)
    with pytest.raises(ConfigError, match=r"budget = 9 .* a step of 10 agents"):
        train(game, 9, 0)
