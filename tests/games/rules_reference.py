"""What the slow references of games with karma share, written from the docstrings, not from the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.game import PopulationGame
from karma_envs.karma.urgency import AgentType

Game = TypeVar("Game", bound=PopulationGame)

NEVER_BY_CHANCE = 1e-5
"""Upper tail of the chi-square tests: beyond 4 sigma; the seeds are fixed, so they do not flake."""

ALLOCATIONS = ("highest_bid", "benevolent_dictator", "coin_toss", "turn_taking")


def priorities(
    allocation: str, bids: NDArray[Any], urgency: NDArray[Any], accesses: NDArray[Any]
) -> NDArray[Any]:
    """What an allocation goes by, ``[N]``: the higher come first, and equals by lot."""
    priority_of: Mapping[str, NDArray[Any]] = {
        "highest_bid": bids,
        "benevolent_dictator": urgency,
        "coin_toss": np.zeros(len(bids)),
        "turn_taking": -accesses,
    }
    return priority_of[allocation]


def who_shares(
    redistribution: str, active: NDArray[np.bool_], crowded: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Who gets of the surplus, ``[N]``: all, none, the active, or those at a resource that is short."""
    if redistribution.startswith("congestion"):
        return crowded
    shares = {"none": np.zeros(len(active), bool), "uniform_to_active": active}
    return shares.get(redistribution, np.ones(len(active), bool))


def draw_society(
    draw: st.DrawFn, n_agents: int, karma_max: int, types: Sequence[AgentType]
) -> dict[str, Any]:
    """Fields of a game of ``n_agents`` of some types, with any amount of karma that they can hold."""
    room = n_agents * karma_max
    total = draw(st.one_of(st.integers(0, room), st.sampled_from([0, 1, room - 1, room])))
    n_types = draw(st.integers(1, min(3, n_agents)))
    return {
        "n_agents": n_agents,
        "karma_max": karma_max,
        "karma_mean": total / n_agents,
        "initial_karma": draw(st.sampled_from(["equal", "uniform"])),
        "types": draw(st.permutations(types))[:n_types],
    }


def with_state(game: Game, **changes: Any) -> Game:
    """The game with some arrays of its state replaced."""
    state = game.state_dict()
    for name, values in changes.items():
        state[name][...] = values
    game.load_state_dict(state)
    return game


def states_equal(first: PopulationGame, second: PopulationGame, but: tuple[str, ...] = ()) -> bool:
    one, other = first.state_dict(), second.state_dict()
    assert one.keys() == other.keys()
    return all((one[name] == other[name]).all() for name in one if name not in but)


def random_bids(game: PopulationGame, rng: np.random.Generator) -> NDArray[np.int64]:
    """Uniform over what is legal: the highest legal action is all karma, or 0 without bids."""
    return rng.integers(0, game.action_mask().sum(axis=1))


def random_policy(game: PopulationGame, seed: int, rows: int = 1) -> TabularPolicy:
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=(rows, *game.legal_actions.shape)) * game.legal_actions
    return TabularPolicy(weights / weights.sum(axis=-1, keepdims=True), rng.integers(0, rows, game.n_agents))
