"""What single agents face in a city whose population behaves in a fixed way, with a structure of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.games.grid_city.mean_field.decisions import find_best, find_policy_values, find_q, push
from karma_envs.games.grid_city.mean_field.flows import find_chances, find_rest, find_totals
from karma_envs.games.grid_city.mean_field.smoothed import find_exploring, find_smoothed, new_softness
from karma_envs.games.grid_city.mean_field.trips import Moves, Scratch, Trips, as_table, new_scratch
from karma_envs.mean_field import DecisionProblem

_MOST_DENSE = 50_000_000
"""Numbers that a table of transitions may have, 400 MB."""

_THREADS = min(os.cpu_count() or 1, 4)


class CityProblem(DecisionProblem):
    """A Markov decision process of each kind of agents, of which no table of transitions is ever made.

    States that the agents of a kind cannot be in are worth nothing, and nobody is ever there.

    Args:
        trips: the kinds, and their trips.
        moves: what happens to karma besides payments.
        win: ``float64[L, classes]``, the chance to get into a lane by class of bids.
        legal_actions: ``bool[X, A]``.
    """

    def __init__(
        self, trips: Trips, moves: Moves, win: NDArray[np.float64], legal_actions: NDArray[np.bool_]
    ) -> None:
        # The base's tables are made when they are asked for, so its own __init__ has nothing to store.
        for name, value in (("_trips", trips), ("_moves", moves), ("_legal_actions", legal_actions)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "win", win)

    _trips: Trips
    _moves: Moves
    _legal_actions: NDArray[np.bool_]
    win: NDArray[np.float64]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (len(self._trips.lanes), *self._legal_actions.shape)

    def _by_kind(self, work: Callable[[tuple[int, int], Scratch], None]) -> None:
        """Do some work on all kinds, in blocks side by side; no number depends on how many."""
        n_kinds = len(self._trips.lanes)
        edges = np.linspace(0, n_kinds, min(_THREADS, n_kinds) + 1).astype(int).tolist()

        def block(kinds: tuple[int, int]) -> None:
            work(kinds, new_scratch(self._trips))

        with ThreadPoolExecutor(len(edges) - 1) as pool:
            list(pool.map(block, pairwise(edges)))

    @cached_property
    def reward(self) -> NDArray[np.float64]:
        """``float64[G, X, A]``, minus urgency times the chance not to get in; made when it is asked for."""
        return self.q_values(np.zeros(len(self._trips.lanes)), np.zeros(self._shape[:2]))

    @property
    def kernel(self) -> NDArray[np.float64]:
        """The table of transitions, for small cities only."""
        return self.dense(anew=True)

    def q_values(self, discounts: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
        """r(x, a) + gamma times the sum over x' of P(x' | x, a) V(x'), 0 where illegal, ``float64[G, X, A]``.

        Args:
            discounts: gamma, ``float64[G]``.
            value: V, ``float64[G, X]``.
        """
        return self._looked_ahead(discounts, as_table(value), 1.0)

    def following(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over x' of P(x' | x, a) V(x'), ``float64[..., G, X, A]``; 0 where illegal. See the base."""
        values = as_table(value).reshape(-1, *self._shape[:2])
        ones = np.ones(self._shape[0])
        result = np.stack([self._looked_ahead(ones, each, 0.0) for each in values])
        return result.reshape(*value.shape[:-2], *self._shape)

    def _looked_ahead(
        self, discounts: NDArray[np.float64], value: NDArray[np.float64], cost_scale: float
    ) -> NDArray[np.float64]:
        q = np.zeros(self._shape)
        tables = self._trips, self._moves, self.win
        self._by_kind(lambda kinds, scratch: find_q(*tables, kinds, value, discounts, cost_scale, scratch, q))
        return q

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a population is after a step, ``float64[..., G, X]``; see the base."""
        flows = as_table(flow).reshape(-1, *self._shape)
        after = np.zeros(flows.shape[:-1])
        for each, target in zip(flows, after):
            self._push(each, target)
        return after.reshape(flow.shape[:-1])

    def _push(self, flow: NDArray[np.float64], after: NDArray[np.float64]) -> None:
        tables = self._trips, self._moves, self.win
        self._by_kind(lambda kinds, scratch: push(*tables, kinds, flow, scratch, after))

    def dense(self, *, anew: bool) -> NDArray[np.float64]:
        """The kernel as ``float64[G, X, A, X]``, for small cities only.

        Raises:
            ConfigError: where it would have too many numbers.
        """
        n_kinds, n_states, n_actions = self._shape
        size = n_kinds * n_states**2 * n_actions
        if size > _MOST_DENSE:
            raise refusal(
                "game",
                f"a city of {n_kinds} kinds of agents with {n_states} states",
                f"what needs no table of transitions, which would take {8 * size / 1e9:.3g} GB here "
                f"(at most {8 * _MOST_DENSE / 1e9:g}): a solver of models with a structure of their own",
            )
        units = np.repeat(np.eye(n_states)[:, None], n_kinds, axis=1)
        return np.moveaxis(self.following(units), 0, -1)

    def at_rest(
        self, policy: NDArray[np.float64], start: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The mean field of agents who play a policy in this problem for ever, ``float64[G, X]``.

        Args:
            policy: ``float64[G, X, A]``.
            start: where they begin, which matters only for karma that never mixes, as where nobody bids;
                dormant with any karma if None.
        """
        mean_field = np.zeros(self._shape[:2])
        begin = np.zeros(self._shape[:2])
        if start is None:
            begin[:, : self._trips.n_bids] = 1.0
        else:
            begin[:] = start
        tables, played = (self._trips, self._moves, self.win), as_table(policy)
        self._by_kind(lambda kinds, scratch: find_rest(*tables, kinds, played, begin, scratch, mean_field))
        return mean_field

    def policy_value(
        self, discounts: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """V of a policy: the solution of V = r + gamma P V, ``float64[G, X]``."""
        value, played = np.zeros(self._shape[:2]), as_table(policy)
        tables = self._trips, self._moves, self.win
        self._by_kind(
            lambda kinds, scratch: find_policy_values(*tables, kinds, discounts, played, scratch, value)
        )
        return value

    def best_response(
        self,
        discounts: NDArray[np.float64],
        legal_actions: NDArray[np.bool_],
        start: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """An optimal policy and its value, by policy iteration; see the base."""
        policy, value = np.zeros(self._shape), np.zeros(self._shape[:2])
        if start is None:
            policy[..., 0] = 1.0  # always legal
        else:
            policy[:] = start
        tables = self._trips, self._moves, self.win
        self._by_kind(lambda kinds, scratch: find_best(*tables, kinds, discounts, scratch, policy, value))
        return policy, value

    def smoothed_response(
        self,
        discounts: NDArray[np.float64],
        legal_actions: NDArray[np.bool_],
        rationality: float,
        start: NDArray[np.float64] | None = None,
        scores: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A best response that is smooth in what agents face; see the base."""
        policy, value = np.zeros(self._shape), np.zeros(self._shape[:2])
        prior = np.zeros(self._shape) if scores is None else as_table(scores)
        policy[..., 0] = 1.0  # where agents cannot be
        if start is not None:
            value[:] = start
        tables = self._trips, self._moves, self.win

        def respond(kinds: tuple[int, int], scratch: Scratch) -> None:
            soft = new_softness(self._shape[1], self._trips.n_bids)
            find_smoothed(*tables, kinds, discounts, rationality, prior, scratch, soft, policy, value)

        self._by_kind(respond)
        return policy, value

    def exploring_response(
        self,
        discounts: NDArray[np.float64],
        rationality: float,
        exploration: float,
        start: NDArray[np.float64] | None = None,
        scores: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What agents come to who learn by SARSA with softmax policies, and explore; and its value V.

        That is pi = (1 - epsilon) softmax(s + beta Q^pi) + epsilon uniform over legal actions, by iterating Q
        and pi: no entropy is in the value.

        Args:
            discounts: gamma, ``float64[G]``.
            rationality: beta > 0, per unit of reward.
            exploration: epsilon, in [0, 1].
            start: V to begin with, ``float64[G, X]``; 0 if None.
            scores: s, ``float64[G, X, A]``; 0 if None.
        """
        policy, value = np.zeros(self._shape), np.zeros(self._shape[:2])
        policy[..., 0] = 1.0  # where agents cannot be
        added = np.zeros(self._shape) if scores is None else as_table(scores)
        if start is not None:
            value[:] = start
        tables = self._trips, self._moves, self.win

        def respond(kinds: tuple[int, int], scratch: Scratch) -> None:
            soft = new_softness(self._shape[1], self._trips.n_bids)
            find_exploring(
                *tables, kinds, discounts, rationality, exploration, added, scratch, soft, policy, value
            )

        self._by_kind(respond)
        return policy, value

    def long_run_means(
        self, policy: NDArray[np.float64], mean_field: NDArray[np.float64], values: NDArray[np.float64]
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """What agents have in the long run: all agents of a kind the same, as karma mixes; see the base."""
        return [(np.ones(1), means[:, None]) for means in (mean_field * values).sum(axis=2).T]

    def in_unit(self, unit: float) -> CityProblem:
        """The same with rewards told in another unit; see the base."""
        trips = self._trips._replace(urgencies=self._trips.urgencies / unit)
        return CityProblem(trips, self._moves, self.win, self._legal_actions)

    def mean_reward(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Mean reward per agent and step of who plays a policy in a mean field, ``float64[G]``."""
        return self._totals(mean_field, policy)[:, 0]

    def mean_accesses(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Lanes that are entered per agent and step, ``float64[G]``; arguments as above."""
        return self._totals(mean_field, policy)[:, 1]

    def _totals(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        totals, played = np.zeros((self._shape[0], 2)), as_table(policy)
        field = as_table(mean_field)
        self._by_kind(lambda kinds, scratch: find_totals(self._trips, self.win, kinds, field, played, totals))
        return totals

    def win_chance_of_actions(self) -> NDArray[np.float64]:
        """The chance of an action to get into a lane, ``float64[G, X, A]``; 0 for the dormant."""
        chances = np.zeros(self._shape)
        self._by_kind(lambda kinds, scratch: find_chances(self._trips, self.win, kinds, chances))
        return chances
