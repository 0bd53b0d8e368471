"""Does a game keep the contract of :class:`karma_envs.finite.FiniteGame`?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.baselines import PlayedPolicy, baseline_policy
from karma_envs.checks.episodes import (
    STEPS,
    begun,
    differ,
    expect_same,
    expect_same_outcome,
    moments,
    record,
    same_state,
)
from karma_envs.checks.errors import CheckError, expect, expect_array
from karma_envs.checks.populations import check_draws, check_exchangeability
from karma_envs.checks.totals import check_conservation, check_outcome
from karma_envs.finite import MOST_INDICES, FiniteGame, as_finite
from karma_envs.game import IllegalActionError, PolicyError, PopulationGame
from karma_envs.numerics.sampling import thresholds_of


def check_game(game: PopulationGame) -> None:
    """Run all of :data:`GAME_CHECKS`.

    Args:
        game: any game with finite observations and actions; only its class and its configuration are used.

    Raises:
        CheckError: for the first contract that is broken.
        ConfigError: for a game without tables.
    """
    finite = as_finite(game)
    for check in GAME_CHECKS:
        check(finite)


def check_declarations(game: FiniteGame) -> None:
    """Sizes, legal actions, types, discounts and bounds are there and make sense; action 0 is legal."""
    n_agents, n_observations, n_actions = game.n_agents, game.n_observations, game.n_actions
    expect(n_agents >= 1, f"n_agents must be at least 1; it is {n_agents}")
    for name, count in (("n_observations", n_observations), ("n_actions", n_actions)):
        expect(1 <= count <= MOST_INDICES, f"{name} must be 1 to {MOST_INDICES}; it is {count}")
    expect_array(game.legal_actions, np.bool_, (n_observations, n_actions), "legal_actions")
    expect(game.legal_actions[:, 0].all(), "action 0 must be legal in every observation")
    expect_array(game.type_of_agent, np.uint8, (n_agents,), "type_of_agent")
    expect(game.type_of_agent.max() < len(game.discounts), "type_of_agent names a type without a discount")
    expect(((game.discounts >= 0) & (game.discounts < 1)).all(), "discounts must be in [0, 1)")
    space = game.observation_space
    expect(isinstance(space, Box) and space.dtype == np.float32, "observation_space must be a Box of float32")
    expect(len(space.shape) == 1, "observation_space must be of one dimension")
    expect(space.is_bounded(), "observation_space must be bounded")
    expect((space.low < space.high).all(), "observation_space: low must be below high")
    worst, best = game.reward_bounds
    expect(np.isfinite([worst, best]).all(), "reward_bounds must be finite")
    expect(worst <= best, "reward_bounds: the smallest reward must be at most the largest")
    copy = type(game.config).from_dict(game.config.to_dict())
    expect(copy.to_dict() == game.config.to_dict(), "the configuration must survive to_dict and from_dict")
    sizes = [len(axis.values) for axis in game.axes]
    expect(math.prod(sizes) == n_observations, f"axes of lengths {sizes} must make up all observations")
    for name, values in game.observation_values().items():
        shape = len(game.discounts), n_observations
        expect(np.shape(values) == shape, f"observation_values()[{name!r}] must be of shape {shape}")
    for name, values in game.action_features.items():
        expect(np.shape(values) == (n_actions,), f"action_features[{name!r}] must have a number an action")
    truthful = game.truthful_actions()
    if truthful is not None:
        expect_array(truthful, np.int64, (len(game.discounts), n_observations), "truthful_actions")
        for actions in truthful:
            legal = game.legal_actions[np.arange(n_observations), actions]
            expect(legal.all(), "truthful_actions must be legal")


def check_arrays(game: FiniteGame) -> None:
    """Observations, masks and rewards have their shapes and dtypes and stay within their bounds."""
    n_agents, space = game.n_agents, game.observation_space
    for step, moment in enumerate(moments(begun(game))):
        expect_array(moment.observations, np.float32, (n_agents, *space.shape), "observations")
        expect_array(moment.tabular, np.int64, (n_agents,), "observation_index")
        expect_array(moment.mask, np.int8, (n_agents, game.n_actions), "action_mask")
        expect_array(moment.rewards, np.float32, (n_agents,), "rewards")
        inside = (moment.observations >= space.low) & (moment.observations <= space.high)
        expect(inside.all(), f"observations leave observation_space in step {step}")


def check_observations(game: FiniteGame) -> None:
    """Agents of one type in one tabular observation observe the same numbers, and it is a reachable one."""
    played, reachable = begun(game), game.reachable()
    expect_array(reachable, np.bool_, (game.n_agents, game.n_observations), "reachable()")
    everyone = np.arange(game.n_agents)
    seen: dict[tuple[int, int], NDArray[np.float32]] = {}
    for step, moment in enumerate(moments(played)):
        expect(
            reachable[everyone, moment.tabular].all(),
            f"observation_index is one that is not reachable() in step {step}",
        )
        for kind, index, numbers in zip(game.type_of_agent, moment.tabular, moment.observations):
            same = np.array_equal(seen.setdefault((int(kind), int(index)), numbers.copy()), numbers)
            expect(same, f"observations differ where observation_index is the same, in step {step}")


def check_reward_bounds(game: FiniteGame) -> None:
    """Rewards are numbers within reward_bounds."""
    low, high = (np.float32(bound) for bound in game.reward_bounds)
    for step, moment in enumerate(moments(begun(game))):
        inside = (moment.rewards >= low) & (moment.rewards <= high)
        expect(inside.all(), f"rewards leave reward_bounds in step {step}")


def check_legality(game: FiniteGame) -> None:
    """The mask is what is legal: all it allows is accepted, all else refused, and then nothing changes."""
    played = begun(game)
    for moment in moments(played, 10):
        expected = game.legal_actions[moment.tabular]
        expect(np.array_equal(moment.mask, expected), "action_mask is not legal_actions of observation_index")
        before = played.state_dict()
        for agent in range(min(game.n_agents, 8)):
            for action in (-1, *range(game.n_actions + 1)):
                actions = np.zeros(game.n_agents, np.int64)
                actions[agent] = action
                legal = 0 <= action < game.n_actions and bool(moment.mask[agent, action])
                accepted = _accepts(played, actions)
                expect(accepted or not legal, f"action {action} is legal by the mask, but refused")
                expect(legal or not accepted, f"action {action} is illegal by the mask, but accepted")
                if accepted:
                    _reload(played, before)
                else:
                    expect(same_state(before, played.state_dict()), "a refused action changed the state")
        for wrong in (np.zeros(game.n_agents + 1, np.int64), np.zeros(game.n_agents)):
            expect(not _accepts(played, wrong), "actions of a wrong shape or dtype must be refused")


def _accepts(game: FiniteGame, actions: NDArray[Any]) -> bool:
    try:
        game.step(actions)
    except IllegalActionError:
        return False
    return True


def check_determinism(game: FiniteGame) -> None:
    """The same seed gives the same episode, also on a used game; another seed gives another one."""
    used = begun(game)
    first = record(used)
    expect_same(first, record(begun(game)), "two games with the same seed")
    used.reset(np.random.default_rng(0))
    expect_same(first, record(used), "a game that was reset with the same seed")
    fresh = begun(game).state_dict()
    for n_steps in range(1, 11):
        record(used, n_steps)
        used.reset(np.random.default_rng(0))
        same = same_state(used.state_dict(), fresh)
        expect(same, f"reset after {n_steps} steps leaves something of the episode before in state_dict()")
    others = [record(begun(game, seed)) for seed in (1, 2, 3)]
    expect(any(differ(first, other) for other in others), "the seed changes nothing")


def check_independence(game: FiniteGame) -> None:
    """Two games do not disturb each other, and differ when they are reset from one generator in turn."""
    alone = record(begun(game))
    one, other = begun(game), begun(game)
    in_turn = zip(moments(one), moments(other, actions_seed=2))
    together = [moment.copy() for moment, _ in in_turn]
    expect_same(alone, together, "a game played in turn with another one")
    rng = np.random.default_rng(0)
    one.reset(rng)
    other.reset(rng)
    expect(differ(record(one), record(other)), "two games reset from one generator play the same episode")


def check_buffers(game: FiniteGame) -> None:
    """No array that was handed over changes later, and writing into it changes nothing."""
    expected = record(begun(game), 20)
    kept = list(moments(begun(game), 20))
    expect_same(expected, kept, "arrays kept from earlier steps")
    scribbled, played = [], begun(game)
    for moment in moments(played, 20):
        scribbled.append(moment.copy())
        outcome = vars(played.outcome()).values()
        for array in (*moment, *outcome, *played.state_dict().values()):
            if isinstance(array, np.ndarray):
                expect(array.flags.writeable, "arrays that are handed over must be writable, new ones")
                array[...] = 1
    expect_same(expected, scribbled, "a game whose arrays were written into")


def check_state(game: FiniteGame) -> None:
    """A game that loads a state goes on as the one that gave it; a foreign state is refused."""
    original = begun(game)
    record(original, 10)
    state = original.state_dict()
    expected = record(original)
    for continued in (original, begun(game, 5), game.fresh()):
        _reload(continued, state)
        expect(same_state(state, continued.state_dict()), "load_state_dict did not take the state over")
        expect_same(expected, record(continued), "a game that continues from a state")
        expect_same_outcome(original.outcome(), continued.outcome(), "a game that continues from a state")
    for name in state:
        before = original.state_dict()
        expect(
            _refuses(original, {key: value for key, value in state.items() if key != name}),
            f"a state without {name!r} must be refused with ValueError",
        )
        wrong = {**state, name: np.zeros((*state[name].shape, 2), np.complex64)}
        expect(_refuses(original, wrong), f"a state with a wrong {name!r} must be refused with ValueError")
        for value in _absurd(state[name].dtype):
            filled = {**state, name: np.full_like(state[name], value)}
            expect(
                _refuses(original, filled),
                f"a state whose {name!r} are all {value} must be refused with ValueError, so that none "
                "of them is ever an index (see karma_envs.states.check_values)",
            )
        expect(same_state(before, original.state_dict()), "a refused state changed the game")


def _reload(game: FiniteGame, state: dict[str, NDArray[Any]]) -> None:
    try:
        game.load_state_dict(state)
    except ValueError as error:
        raise CheckError(f"a state that the game gave must be loaded: {error}") from error


def _absurd(dtype: np.dtype[Any]) -> tuple[float, ...]:
    """Values that no array of a state has; of unsigned numbers, as of random streams, there may be any."""
    if dtype.kind == "f":
        return (float("nan"),)
    return (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) if dtype.kind == "i" else ()


def _refuses(game: FiniteGame, state: dict[str, NDArray[Any]]) -> bool:
    try:
        game.load_state_dict(state)
    except ValueError:
        return True
    return False


def check_rollout(game: FiniteGame) -> None:
    """A rollout is what steps with its actions are; it refuses policies that do not fit.

    A rollout must draw its actions from a random stream of its own.
    """
    rolled, stepped = begun(game), begun(game)
    policy = baseline_policy("random", game)
    kept = policy.thresholds.copy()
    transitions = rolled.rollout(policy, STEPS)
    expect(np.array_equal(policy.thresholds, kept), "rollout: the policy was changed")
    out = rolled.transitions(STEPS + 9)
    for array in (out.observations[STEPS + 8 :], out.actions[STEPS + 7 :], out.rewards[STEPS + 7 :]):
        array[:] = 123
    again = begun(game).rollout(policy, STEPS + 7, out=out)
    for step, actions in enumerate(transitions.actions):
        found = stepped.observation_index()
        same = np.array_equal(transitions.observations[step], found)
        expect(same, f"rollout: observations differ in step {step}")
        legal = game.legal_actions[found, actions]
        expect(legal.all(), f"rollout: an illegal action in step {step}")
        rewards = stepped.step(actions)
        same = np.array_equal(transitions.rewards[step], rewards)
        expect(same, f"rollout: rewards differ in step {step}")
    same = np.array_equal(transitions.observations[STEPS], stepped.observation_index())
    expect(same, "rollout: the observations after the last step differ")
    expect(len(again) == STEPS + 7, "rollout: n_steps is not respected where out has room for more")
    rest = np.concatenate([out.observations[STEPS + 8 :], out.actions[STEPS + 7 :], out.rewards[STEPS + 7 :]])
    expect((rest == 123).all(), "rollout: it wrote into steps of out beyond n_steps")
    same = np.array_equal(again.actions[:STEPS], transitions.actions)
    expect(same, "rollout: the same seed gives other actions")
    expect_same_outcome(rolled.outcome(), stepped.outcome(), "rollout")
    always_last = np.zeros((1, game.n_observations, game.n_actions))
    always_last[..., -1] = 1
    everyone = np.zeros(game.n_agents, np.int32)
    wrong = [
        PlayedPolicy(policy.thresholds[:, :-1], everyone),
        PlayedPolicy(policy.thresholds, everyone[:-1]),
    ]
    if not game.legal_actions[:, -1].all():
        wrong.append(PlayedPolicy(thresholds_of(always_last), everyone))
    for unfit in wrong:
        try:
            rolled.rollout(unfit, 1)
        except PolicyError:
            continue
        raise CheckError("rollout must refuse policies of wrong shapes and illegal ones with PolicyError")


GAME_CHECKS: tuple[Callable[[FiniteGame], None], ...] = (
    check_declarations,
    check_arrays,
    check_observations,
    check_reward_bounds,
    check_legality,
    check_determinism,
    check_independence,
    check_buffers,
    check_state,
    check_rollout,
    check_draws,
    check_outcome,
    check_conservation,
    check_exchangeability,
)
"""The checks of a game, in the order in which they build on each other."""
