"""What a Stable-Baselines3 model sees of a game's observations: what its environment's wrappers make of them.

Normalisation is not part of a model: it is a wrapper of its environment, VecNormalize. So a model is asked
with the statistics of its own environment. One whose environment does to observations what is no function of
them, or is not known, is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import ActionWrapper, ObservationWrapper, spaces
from gymnasium.wrappers import FrameStackObservation, MaxAndSkipObservation
from numpy.typing import NDArray
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import (
    VecCheckNan,
    VecEnv,
    VecEnvWrapper,
    VecExtractDictObs,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from karma_envs.config import ConfigError

_LOOKING_ON = (VecMonitor, VecCheckNan, VecVideoRecorder)
_CHANGING = (ObservationWrapper, ActionWrapper, FrameStackObservation, MaxAndSkipObservation)
"""Gymnasium's wrappers under which a model does not see the game's observations, or not act in it itself."""


def as_seen(model: Any, observations: NDArray[np.float32], legal: NDArray[np.bool_] | None = None) -> Any:
    """Observations as a model sees them: normalised as in its environment, in a dict if it has one.

    Args:
        model: a Stable-Baselines3 model; anything else sees observations as they are.
        observations: ``float32[n, d]``, as the game gives them.
        legal: ``bool[n, actions]``; None where actions are not numbered.

    Returns:
        ``float32[n, d]``, or a dict of arrays.

    Raises:
        ConfigError: for a model whose environment has a wrapper that is not known to be a function of the
            observation; for one that was trained with VecNormalize and is without it.
    """
    if not hasattr(model, "get_env"):
        return observations
    env, wrappers = model.get_env(), []
    while isinstance(env, VecEnvWrapper) and isinstance(env.venv, VecEnv):
        wrappers.append(env)
        env = env.venv
    _check(model, env, wrappers)
    space = model.observation_space if env is None else env.observation_space
    seen: Any = observations
    if isinstance(space, spaces.Dict) and legal is not None:
        seen = {"observation": observations, "action_mask": legal.astype(np.int8)}
    for wrapper in reversed(wrappers):
        if isinstance(wrapper, VecNormalize):
            seen = wrapper.normalize_obs(seen)
        elif isinstance(wrapper, VecExtractDictObs):
            seen = seen[wrapper.key]
    first = {key: rows[0] for key, rows in seen.items()} if isinstance(seen, dict) else seen[0]
    if _shape(first) != _shape(model.observation_space):
        raise _refused(model, f"observations are {model.observation_space}, which are not the game's")
    return seen


def _check(model: Any, env: Any, wrappers: list[VecEnvWrapper]) -> None:
    """Refuse a model of which it is not known what it sees."""
    for wrapper in wrappers:
        if not isinstance(wrapper, (VecNormalize, VecExtractDictObs, *_LOOKING_ON)):
            raise _refused(
                model,
                f"environment has {type(wrapper).__name__}, of which it is not known what it does to "
                "observations; if nothing, give the model one without it (set_env)",
            )
    for kind in _CHANGING:
        if env is not None and any(env.env_is_wrapped(kind)):
            raise _refused(model, f"environments are wrapped in an unknown way ({kind.__name__})")
    if model.get_vec_normalize_env() is None and _has_been_normalised(model):
        raise _refused(
            model,
            "observations went through VecNormalize, which is not here; load it with its environment: "
            f"{type(model).__name__}.load(path, env=VecNormalize.load(statistics, env))",
        )


def _has_been_normalised(model: Any) -> bool:
    """Whether the observations that a model has last seen, which are saved with it, were normalised."""
    # Only with VecNormalize do those who learn on-policy keep what was observed before it.
    if isinstance(model, OnPolicyAlgorithm) and model._last_original_obs is not None:
        return True
    last = getattr(model, "_last_obs", None)
    if last is None:
        return False
    space = model.observation_space
    parts = [(space[key], last[key]) for key in last] if isinstance(last, dict) else [(space, last)]
    return any(((rows < box.low) | (rows > box.high)).any() for box, rows in parts)


def _refused(model: Any, why: str) -> ConfigError:
    return ConfigError(f"{type(model).__name__} cannot be asked here: its {why}")


def _shape(part: Any) -> Any:
    """The shape of an array or a space, or those by key."""
    if isinstance(part, (dict, spaces.Dict)):
        return {key: _shape(each) for key, each in part.items()}
    return part.shape
