"""Does a game keep the contract of :class:`karma_envs.game.PopulationGame`?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.baselines import PlayedPolicy, baseline_policy
from karma_envs.checks.errors import CheckError, expect, expect_array
from karma_envs.game import IllegalActionError, PolicyError, PopulationGame
from karma_envs.metrics import Outcome
from karma_envs.sampling import thresholds_of

STEPS = 100
"""Length of the episodes that are played."""


def check_game(game: PopulationGame) -> None:
    """Run all of :data:`GAME_CHECKS`.

    Args:
        game: any game; only its class and its configuration are used.

    Raises:
        CheckError: for the first contract that is broken.
    """
    for check in GAME_CHECKS:
        check(game)


class Moment(NamedTuple):
    """One step of a recorded episode; observations and mask are those after it."""

    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    observations: NDArray[np.float32]
    tabular: NDArray[np.int64]
    mask: NDArray[np.int8]

    def copy(self) -> Moment:
        """The same in arrays of its own."""
        return Moment(
            self.actions.copy(),
            self.rewards.copy(),
            self.observations.copy(),
            self.tabular.copy(),
            self.mask.copy(),
        )


def _begun(game: PopulationGame, seed: int = 0) -> PopulationGame:
    """A fresh copy of a game, after reset."""
    copy = type(game)(game.config)
    copy.reset(np.random.default_rng(seed))
    return copy


def _some_legal(game: PopulationGame, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random legal action for every agent."""
    legal = game.legal_actions[game.observation_index()]
    return np.asarray(np.argmax(np.where(legal, rng.random(legal.shape), -1.0), axis=1), np.int64)


def _moments(game: PopulationGame, n_steps: int = STEPS, actions_seed: int = 1) -> Iterator[Moment]:
    """Play random legal actions; the arrays are the game's own."""
    rng = np.random.default_rng(actions_seed)
    for _ in range(n_steps):
        actions = _some_legal(game, rng)
        try:
            rewards = game.step(actions)
        except IllegalActionError as error:
            raise CheckError(f"actions that are legal by legal_actions were refused: {error}") from error
        yield Moment(actions, rewards, game.observations(), game.observation_index(), game.action_mask())


def _record(game: PopulationGame, n_steps: int = STEPS) -> list[Moment]:
    return [moment.copy() for moment in _moments(game, n_steps)]


def _expect_same(first: list[Moment], second: list[Moment], what: str) -> None:
    for step, (one, other) in enumerate(zip(first, second)):
        for name in Moment._fields:
            same = np.array_equal(getattr(one, name), getattr(other, name))
            expect(same, f"{what}: {name} differ in step {step}")


def _differ(first: list[Moment], second: list[Moment]) -> bool:
    return any(
        not np.array_equal(one.observations, other.observations)
        or not np.array_equal(one.rewards, other.rewards)
        for one, other in zip(first, second)
    )


