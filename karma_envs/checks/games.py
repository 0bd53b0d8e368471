"""Does a game keep the contract of :class:`karma_envs.game.PopulationGame`?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from karma_envs.baselines import baseline_policy
from karma_envs.checks.actions import check_box, check_legality, check_sample
from karma_envs.checks.ends import check_beginnings, check_end
from karma_envs.checks.episodes import (
    begun,
    copied,
    differ,
    expect_same,
    expect_same_outcome,
    moments,
    record,
    reload,
    same_state,
)
from karma_envs.checks.errors import CheckError, expect, expect_array
from karma_envs.checks.populations import check_draws, check_exchangeability
from karma_envs.checks.rollouts import check_rollout
from karma_envs.checks.tables import check_observations, check_policies, check_tables
from karma_envs.checks.totals import check_conservation, check_outcome
from karma_envs.finite import FiniteGame
from karma_envs.game import PolicyError, PopulationGame


def check_game(game: PopulationGame) -> None:
    """Run all checks that apply to a game, see :func:`checks_of`.

    Args:
        game: any game; only its class and its configuration are used.

    Raises:
        CheckError: for the first contract that is broken.
    """
    for check in checks_of(game):
        check(game)


def check_declarations(game: PopulationGame) -> None:
    """Number of agents, types, discounts, spaces, bounds, length and configuration make sense."""
    n_agents = game.n_agents
    expect(n_agents >= 1, f"n_agents must be at least 1; it is {n_agents}")
    expect_array(game.type_of_agent, np.uint8, (n_agents,), "type_of_agent")
    expect(game.type_of_agent.max() < len(game.discounts), "type_of_agent names a type without a discount")
    below = game.discounts < 1 if game.length is None else game.discounts <= 1
    expect(((game.discounts >= 0) & below).all(), "discounts must be in [0, 1), or 1 in a game that ends")
    _expect_box("observation_space", game.observation_space)
    expect(len(game.observation_space.shape) == 1, "observation_space must be of one dimension")
    bounded = game.observation_space.is_bounded() or not isinstance(game, FiniteGame)
    expect(bounded, "observation_space must be bounded where observations are numbered")
    if isinstance(game.action_space, Discrete):
        expect(game.action_space.start == 0, "action_space must number actions from 0")
    else:
        _expect_box("action_space", game.action_space)
        expect(game.action_space.is_bounded(), "action_space must be bounded")
    worst, best = game.reward_bounds
    expect(worst <= best, "reward_bounds: the smallest reward must be at most the largest")
    length = game.length
    counts = length is None or (type(length) is int and length >= 1)
    expect(counts, f"length must be None or a whole number of at least 1; it is {length!r}")
    copy = type(game.config).from_dict(game.config.to_dict())
    expect(copy.to_dict() == game.config.to_dict(), "the configuration must survive to_dict and from_dict")


def _expect_box(name: str, space: Any) -> None:
    expect(isinstance(space, Box) and space.dtype == np.float32, f"{name} must be a Box of float32")
    expect((space.low < space.high).all(), f"{name}: low must be below high")


def check_baselines(game: PopulationGame) -> None:
    """Metrics have names of their own; baselines, of which one is random, and references can be played."""
    names = [metric.name for metric in game.metrics]
    expect(len(names) == len({*names}) >= 1, f"metrics must have names of their own; they are {names}")
    expect("random" in game.baselines, "baselines must have random")
    for name in game.baselines:
        _expect_playable(game, baseline_policy(name, game), f"baselines[{name!r}]")
    for name, (reference, policy) in game.references().items():
        _expect_playable(reference, policy, f"references()[{name!r}]")


def _expect_playable(game: PopulationGame, policy: Any, what: str) -> None:
    try:
        game.check_policy(policy)
    except PolicyError as error:
        raise CheckError(f"{what}: {error}") from error


def check_arrays(game: PopulationGame) -> None:
    """Observations, masks and rewards have their shapes and dtypes; what is observed is within its bounds."""
    n_agents, space = game.n_agents, game.observation_space
    for step, moment in enumerate(moments(begun(game))):
        expect_array(moment["rewards"], np.float32, (n_agents,), "rewards")
        for when in ("", "next_"):
            observations = moment[f"{when}observations"]
            expect_array(observations, np.float32, (n_agents, *space.shape), "observations")
            inside = (observations >= space.low) & (observations <= space.high)
            expect(inside.all(), f"observations leave observation_space in step {step}")
            expect(np.isfinite(observations).all(), f"observations are not finite in step {step}")
            masks = moment.get(f"{when}action_mask")
            if isinstance(game.action_space, Box):
                expect(masks is None, "action_mask must be None where actions are not numbered")
            else:
                expect_array(masks, np.int8, (n_agents, int(game.action_space.n)), "action_mask")


def check_reward_bounds(game: PopulationGame) -> None:
    """Rewards are finite, and within reward_bounds, which may be infinite."""
    low, high = (np.float32(bound) for bound in game.reward_bounds)
    for step, moment in enumerate(moments(begun(game))):
        inside = (moment["rewards"] >= low) & (moment["rewards"] <= high)
        expect(inside.all(), f"rewards leave reward_bounds in step {step}")
        expect(np.isfinite(moment["rewards"]).all(), f"rewards are not finite in step {step}")


def check_determinism(game: PopulationGame) -> None:
    """The same seed gives the same episodes, also on a used game; another seed gives other ones."""
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


def check_independence(game: PopulationGame) -> None:
    """Two games do not disturb each other, and differ when they are reset from one generator in turn."""
    alone = record(begun(game))
    one, other = begun(game), begun(game)
    in_turn = zip(moments(one), moments(other, actions_seed=2))
    together = [copied(moment) for moment, _ in in_turn]
    expect_same(alone, together, "a game played in turn with another one")
    rng = np.random.default_rng(0)
    one.reset(rng)
    other.reset(rng)
    expect(differ(record(one), record(other)), "two games reset from one generator play the same episode")


def check_buffers(game: PopulationGame) -> None:
    """No array that was handed over changes later, and writing into it changes nothing."""
    expected = record(begun(game), 20)
    handed_over = list(moments(begun(game), 20))
    expect_same(expected, handed_over, "arrays kept from earlier steps")
    scribbled, played = [], begun(game)
    for moment in moments(played, 20):
        scribbled.append(copied(moment))
        outcome = vars(played.outcome()).values()
        for array in (*moment.values(), *outcome, *played.state_dict().values()):
            if isinstance(array, np.ndarray):
                expect(array.flags.writeable, "arrays that are handed over must be writable, new ones")
                array[...] = 1
    expect_same(expected, scribbled, "a game whose arrays were written into")


def check_state(game: PopulationGame) -> None:
    """A game that loads a state goes on as the one that gave it; a foreign state is refused.

    States of a game that ends are taken in the midst of an episode, and after its end.
    """
    for n_steps in _places(game.length):
        original = begun(game)
        record(original, n_steps)
        state, was_over = original.state_dict(), original.is_over
        expected = record(original)
        for continued in (original, begun(game, 5), game.fresh()):
            reload(continued, state)
            expect(same_state(state, continued.state_dict()), "load_state_dict did not take the state over")
            expect(continued.is_over is was_over, "a state does not tell whether the game is over")
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


def _places(length: int | None) -> set[int]:
    """After how many steps states are looked at; of a game that ends in an episode, and at the end of one."""
    return {10} if length is None else {length + length // 2, length}


def _absurd(dtype: np.dtype[Any]) -> tuple[float, ...]:
    """Values that no array of a state has; of unsigned numbers, as of random streams, there may be any."""
    if dtype.kind == "f":
        return (float("nan"),)
    return (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) if dtype.kind == "i" else ()


def _refuses(game: PopulationGame, state: dict[str, NDArray[Any]]) -> bool:
    try:
        game.load_state_dict(state)
    except ValueError:
        return True
    return False


Check = Callable[[Any], None]

COMMON_CHECKS: tuple[Check, ...] = (
    check_declarations,
    check_baselines,
    check_arrays,
    check_reward_bounds,
    check_sample,
    check_determinism,
    check_independence,
    check_buffers,
    check_state,
    check_rollout,
    check_outcome,
    check_conservation,
    check_exchangeability,
)
"""Of every game, in the order in which they build on each other."""

FINITE_CHECKS: tuple[Check, ...] = (check_tables, check_observations, check_policies, check_draws)
"""Of games with tables, :class:`karma_envs.finite.FiniteGame`."""

NUMBERED_CHECKS: tuple[Check, ...] = (check_legality,)
"""Of games in which actions are numbered."""

BOX_CHECKS: tuple[Check, ...] = (check_box,)
"""Of games in which actions are points of a box."""

ENDING_CHECKS: tuple[Check, ...] = (check_end, check_beginnings)
"""Of games that end."""

GAME_CHECKS: tuple[Check, ...] = (
    *COMMON_CHECKS,
    *FINITE_CHECKS,
    *NUMBERED_CHECKS,
    *BOX_CHECKS,
    *ENDING_CHECKS,
)
"""All checks of games; which of them apply to a game :func:`checks_of` tells."""


def checks_of(game: PopulationGame) -> tuple[Check, ...]:
    """The checks that apply to a game, by its tables, its actions and its end; declarations first."""
    declared, *common = COMMON_CHECKS
    return (
        declared,
        *(FINITE_CHECKS if isinstance(game, FiniteGame) else ()),
        *(BOX_CHECKS if isinstance(game.action_space, Box) else NUMBERED_CHECKS),
        *(ENDING_CHECKS if game.length is not None else ()),
        *common,
    )
