"""Does a parallel environment take the actions that it should, whatever form they come in?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from karma_envs.checks.errors import expect
from karma_envs.checks.parallel_episodes import copy_of, has_box, masks_of, refuses
from karma_envs.game import IllegalActionError


def check_illegal_actions(env: Any) -> None:
    """An illegal action is flagged and replaced by the nearest legal one, or refused if strict.

    Of numbered actions that is the highest legal one below; what is outside a box is clipped to it.
    """
    rng = np.random.default_rng(0)
    env, twin = copy_of(env), copy_of(env)
    observations, infos = env.reset(seed=0)
    twin.reset(seed=0)
    while env.agents:
        actions, nearest = _any_actions(env, observations, infos, rng)
        illegal = {agent for agent in actions if not np.array_equal(actions[agent], nearest[agent])}
        try:
            observations, rewards, *_, infos = env.step(actions)
        except IllegalActionError:
            expect(illegal, "a legal action was refused")
            same = data_equivalence(env.step(nearest), twin.step(nearest), exact=True)
            expect(same, "a refused action must change nothing")
            return
        expected, paid, *_, plain = twin.step(nearest)
        for agent in actions:
            flagged = infos[agent].pop("illegal_action", False)
            expect(flagged is (agent in illegal), "illegal_action must be True just for illegal actions")
        same = data_equivalence((observations, rewards, infos), (expected, paid, plain), exact=True)
        expect(same, "an illegal action was not replaced by the nearest legal one (the highest below it)")


def _any_actions(
    env: Any, observations: dict[str, Any], infos: dict[str, Any], rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Actions of all agents, many of them illegal, and what is played in their place."""
    spaces = {agent: env.action_space(agent) for agent in env.agents}
    if has_box(env):
        actions = {
            agent: rng.uniform(2 * space.low - space.high, 2 * space.high - space.low).astype(np.float32)
            for agent, space in spaces.items()
        }
        return actions, {
            agent: np.clip(actions[agent], space.low, space.high) for agent, space in spaces.items()
        }
    legal = {agent: np.flatnonzero(mask) for agent, mask in masks_of(observations, infos).items()}
    actions = {agent: int(spaces[agent].n) - 1 - int(rng.integers(2)) for agent in legal}
    return actions, {
        agent: int(legal[agent][legal[agent] <= action].max()) for agent, action in actions.items()
    }


def check_action_types(env: Any) -> None:
    """The same number is the same action in all forms in which trainers have it; what is none is refused.

    Numbered actions are whole numbers; those of a box are finite, and of its shape.
    """
    forms = _BOX_FORMS if has_box(env) else _NUMBER_FORMS
    results = []
    for form in (*forms, None):
        copy = copy_of(env)
        chosen = _low_actions(copy, *copy.reset(seed=0))
        mixed = forms * len(chosen)
        actions = {agent: (form or mixed[number])(chosen[agent]) for number, agent in enumerate(chosen)}
        reversed_order = dict(reversed(actions.items()))
        results.append(copy.step(reversed_order))
        same = data_equivalence(results[0], results[-1], exact=True)
        expect(same, "the type of an action, or their order, changed their effect")
    copy.reset(seed=0)
    for wrong in ({}, {**chosen, "nobody": 0}, *_no_actions(env, chosen)):
        expect(
            refuses((ValueError, TypeError), copy.step, wrong),
            "missing, fractional, infinite, misshapen and unknown agents' actions must be refused",
        )


_NUMBER_FORMS: tuple[Callable[[Any], Any], ...] = (
    int,
    np.int32,
    np.int64,
    np.uint8,
    np.array,
    lambda action: np.array([action], np.int32),
)
"""Forms of a whole number."""

_BOX_FORMS: tuple[Callable[[Any], Any], ...] = (
    np.copy,
    np.ndarray.tolist,
    lambda action: action.astype(np.float64),
    lambda action: tuple(action.ravel()),
)
"""Forms of a point of a box."""


def _low_actions(env: Any, observations: dict[str, Any], infos: dict[str, Any]) -> dict[str, Any]:
    """Legal actions of all agents: 1 where that is legal, else 0; in a box its middle."""
    if has_box(env):
        spaces = {agent: env.action_space(agent) for agent in env.agents}
        return {agent: (space.low + space.high) / np.float32(2) for agent, space in spaces.items()}
    return {agent: int(mask[:2].sum()) - 1 for agent, mask in masks_of(observations, infos).items()}


def _no_actions(env: Any, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """What takes the place of actions and must be refused."""
    if not has_box(env):
        return [dict.fromkeys(chosen, 0.5)]
    wrong: list[Callable[[Any], Any]] = [
        lambda action: np.full_like(action, np.nan),
        lambda action: np.full_like(action, np.inf),
        lambda action: np.zeros(action.size + 1, np.float32),
    ]
    return [{agent: form(action) for agent, action in chosen.items()} for form in wrong]