def _same_state(first: dict[str, NDArray[Any]], second: dict[str, NDArray[Any]]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def check_declarations(game: PopulationGame) -> None:
    """Sizes, legal actions, types, discounts and bounds are there and make sense; action 0 is legal."""
    n_agents, n_observations, n_actions = game.n_agents, game.n_observations, game.n_actions
    expect(n_agents >= 1, f"n_agents must be at least 1; it is {n_agents}")
    expect_array(game.legal_actions, np.bool_, (n_observations, n_actions), "legal_actions")
    expect(game.legal_actions[:, 0].all(), "action 0 must be legal in every observation")
    expect_array(game.type_of_agent, np.uint8, (n_agents,), "type_of_agent")
    expect(game.type_of_agent.max() < len(game.discounts), "type_of_agent names a type without a discount")
    expect(((game.discounts >= 0) & (game.discounts < 1)).all(), "discounts must be in [0, 1)")
    low, high = game.observation_bounds
    expect_array(low, np.float32, low.shape, "observation_bounds[0]")
    expect_array(high, np.float32, low.shape, "observation_bounds[1]")
    expect(np.isfinite([low, high]).all(), "observation_bounds must be finite")
    expect((low < high).all(), "observation_bounds: low must be below high")
    rewards = game.worst_reward, game.best_reward
    expect(np.isfinite(rewards).all(), "best_reward and worst_reward must be finite")
    expect(rewards[0] <= rewards[1], "worst_reward must be at most best_reward")
    copy = type(game.config).from_dict(game.config.to_dict())
    expect(copy.to_dict() == game.config.to_dict(), "the configuration must survive to_dict and from_dict")
    truthful = game.truthful_actions()
    if truthful is not None:
        expect_array(truthful, np.int64, (len(game.discounts), n_observations), "truthful_actions")
        for actions in truthful:
            legal = game.legal_actions[np.arange(n_observations), actions]
            expect(legal.all(), "truthful_actions must be legal")


def check_arrays(game: PopulationGame) -> None:
    """Observations, masks and rewards have their shapes and dtypes and stay within their bounds."""
    n_agents, (low, high) = game.n_agents, game.observation_bounds
    for step, moment in enumerate(_moments(_begun(game))):
        expect_array(moment.observations, np.float32, (n_agents, len(low)), "observations")
        expect_array(moment.tabular, np.int64, (n_agents,), "observation_index")
        expect_array(moment.mask, np.int8, (n_agents, game.n_actions), "action_mask")
        expect_array(moment.rewards, np.float32, (n_agents,), "rewards")
        inside = (moment.observations >= low) & (moment.observations <= high)
        expect(inside.all(), f"observations leave observation_bounds in step {step}")
        inside = (moment.tabular >= 0) & (moment.tabular < game.n_observations)
        expect(inside.all(), f"observation_index leaves 0 … n_observations - 1 in step {step}")


def check_reward_bounds(game: PopulationGame) -> None:
    """Rewards are numbers from worst_reward to best_reward."""
    low, high = np.float32(game.worst_reward), np.float32(game.best_reward)
    for step, moment in enumerate(_moments(_begun(game))):
        inside = (moment.rewards >= low) & (moment.rewards <= high)
        expect(inside.all(), f"rewards leave worst_reward … best_reward in step {step}")


def check_legality(game: PopulationGame) -> None:
    """The mask is what is legal: all it allows is accepted, all else refused, and then nothing changes."""
    played = _begun(game)
    for moment in _moments(played, 10):
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
                    played.load_state_dict(before)
                else:
                    expect(_same_state(before, played.state_dict()), "a refused action changed the state")
        for wrong in (np.zeros(game.n_agents + 1, np.int64), np.zeros(game.n_agents)):
            expect(not _accepts(played, wrong), "actions of a wrong shape or dtype must be refused")


def _accepts(game: PopulationGame, actions: NDArray[Any]) -> bool:
    try:
        game.step(actions)
    except IllegalActionError:
        return False
    return True


def check_determinism(game: PopulationGame) -> None:
    """The same seed gives the same episode, also on a used game; another seed gives another one."""
    used = _begun(game)
    first = _record(used)
    _expect_same(first, _record(_begun(game)), "two games with the same seed")
    used.reset(np.random.default_rng(0))
    _expect_same(first, _record(used), "a game that was reset with the same seed")
    others = [_record(_begun(game, seed)) for seed in (1, 2, 3)]
    expect(any(_differ(first, other) for other in others), "the seed changes nothing")


def check_independence(game: PopulationGame) -> None:
    """Two games do not disturb each other, and differ when they are reset from one generator in turn."""
    alone = _record(_begun(game))
    one, other = _begun(game), _begun(game)
    in_turn = zip(_moments(one), _moments(other, actions_seed=2))
    together = [moment.copy() for moment, _ in in_turn]
    _expect_same(alone, together, "a game played in turn with another one")
    rng = np.random.default_rng(0)
    one.reset(rng)
    other.reset(rng)
    expect(_differ(_record(one), _record(other)), "two games reset from one generator play the same episode")


def check_buffers(game: PopulationGame) -> None:
    """No array that was handed over changes later, and writing into it changes nothing."""
    expected = _record(_begun(game), 20)
    kept = list(_moments(_begun(game), 20))
    _expect_same(expected, kept, "arrays kept from earlier steps")
    scribbled, played = [], _begun(game)
    for moment in _moments(played, 20):
        scribbled.append(moment.copy())
        outcome = vars(played.outcome()).values()
        for array in (*moment, *outcome, *played.state_dict().values()):
            if isinstance(array, np.ndarray):
                expect(array.flags.writeable, "arrays that are handed over must be writable, new ones")
                array[...] = 1
    _expect_same(expected, scribbled, "a game whose arrays were written into")


def check_state(game: PopulationGame) -> None:
    """A game that loads a state goes on as the one that gave it; a foreign state is refused."""
    original = _begun(game)
    _record(original, 10)
    state = original.state_dict()
    expected = _record(original)
    for continued in (original, _begun(game, 5), type(game)(game.config)):
        continued.load_state_dict(state)
        expect(_same_state(state, continued.state_dict()), "load_state_dict did not take the state over")
        _expect_same(expected, _record(continued), "a game that continues from a state")
        _expect_same_outcome(original.outcome(), continued.outcome(), "a game that continues from a state")
    for name in state:
        before = original.state_dict()
        expect(
            _refuses(original, {key: value for key, value in state.items() if key != name}),
            f"a state without {name!r} must be refused with ValueError",
        )
        wrong = {**state, name: np.zeros((*state[name].shape, 2), np.complex64)}
        expect(_refuses(original, wrong), f"a state with a wrong {name!r} must be refused with ValueError")
        expect(_same_state(before, original.state_dict()), "a refused state changed the game")


def _refuses(game: PopulationGame, state: dict[str, NDArray[Any]]) -> bool:
    try:
        game.load_state_dict(state)
    except ValueError:
        return True
    return False


def _expect_same_outcome(first: Outcome, second: Outcome, what: str) -> None:
    for name, value in vars(first).items():
        expect(np.allclose(value, getattr(second, name)), f"{what}: outcome().{name} differ")


def check_rollout(game: PopulationGame) -> None:
    """A rollout is what steps with its actions are; it refuses policies that do not fit.

    A rollout must draw its actions from a random stream of its own.
    """
    rolled, stepped = _begun(game), _begun(game)
    policy = baseline_policy("random", game)
    transitions = rolled.rollout(policy, STEPS)
    again = _begun(game).rollout(policy, STEPS + 7, out=type(transitions).empty(STEPS + 9, game.n_agents))
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
    same = np.array_equal(again.actions[:STEPS], transitions.actions)
    expect(same, "rollout: the same seed gives other actions")
    _expect_same_outcome(rolled.outcome(), stepped.outcome(), "rollout")
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


GAME_CHECKS: tuple[Callable[[PopulationGame], None], ...] = (
    check_declarations,
    check_arrays,
    check_reward_bounds,
    check_legality,
    check_determinism,
    check_independence,
    check_buffers,
    check_state,
    check_rollout,
)
"""The checks of a game, in the order in which they build on each other."""
