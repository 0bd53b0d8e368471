"""A Stable-Baselines3 model is asked with what it saw in its own environment, or not at all."""

from functools import partial

import gymnasium
import numpy as np
import pytest

import karma_envs
from karma_envs.config import ConfigError
from tests.integrations.common import SMALL, require

require("sb3")

import stable_baselines3 as sb3  # noqa: E402
import torch  # noqa: E402
from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.vec_env import (  # noqa: E402
    VecEnvWrapper,
    VecExtractDictObs,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)

from training.integrations.sb3 import PopulationVecEnv, distil  # noqa: E402

SETTINGS = {"PPO": {"n_steps": 8, "batch_size": 80, "n_epochs": 1}, "DQN": {"learning_starts": 20}}


def population():
    return PopulationVecEnv("matching", **SMALL)


def table(model):
    return distil(model, karma_envs.make("matching", **SMALL), n_steps=20)


def model_on(env, algorithm="PPO"):
    """A model with a network that reacts strongly, in an environment that some steps were played in."""
    model = getattr(sb3, algorithm)("MlpPolicy", env, seed=0, device="cpu", **SETTINGS[algorithm])
    model.learn(80)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.normal_()
    return model


def total_variation(one, other):
    return np.abs(one - other).sum(axis=1).max() / 2


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_the_table_is_what_the_model_does_with_normalised_observations(algorithm):
    env = VecNormalize(VecMonitor(population()))
    model = model_on(env, algorithm)
    found = table(model)
    known = np.flatnonzero(found.visited[0])
    assert len(known) > 6
    grid = np.array([[urgency, karma / 6] for urgency in (0.2, 1) for karma in range(7)], np.float32)
    differences = []
    for seen in (env.normalize_obs(grid), grid):
        if algorithm == "DQN":
            chosen = np.eye(7)[model.predict(seen, deterministic=True)[0]]
        else:
            chosen = model.policy.get_distribution(torch.as_tensor(seen)).distribution.probs.detach().numpy()
        played = np.zeros((14, 7))
        for observation, action in np.ndindex(14, 7):  # as all of one's karma where that is less
            played[observation, min(action, observation % 7)] += chosen[observation, action]
        differences.append(total_variation(found.policy.probabilities[0][known], played[known]))
    assert differences[0] < 1e-6
    assert differences[1] > 0.3  # of what it would do if it were asked without its statistics


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_a_model_that_was_normalised_is_not_asked_without(algorithm, tmp_path):
    env = VecNormalize(population())
    model = model_on(env, algorithm)
    model.save(tmp_path / "model")
    env.save(str(tmp_path / "statistics"))
    load = partial(getattr(sb3, algorithm).load, tmp_path / "model", device="cpu")
    with pytest.raises(ConfigError, match=rf"{algorithm}.* VecNormalize, which is not here"):
        table(load())
    if algorithm == "PPO":  # of the others' models an environment that was given is believed
        with pytest.raises(ConfigError, match=r"VecNormalize, which is not here.*VecNormalize\.load"):
            table(load(env=population()))
    loaded = load(env=VecNormalize.load(str(tmp_path / "statistics"), population()))
    np.testing.assert_array_equal(table(loaded).policy.probabilities, table(model).policy.probabilities)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_models_that_were_not_normalised_need_no_environment(algorithm, tmp_path):
    model = model_on(population(), algorithm)
    model.save(tmp_path / "model")
    loaded = getattr(sb3, algorithm).load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(table(loaded).policy.probabilities, table(model).policy.probabilities)


class Scaled(VecEnvWrapper):
    """Nobody can know what this does."""

    def reset(self):
        return self.venv.reset() / 2

    def step_wait(self):
        observations, *rest = self.venv.step_wait()
        return observations / 2, *rest


TURNED = {"func": lambda action: 6 - action, "action_space": None}


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda: VecFrameStack(population(), 2), "VecFrameStack"),
        (lambda: Scaled(population()), "Scaled"),
        (lambda: made(gymnasium.wrappers.NormalizeObservation), "ObservationWrapper"),
        (lambda: made(gymnasium.wrappers.TransformAction, TURNED), "ActionWrapper"),
    ],
)
def test_what_changes_observations_or_actions_is_refused(wrap, message):
    with pytest.raises(ConfigError, match=message):
        table(sb3.PPO("MlpPolicy", wrap(), device="cpu", n_steps=10, batch_size=10))


def made(wrapper=None, wrapper_kwargs=None, **arguments):
    """One agent that learns, by Gymnasium's id."""
    return make_vec_env(
        "karma_envs/Matching-v0",
        env_kwargs={**SMALL, **arguments},
        wrapper_class=wrapper,
        wrapper_kwargs=wrapper_kwargs,
    )


@pytest.mark.parametrize("extract", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
def test_observations_in_dicts(extract, normalise):
    """Wrappers are gone through from the inside to the outside."""
    env = made(observation="dict")
    if normalise:
        env = VecNormalize(env, norm_obs_keys=["observation"])
    if extract:
        env = VecExtractDictObs(env, "observation")
    policy = "MlpPolicy" if extract else "MultiInputPolicy"
    model = sb3.PPO(policy, env, seed=0, device="cpu", n_steps=10, batch_size=10)
    assert table(model).share_of_play > 0.5


def test_a_model_of_another_game_is_refused():
    model = sb3.PPO("MlpPolicy", PopulationVecEnv("matching", preset="two-discounts"), device="cpu")
    with pytest.raises(ConfigError, match=r"observations are Box\(.*not the game's"):
        table(model)
