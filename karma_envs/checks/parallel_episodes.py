"""Episodes of parallel environments that checks play, recorded."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray


class EnvStep(NamedTuple):
    """What ``step`` returns, after its actions; of a reset only observations and infos."""

    actions: dict[str, Any]
    observations: dict[str, Any]
    rewards: dict[str, Any]
    terminations: dict[str, Any]
    truncations: dict[str, Any]
    infos: dict[str, dict[str, Any]]


def copy_of(env: Any) -> Any:
    """A copy of an environment, by pickling."""
    return pickle.loads(pickle.dumps(env))


def length_of(env: Any) -> int | None:
    """Steps after which the game is over, whatever wraps it; None: it has no end."""
    length: int | None = env.unwrapped.game.length
    return length


def has_box(env: Any) -> bool:
    """Whether actions are points of a box; else they are numbered."""
    return isinstance(env.action_space(env.possible_agents[0]), Box)


def masks_of(observations: dict[str, Any], infos: dict[str, Any]) -> dict[str, NDArray[np.int8]]:
    """The masks of legal actions, wherever they are."""
    return {
        agent: observed["action_mask"] if isinstance(observed, dict) else infos[agent].get("action_mask")
        for agent, observed in observations.items()
    }


def episode(env: Any, seed: int | None = 0, actions_seed: int = 1) -> list[EnvStep]:
    """A whole episode of random legal actions, its reset first."""
    observations, infos = env.reset(seed=seed)
    begun = EnvStep({}, observations, {}, {}, {}, infos)
    return [begun, *steps_from(env, begun, np.random.default_rng(actions_seed))]


def steps_from(
    env: Any, last: EnvStep, rng: np.random.Generator, n_steps: int | None = None
) -> list[EnvStep]:
    """Steps of random legal actions after the ``last`` one, to the end of the episode or ``n_steps``."""
    steps: list[EnvStep] = []
    while env.agents and len(steps) != n_steps:
        actions = legal_actions(env, last.observations, last.infos, rng)
        last = EnvStep(actions, *env.step(actions))
        steps.append(last)
    return steps


def legal_actions(
    env: Any, observations: dict[str, Any], infos: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """A random legal action for every agent."""
    if has_box(env):
        spaces = {agent: env.action_space(agent) for agent in env.agents}
        return {
            agent: rng.uniform(space.low, space.high).astype(space.dtype) for agent, space in spaces.items()
        }
    masks = masks_of(observations, infos)
    return {agent: int(rng.choice(np.flatnonzero(masks[agent]))) for agent in env.agents}


def refuses(error: type[Exception] | tuple[type[Exception], ...], call: Any, *arguments: Any) -> bool:
    """Whether a call raises one of these errors."""
    try:
        call(*arguments)
    except error:
        return True
    return False
