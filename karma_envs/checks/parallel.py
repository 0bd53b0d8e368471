"""Does a parallel environment of a population do what trainers rely on?"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Dict, Discrete
from gymnasium.utils.env_checker import data_equivalence
from numpy.typing import NDArray

from karma_envs.checks.errors import CheckError, expect, expect_array
from karma_envs.game import IllegalActionError


def check_parallel_env(env: Any) -> None:
    """Run all of :data:`PARALLEL_ENV_CHECKS`.

    Args:
        env: a parallel environment of a population that was not reset yet, with any wrappers that can be
            pickled; the checks play copies, made by pickling.

    Raises:
        CheckError: for the first contract that is broken.
    """
    for check in PARALLEL_ENV_CHECKS:
        check(env)


class _Step(NamedTuple):
    """What ``step`` returns, after its actions; of a reset only observations and infos."""

    actions: dict[str, int]
    observations: dict[str, Any]
    rewards: dict[str, Any]
    terminations: dict[str, Any]
    truncations: dict[str, Any]
    infos: dict[str, dict[str, Any]]


def _copy(env: Any) -> Any:
    return pickle.loads(pickle.dumps(env))


def _masks(observations: dict[str, Any], infos: dict[str, Any]) -> dict[str, NDArray[np.int8]]:
    """The masks of legal actions, wherever they are."""
    return {
        agent: observed["action_mask"] if isinstance(observed, dict) else infos[agent].get("action_mask")
        for agent, observed in observations.items()
    }


def _episode(env: Any, seed: int | None = 0, actions_seed: int = 1) -> list[_Step]:
    """A whole episode of random legal actions, its reset first."""
    observations, infos = env.reset(seed=seed)
    begun = _Step({}, observations, {}, {}, {}, infos)
    return [begun, *_steps(env, begun, np.random.default_rng(actions_seed))]


def _steps(env: Any, last: _Step, rng: np.random.Generator, n_steps: int | None = None) -> list[_Step]:
    """Steps of random legal actions after the ``last`` one, to the end of the episode or ``n_steps``."""
    steps: list[_Step] = []
    while env.agents and len(steps) != n_steps:
        masks = _masks(last.observations, last.infos)
        actions = {agent: int(rng.choice(np.flatnonzero(masks[agent]))) for agent in env.agents}
        last = _Step(actions, *env.step(actions))
        steps.append(last)
    return steps


def check_names(env: Any) -> None:
    """Agents are called name_<number>, lowercase, in alphabetical order, and are the same in all episodes."""
    copy = _copy(env)
    names = copy.possible_agents
    expect(names == sorted(names), "possible_agents must be in alphabetical order (pad numbers with zeros)")
    expect(all(re.fullmatch(r"[a-z]+_\d+", name) for name in names), "agents must be named like player_000")
    expect(len({len(name) for name in names}) == 1, "agents' names must have the same length")
    for _ in range(2):
        copy.reset()
        expect(copy.agents == names, "agents must be possible_agents after reset")
        expect(copy.num_agents == len(names), "num_agents must count the agents")
        expect(copy.agents is not names, "agents must be a list of its own")


def check_spaces(env: Any) -> None:
    """Spaces are cached, one object per agent and environment, and hold what is observed."""
    one, other = _copy(env), _copy(env)
    seen: set[int] = set()
    for agent in one.possible_agents:
        for space in (one.observation_space, one.action_space):
            expect(space(agent) is space(agent), "a space must be the same object each time")
            seen.add(id(space(agent)))
        expect(isinstance(one.action_space(agent), Discrete), "action spaces must be Discrete")
        same = one.observation_space(agent) == other.observation_space(agent)
        expect(same, "copies must have equal observation spaces")
        expect(one.action_space(agent) == other.action_space(agent), "copies must have equal action spaces")
        shared = {id(other.observation_space(agent)), id(other.action_space(agent))} & seen
        expect(not shared, "two environments must not share a space object")
    expect(len(seen) == 2 * len(one.possible_agents), "two agents must not share a space object")
    for step in _episode(one):
        for agent, observed in step.observations.items():
            inside = observed in one.observation_space(agent)
            expect(inside, f"an observation of {agent} is outside its space")
            if not isinstance(one.observation_space(agent), Dict):
                expect(observed.dtype == np.float32, "flat observations must be float32")


def check_masks(env: Any) -> None:
    """Masks are int8, allow something, and no legal action is flagged."""
    copy = _copy(env)
    for step in _episode(copy):
        for agent, mask in _masks(step.observations, step.infos).items():
            expect_array(mask, np.int8, (int(copy.action_space(agent).n),), "action_mask")
            expect(set(mask.tolist()) <= {0, 1} and mask.any(), "action_mask must be 0 and 1, with a 1")
            expect("illegal_action" not in step.infos[agent], "a legal action was flagged as illegal")


def check_values(env: Any) -> None:
    """Dicts are in agent order; rewards are float, flags bool; infos hold no strings, at reset a mask."""
    names = env.possible_agents
    for number, step in enumerate(_episode(_copy(env))):
        for what, values in step._asdict().items():
            if number or what in ("observations", "infos"):
                expect(list(values) == names, f"{what} must have all agents, in their order")
        floats = all(type(reward) is float for reward in step.rewards.values())
        expect(floats, "rewards must be Python floats")
        for flags in (step.terminations, step.truncations):
            expect(all(type(flag) is bool for flag in flags.values()), "flags must be Python bools")
        for info in step.infos.values():
            expect(not any(isinstance(value, str) for value in info.values()), "infos must hold no strings")
            expect(number or set(info) <= {"action_mask"}, "infos of reset must hold at most action_mask")


def check_truncation(env: Any) -> None:
    """The horizon truncates all at once, with TimeLimit.truncated, and terminates nobody."""
    copy = _copy(env)
    for horizon in (1, 3, copy.max_cycles):
        copy.max_cycles = horizon
        steps = _episode(copy)[1:]
        expect(len(steps) == horizon, f"max_cycles = {horizon} gave {len(steps)} steps")
        for number, step in enumerate(steps, 1):
            last = number == horizon
            expect(not any(step.terminations.values()), "nobody may be terminated")
            together = all(flag is last for flag in step.truncations.values())
            expect(together, "all must be truncated at once, at the horizon")
            for info in step.infos.values():
                marked = info.get("TimeLimit.truncated", False)
                expect(marked is last, "TimeLimit.truncated must be True at the horizon, and absent before")
        expect(copy.agents == [], "no agents must be left after the horizon")


def check_fresh(env: Any) -> None:
    """Everything that is returned is new: writing into it, or keeping it, changes nothing."""
    expected, copy = pickle.loads(pickle.dumps(_episode(_copy(env)))), _copy(env)
    expect(data_equivalence(expected, _episode(copy), exact=True), "what was returned changed in later steps")
    for values in copy.reset(seed=0):
        _spoil(values)
    for step in expected[1:]:
        found = _Step(step.actions, *copy.step(dict(step.actions)))
        same = data_equivalence(step, found, exact=True)
        expect(same, "writing into what was returned changed later steps")
        for values in found[1:]:
            _spoil(values)
            values["__all__"] = {}


def _spoil(values: dict[str, Any]) -> None:
    """Overwrite arrays and flags, in all depths, and empty the dict."""
    for value in values.values():
        if isinstance(value, dict):
            _spoil(value)
        elif isinstance(value, np.ndarray):
            expect(value.flags.writeable, "arrays that are returned must be writable")
            value[...] = 1
    values.clear()


def check_seeds(env: Any) -> None:
    """A seed repeats the episode and those after it; without one, episodes and environments differ."""
    one, other = _copy(env), _copy(env)
    first, second = _episode(one, 7), _episode(one, None)
    same = data_equivalence([first, second], [_episode(other, 7), _episode(other, None)], exact=True)
    expect(same, "the same seed gave another episode, or a later reset without a seed did")
    again = data_equivalence(first, _episode(one, 7), exact=True)
    expect(again, "the same seed gave another episode on a used environment")
    expect(not data_equivalence(first, second, exact=True), "a reset without a seed repeated the episode")
    one, other = _copy(env), _copy(env)
    differ = not data_equivalence(_episode(one, None), _episode(other, None), exact=True)
    expect(differ, "two environments without seeds played the same episode")


def check_copies(env: Any) -> None:
    """A copy goes on as the original would, in an episode or after it, and the original does not notice."""
    horizon = 5
    for n_steps in (0, 2, horizon):
        for duplicate in (_copy, deepcopy):
            original = _copy(env)
            original.max_cycles = horizon
            observations, infos = original.reset(seed=3)
            begun = _Step({}, observations, {}, {}, {}, infos)
            last = [begun, *_steps(original, begun, np.random.default_rng(0), n_steps)][-1]
            other = duplicate(original)
            expect(other.max_cycles == horizon, "a copy must keep max_cycles")
            found, expected = (
                [*_steps(each, last, np.random.default_rng(1)), *_episode(each, None)]
                for each in (other, original)
            )
            expect(len(found) == 2 * horizon + 1 - n_steps, "a copy must be where the original is")
            expect(data_equivalence(expected, found, exact=True), "a copy must go on as the original would")


def check_illegal_actions(env: Any) -> None:
    """An illegal action is flagged and replaced by the highest legal one below, or refused if strict."""
    rng = np.random.default_rng(0)
    env, twin = _copy(env), _copy(env)
    observations, infos = env.reset(seed=0)
    twin.reset(seed=0)
    while env.agents:
        legal = {agent: np.flatnonzero(mask) for agent, mask in _masks(observations, infos).items()}
        actions = {agent: int(env.action_space(agent).n) - 1 - int(rng.integers(2)) for agent in legal}
        below = {agent: int(legal[agent][legal[agent] <= action].max()) for agent, action in actions.items()}
        illegal = {agent for agent in actions if actions[agent] != below[agent]}
        try:
            observations, rewards, *_, infos = env.step(actions)
        except IllegalActionError:
            expect(illegal, "a legal action was refused")
            same = data_equivalence(env.step(below), twin.step(below), exact=True)
            expect(same, "a refused action must change nothing")
            return
        expected, paid, *_, plain = twin.step(below)
        for agent in actions:
            flagged = infos[agent].pop("illegal_action", False)
            expect(flagged is (agent in illegal), "illegal_action must be True just for illegal actions")
        found = (observations, rewards, infos)
        same = data_equivalence(found, (expected, paid, plain), exact=True)
        expect(same, "an illegal action was not replaced by the highest legal one below it")


def check_action_types(env: Any) -> None:
    """Ints, NumPy numbers and arrays of one element are the same action; a number with a fraction is none."""
    forms: tuple[Callable[[int], Any], ...] = (
        int,
        np.int32,
        np.int64,
        np.uint8,
        np.array,
        lambda action: np.array([action], np.int32),
    )
    results = []
    for form in (*forms, None):
        copy = _copy(env)
        masks = _masks(*copy.reset(seed=0))
        chosen = {agent: int(mask[:2].sum()) - 1 for agent, mask in masks.items()}  # 1 where legal, else 0
        mixed = forms * len(chosen)
        actions = {agent: (form or mixed[number])(chosen[agent]) for number, agent in enumerate(chosen)}
        reversed_order = dict(reversed(actions.items()))
        results.append(copy.step(reversed_order))
        same = data_equivalence(results[0], results[-1], exact=True)
        expect(same, "the type of an action, or their order, changed their effect")
    for wrong in ({}, dict.fromkeys(actions, 0.5), {**actions, "nobody": 0}):
        try:
            copy.step(wrong)
        except (ValueError, TypeError):
            continue
        raise CheckError("missing, fractional and unknown agents' actions must be refused")


def check_state(env: Any) -> None:
    """``state()`` is a new float32 array in a finite state_space."""
    copy = _copy(env)
    copy.reset(seed=0)
    state = copy.state()
    expect(isinstance(state, np.ndarray) and state.dtype == np.float32, "state() must be a float32 array")
    expect(copy.state_space.is_bounded(), "state_space must be bounded")
    expect(state in copy.state_space, "state() is outside state_space")
    state[...] = 1
    expect(copy.state() is not state, "state() must be a new array")
    expect(hasattr(copy, "render_mode"), "render_mode must be there")
    for key in ("name", "render_modes"):
        expect(key in copy.metadata, f"metadata must have {key}")


PARALLEL_ENV_CHECKS: tuple[Callable[[Any], None], ...] = (
    check_names,
    check_spaces,
    check_masks,
    check_values,
    check_truncation,
    check_fresh,
    check_seeds,
    check_copies,
    check_illegal_actions,
    check_action_types,
    check_state,
)
"""The checks of a parallel environment."""
