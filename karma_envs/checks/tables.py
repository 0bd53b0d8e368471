"""Does a game with tables keep the contract of :class:`karma_envs.finite.FiniteGame`?"""

from __future__ import annotations

import math

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from karma_envs.checks.episodes import STEPS, begun, moments
from karma_envs.checks.errors import CheckError, expect, expect_array
from karma_envs.finite import MOST_INDICES, FiniteGame, PlayedPolicy
from karma_envs.game import PolicyError
from karma_envs.numerics.sampling import thresholds_of


def check_tables(game: FiniteGame) -> None:
    """Sizes, legal actions, axes and features make sense; action 0 is always legal."""
    n_observations, n_actions = game.n_observations, game.n_actions
    for name, count in (("n_observations", n_observations), ("n_actions", n_actions)):
        expect(1 <= count <= MOST_INDICES, f"{name} must be 1 to {MOST_INDICES}; it is {count}")
    expect(game.action_space == Discrete(n_actions), f"action_space must be Discrete({n_actions})")
    expect_array(game.legal_actions, np.bool_, (n_observations, n_actions), "legal_actions")
    expect(game.legal_actions[:, 0].all(), "action 0 must be legal in every observation")
    sizes = [len(axis.values) for axis in game.axes]
    expect(math.prod(sizes) == n_observations, f"axes of lengths {sizes} must make up all observations")
    for name, values in game.observation_values().items():
        shape = len(game.discounts), n_observations
        expect(np.shape(values) == shape, f"observation_values()[{name!r}] must be of shape {shape}")
    for name, values in game.action_features.items():
        expect(np.shape(values) == (n_actions,), f"action_features[{name!r}] must have a number an action")


def check_observations(game: FiniteGame) -> None:
    """What is observed and what is legal follows from the tabular observation, which is a reachable one."""
    reachable = game.reachable()
    expect_array(reachable, np.bool_, (game.n_agents, game.n_observations), "reachable()")
    everyone = np.arange(game.n_agents)
    seen: dict[tuple[int, int], NDArray[np.float32]] = {}
    for step, moment in enumerate(moments(begun(game))):
        for when in ("", "next_"):
            index, mask, observations = (
                moment[when + name] for name in ("observation_index", "action_mask", "observations")
            )
            expect_array(index, np.int64, (game.n_agents,), "observation_index")
            expect(
                reachable[everyone, index].all(),
                f"observation_index is one that is not reachable() in step {step}",
            )
            legal = game.legal_actions[index]
            expect(np.array_equal(mask, legal), "action_mask is not legal_actions of observation_index")
            for kind, number, numbers in zip(game.type_of_agent, index, observations):
                first = seen.setdefault((int(kind), int(number)), numbers.copy())
                same = np.array_equal(first, numbers)
                expect(same, f"observations differ where observation_index is the same, in step {step}")


def check_policies(game: FiniteGame) -> None:
    """A rollout leaves the policy as it is, and refuses one that does not fit with PolicyError."""
    played, policy = begun(game), game.uniform_policy()
    thresholds = policy.thresholds.copy()
    played.rollout(policy, STEPS)
    expect(np.array_equal(policy.thresholds, thresholds), "rollout: the policy was changed")
    everyone = np.zeros(game.n_agents, np.int32)
    unfit = [PlayedPolicy(thresholds[:, :-1], everyone), PlayedPolicy(thresholds, everyone[:-1])]
    if not game.legal_actions[:, -1].all():
        always_last = np.zeros((1, game.n_observations, game.n_actions))
        always_last[..., -1] = 1
        unfit.append(PlayedPolicy(thresholds_of(always_last), everyone))
    for refused in unfit:
        try:
            played.rollout(refused, 1)
        except PolicyError:
            continue
        raise CheckError("rollout must refuse policies of wrong shapes and illegal ones with PolicyError")
