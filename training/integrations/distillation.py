"""Policies of neural networks as tables, which games play, evaluators take and figures show.

A network sees an agent's observation in numbers; a table has a row of probabilities for every type and
tabular observation. Where the numbers are a function of type and tabular observation, as in all games with
tables here, the table is exact wherever somebody was seen: the games are played, and the network is asked.
In games without tables a network is asked in every step, see :mod:`training.integrations.acting`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import baseline_policy
from karma_envs.config import refusal, whole
from karma_envs.finite import FiniteGame, SamplingPolicy, as_finite, highest_legal
from karma_envs.game import PopulationGame

Network = Callable[[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]], NDArray[np.float64]]
"""Probabilities ``float64[n, actions]``, 0 where illegal, of n agents' observations ``float32[n, d]``,
legal actions ``bool[n, actions]`` and types ``int64[n]``."""


def one_for_each_type(what: str, models: Any, game: PopulationGame) -> list[Any]:
    """The model of each type.

    Args:
        what: what they are called, for the message.
        models: one, or a sequence with one for each type.
        game: the game.

    Raises:
        ConfigError: when there is neither one model nor one for each type.
    """
    n_types = len(game.discounts)
    each = list(models) if isinstance(models, Sequence) else [models] * n_types
    if len(each) != n_types:
        raise refusal(what, f"{len(each)} models", f"one, or one for each of {n_types} types")
    return each


def network_of(
    what: str,
    models: Any,
    game: PopulationGame,
    probabilities: Callable[[Any, NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float64]],
) -> Network:
    """What models of other packages do.

    Args:
        what: what they are called, for the message.
        models: one, or a sequence with one for each type.
        game: the game.
        probabilities: ``float64[n, actions]`` of a model, n observations and legal actions.

    Raises:
        ConfigError: when there is neither one model nor one for each type.
    """
    each = one_for_each_type(what, models, game)

    def network(
        observations: NDArray[np.float32], legal: NDArray[np.bool_], types: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        chosen = np.zeros(legal.shape)
        for number, model in enumerate(each):
            if (members := types == number).any():
                chosen[members] = probabilities(model, observations[members], legal[members])
        return chosen

    return network


def as_played(probabilities: NDArray[Any], legal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The distribution of what is played, where a network does not know which actions are legal.

    An illegal action is played as in all views, as the highest legal one below it: this is what it was when
    the network was trained.

    Args:
        probabilities: ``float[n, actions]``.
        legal: ``bool[n, actions]``.

    Returns:
        ``float64[n, actions]``: exactly 0 where illegal, rows sum to 1.
    """
    played = np.zeros(legal.shape)
    np.add.at(played, (np.arange(len(legal))[:, None], highest_legal(legal)), probabilities)
    return np.asarray(played / played.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Distilled:
    """A network's policy as a table, and how much of it is the network's.

    Attributes:
        policy: a row for each type.
        visited: ``bool[types, observations]``, where the network was asked. Elsewhere stands what it does in
            the nearest visited observation that differs, if at all, in the last of its values (in karma
            games: in karma), as far as that is legal; if there is none, every legal action with the same
            probability.
        share_visited: share of the observations that agents may be in at all that were visited.
        share_of_play: share of agent-steps in visited observations, when all play the policy.
    """

    policy: TabularPolicy
    visited: NDArray[np.bool_]
    share_visited: float
    share_of_play: float


def tabulate(network: Network, game: PopulationGame, *, n_steps: int = 1000, seed: int = 0) -> Distilled:
    """Ask a network what it does in all observations that play leads to.

    A game of its own is played by each of its baselines, then by the network's table as it is then; where a
    game ends, the next one begins.

    Args:
        network: what to ask.
        game: the game; it is not touched.
        n_steps: how many steps each of them plays; in each all agents are looked at.
        seed: of all random draws.

    Raises:
        ConfigError: for a game without tables.
        ValueError: when agents of one type see different numbers in one tabular observation, so that
            there is no table of what the network does.
    """
    game = as_finite(game)
    n_steps, rng = whole("n_steps", n_steps, 1), np.random.default_rng(seed)
    seen = _Seen(game.fresh())
    for name in game.baselines:
        seen.play(baseline_policy(name, game), n_steps, rng)
    seen.play(_table(network, game, seen), n_steps, rng)
    policy, visited = _table(network, game, seen), seen.visited.copy()
    reachable = game.reachable_by_type()
    share = float((visited & reachable).sum() / reachable.sum())
    return Distilled(policy, visited, share, share_of_play=seen.play(policy, n_steps, rng))


class _Seen:
    """What agents saw: for each type and tabular observation the observation in numbers."""

    def __init__(self, game: FiniteGame) -> None:
        shape = len(game.discounts), game.n_observations
        self.game = game
        self.visited = np.zeros(shape, np.bool_)
        self.features = np.zeros((*shape, game.observation_space.shape[0]), np.float32)

    def play(self, policy: SamplingPolicy, n_steps: int, rng: np.random.Generator) -> float:
        """Play from a reset; the share of agent-steps in observations that had been visited before."""
        before, hits = self.visited.copy(), 0
        self.game.reset(rng)
        for _ in range(n_steps):
            if self.game.is_over:  # nobody acts on what is observed last
                self.game.begin_anew()
            hits += before[self._look()].sum()
            self.game.rollout(policy, 1)
        return float(hits / (n_steps * self.game.n_agents))

    def _look(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Take down what the agents see now; their types and tabular observations."""
        where = self.game.type_of_agent, self.game.observation_index()
        rows = self.game.observations()
        new = ~self.visited[where]
        self.features[where[0][new], where[1][new]] = rows[new]
        self.visited[where] = True
        if (differ := (self.features[where] != rows).any(axis=1)).any():
            raise ValueError(
                f"agents of one type see different numbers in tabular observation {where[1][differ][0]}; "
                "what a network does there is not a function of it, so it has no table"
            )
        return where


def _table(network: Network, game: FiniteGame, seen: _Seen) -> TabularPolicy:
    """What the network does where somebody was seen, and the nearest of it elsewhere."""
    legal = game.legal_actions
    types, observations = np.nonzero(seen.visited)
    probabilities = np.zeros((*seen.visited.shape, game.n_actions))
    probabilities[types, observations] = network(
        seen.features[types, observations], legal[observations], types
    )
    alike = _alike(game)
    for agent_type, missing in zip(*np.nonzero(~seen.visited)):
        similar = np.flatnonzero(seen.visited[agent_type] & (alike[agent_type] == alike[agent_type, missing]))
        row = legal[missing].astype(np.float64)
        if len(similar):
            nearest = probabilities[agent_type, similar[np.abs(similar - missing).argmin()]] * row
            row = nearest if nearest.any() else row
        probabilities[agent_type, missing] = row / row.sum()
    return TabularPolicy(probabilities, game.type_of_agent)


def _alike(game: FiniteGame) -> NDArray[np.int64]:
    """Equal numbers for observations that differ, if at all, in the last of their values, ``[types, X]``."""
    alike = np.zeros((len(game.discounts), game.n_observations), np.int64)
    for values in list(game.observation_values().values())[:-1]:
        _, numbers = np.unique(values, return_inverse=True)  # NaN, for none, is as good as a number
        alike = alike * (numbers.max() + 1) + numbers.reshape(values.shape)
    return alike
