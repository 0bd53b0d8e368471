"""Simple policies for any game, to compare with and to fill a population with.

A baseline is a function of a game that gives probabilities ``float64[rows, observations, actions]``:
one row that everyone plays, or one per agent type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import choice, refuse
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.finite import PlayedPolicy as PlayedPolicy
from karma_envs.game import PopulationGame
from karma_envs.numerics.sampling import thresholds_of


def random(game: FiniteGame) -> NDArray[np.float64]:
    """Every legal action with the same probability."""
    legal = game.legal_actions
    return np.asarray(legal / legal.sum(axis=1, keepdims=True), np.float64)[None]


def bid_all(game: FiniteGame) -> NDArray[np.float64]:
    """The highest legal bid."""
    return _bidding(np.where(game.legal_actions, _bid_of_action(game), 0).max(axis=1), game)


def bid_nothing(game: FiniteGame) -> NDArray[np.float64]:
    """Bid 0."""
    return _bidding(np.zeros(game.n_observations, np.int64), game)


def proportional(game: FiniteGame) -> NDArray[np.float64]:
    """The action that reports the agent's need truthfully; in karma games, bid urgency's share of karma.

    Raises:
        ConfigError: for a game in which there is no such action.
    """
    actions = game.truthful_actions()
    if actions is None:
        raise refuse("baseline", "proportional", f"one that the game {game.name} has")
    return _bidding(_bid_of_action(game)[actions], game)


def _bid_of_action(game: FiniteGame) -> NDArray[np.int64]:
    """The bid that an action makes; in games without bids the action itself."""
    return game.action_features.get("bid", np.arange(game.n_actions))


def _bidding(bids: NDArray[np.int64], game: FiniteGame) -> NDArray[np.float64]:
    """Bid ``bids[..., observations]``; of the legal actions that do, each with the same probability."""
    chosen = game.legal_actions & (_bid_of_action(game) == np.atleast_2d(bids)[..., None])
    return np.asarray(chosen / chosen.sum(axis=2, keepdims=True), np.float64)


BASELINES: dict[str, Callable[[FiniteGame], NDArray[np.float64]]] = {
    function.__name__: function for function in (random, bid_all, bid_nothing, proportional)
}
"""Baselines by name."""


def baseline_policy(name: str, game: PopulationGame) -> Any:
    """A baseline, played by every agent of a game.

    Args:
        name: one of :data:`BASELINES`; in a game without tables only ``random``.
        game: the game.

    Raises:
        ConfigError: when there is no such baseline, or not in this game.
    """
    if choice("baseline", name, BASELINES) == "random":
        return game.uniform_policy()
    probabilities = BASELINES[name](as_finite(game))
    everyone = np.zeros(game.n_agents, np.int32)
    rows = everyone if len(probabilities) == 1 else game.type_of_agent.astype(np.int32)
    return PlayedPolicy(thresholds_of(probabilities), rows)
