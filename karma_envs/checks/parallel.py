"""Does a parallel environment of a population do what trainers rely on?"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.utils.env_checker import data_equivalence

from karma_envs.checks.errors import expect, expect_array
from karma_envs.checks.parallel_actions import check_action_types, check_illegal_actions
from karma_envs.checks.parallel_episodes import (
    EnvStep,
    copy_of,
    episode,
    has_box,
    length_of,
    masks_of,
    refuses,
    steps_from,
)


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


def check_names(env: Any) -> None:
    """Agents are called name_<number>, lowercase, in alphabetical order, and are the same in all episodes."""
    copy = copy_of(env)
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
    one, other = copy_of(env), copy_of(env)
    seen: set[int] = set()
    for agent in one.possible_agents:
        for space in (one.observation_space, one.action_space):
            expect(space(agent) is space(agent), "a space must be the same object each time")
            seen.add(id(space(agent)))
        kinds = isinstance(one.action_space(agent), Discrete | Box)
        expect(kinds, "action spaces must be Discrete or a Box")
        same = one.observation_space(agent) == other.observation_space(agent)
        expect(same, "copies must have equal observation spaces")
        expect(one.action_space(agent) == other.action_space(agent), "copies must have equal action spaces")
        shared = {id(other.observation_space(agent)), id(other.action_space(agent))} & seen
        expect(not shared, "two environments must not share a space object")
    expect(len(seen) == 2 * len(one.possible_agents), "two agents must not share a space object")
    for step in episode(one):
        for agent, observed in step.observations.items():
            inside = observed in one.observation_space(agent)
            expect(inside, f"an observation of {agent} is outside its space")
            if not isinstance(one.observation_space(agent), Dict):
                expect(observed.dtype == np.float32, "flat observations must be float32")


def check_masks(env: Any) -> None:
    """Masks are int8 and allow something; there are none for a box; and no legal action is flagged."""
    copy = copy_of(env)
    for step in episode(copy):
        for agent, mask in masks_of(step.observations, step.infos).items():
            expect("illegal_action" not in step.infos[agent], "a legal action was flagged as illegal")
            if has_box(copy):
                expect(mask is None, "there must be no action_mask where actions are not numbered")
                continue
            expect_array(mask, np.int8, (int(copy.action_space(agent).n),), "action_mask")
            expect(set(mask.tolist()) <= {0, 1} and mask.any(), "action_mask must be 0 and 1, with a 1")


def check_values(env: Any) -> None:
    """Dicts are in agent order; rewards are float, flags bool; infos hold no strings, at reset a mask."""
    names = env.possible_agents
    for number, step in enumerate(episode(copy_of(env))):
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


def check_end(env: Any) -> None:
    """An episode ends for all at once: terminated with the game, or truncated at the horizon.

    A game with an end is never truncated, and an endless one never terminated; only what is truncated has
    ``TimeLimit.truncated``.
    """
    copy, length = copy_of(env), length_of(env)
    for horizon in (1, 3, copy.max_cycles) if length is None else (length,):
        copy.max_cycles = horizon
        steps = episode(copy)[1:]
        expect(len(steps) == horizon, f"an episode of {horizon} steps has {len(steps)}")
        for number, step in enumerate(steps, 1):
            last = number == horizon
            terminated, truncated = last and length is not None, last and length is None
            together = all(flag is terminated for flag in step.terminations.values())
            expect(together, "all must be terminated at once when the game is over, and nobody else")
            together = all(flag is truncated for flag in step.truncations.values())
            expect(together, "all must be truncated at once at the horizon, and nobody else")
            for info in step.infos.values():
                marked = info.get("TimeLimit.truncated", False)
                what = "TimeLimit.truncated must be True at the horizon, and else absent"
                expect(marked is truncated, what)
        expect(copy.agents == [], "no agents must be left after the last step")
    if length is not None:
        refused = refuses(ValueError, setattr, copy, "max_cycles", length - 1)
        expect(refused, f"max_cycles = {length - 1} must be refused: the game is over after {length} steps")


def check_fresh(env: Any) -> None:
    """Everything that is returned is new: writing into it, or keeping it, changes nothing."""
    expected, copy = pickle.loads(pickle.dumps(episode(copy_of(env)))), copy_of(env)
    expect(data_equivalence(expected, episode(copy), exact=True), "what was returned changed in later steps")
    for values in copy.reset(seed=0):
        _spoil(values)
    for step in expected[1:]:
        copied = EnvStep(step.actions, *copy.step(dict(step.actions)))
        same = data_equivalence(step, copied, exact=True)
        expect(same, "writing into what was returned changed later steps")
        for values in copied[1:]:
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
    one, other = copy_of(env), copy_of(env)
    first, second = episode(one, 7), episode(one, None)
    same = data_equivalence([first, second], [episode(other, 7), episode(other, None)], exact=True)
    expect(same, "the same seed gave another episode, or a later reset without a seed did")
    again = data_equivalence(first, episode(one, 7), exact=True)
    expect(again, "the same seed gave another episode on a used environment")
    later = [second, *(episode(one, None) for _ in range(3))]
    repeated = all(data_equivalence(first, each, exact=True) for each in later)
    expect(not repeated, "a reset without a seed repeated the episode")
    one, other = copy_of(env), copy_of(env)
    # several episodes, as small games may begin alike by chance
    episodes = [[episode(each, None) for _ in range(4)] for each in (one, other)]
    differ = not data_equivalence(episodes[0], episodes[1], exact=True)
    expect(differ, "two environments without seeds played the same episodes")


def check_copies(env: Any) -> None:
    """A copy goes on as the original would, in an episode or after it, and the original does not notice."""
    horizon = length_of(env) or 5
    for n_steps in sorted({0, horizon // 2, horizon}):
        for duplicate in (copy_of, deepcopy):
            original = copy_of(env)
            original.max_cycles = horizon
            observations, infos = original.reset(seed=3)
            begun = EnvStep({}, observations, {}, {}, {}, infos)
            last = [begun, *steps_from(original, begun, np.random.default_rng(0), n_steps)][-1]
            other = duplicate(original)
            expect(other.max_cycles == horizon, "a copy must keep max_cycles")
            copied, expected = (
                [*steps_from(each, last, np.random.default_rng(1)), *episode(each, None)]
                for each in (other, original)
            )
            expect(len(copied) == 2 * horizon + 1 - n_steps, "a copy must be where the original is")
            expect(data_equivalence(expected, copied, exact=True), "a copy must go on as the original would")


def check_state(env: Any) -> None:
    """``state()`` is a new float32 array of finite numbers in state_space, bounded if observations are."""
    copy = copy_of(env)
    copy.reset(seed=0)
    state = copy.state()
    expect(isinstance(state, np.ndarray) and state.dtype == np.float32, "state() must be a float32 array")
    own = [copy.observation_space(agent) for agent in copy.possible_agents]
    flat: list[Any] = [space["observation"] if isinstance(space, Dict) else space for space in own]
    bounded = copy.state_space.is_bounded() or not all(space.is_bounded() for space in flat)
    expect(bounded, "state_space must be bounded where observations are")
    expect(state in copy.state_space, "state() is outside state_space")
    expect(bool(np.isfinite(state).all()), "state() must be finite")
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
    check_end,
    check_fresh,
    check_seeds,
    check_copies,
    check_illegal_actions,
    check_action_types,
    check_state,
)
"""The checks of a parallel environment."""
