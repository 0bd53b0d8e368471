"""The matching game with all agents told apart, in plain Python: a slow second formulation."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.matching import MatchingGame

State = tuple[tuple[int, int], ...]
"""Urgency and karma of each agent: the first one's urgency now, those of the others before they are drawn."""


class OrderedAgents:
    """What the first agent of a game faces, state by state.

    Args:
        game: the game.
        policy: ``float64[types, X, A]``, what the others play.
        order: the agents, the one that is looked at first.
    """

    def __init__(self, game: MatchingGame, policy: NDArray[np.float64], order: list[int]) -> None:
        self.game, self.policy = game, policy
        self.kinds = [int(game.type_of_agent[agent]) for agent in order]
        self.types = [game.config.agent_types[kind] for kind in self.kinds]
        self.n, self.karma_max = len(order), game.config.karma_max
        rules = [game.config.rule(family) for family in ("allocation", "payment", "redistribution")]
        self._rules = [(rule.function, rule.parameter_array()) for rule in rules]

    def states(self, *, surplus: bool = False) -> list[State]:
        """All states, with or without karma that is in no purse."""
        each = [
            list(itertools.product(range(len(kind.urgencies)), range(self.karma_max + 1)))
            for kind in self.types
        ]
        total = self.game.config.total_karma
        states = itertools.product(*each)
        held = [(state, sum(purse for _, purse in state)) for state in states]
        return [state for state, purses in held if purses == total or (surplus and purses < total)]

    def after(self, state: State, bid: int) -> tuple[dict[State, float], float]:
        """The distribution of the next state, and the expected reward of the first agent."""
        following: dict[State, float] = defaultdict(float)
        reward = 0.0
        for urgencies, bids, chance in self._others_do(state, bid):
            karma = [held for _, held in state]
            for paid, idle, share, loss in self._contests(karma, urgencies, bids):
                reward -= chance * share * loss
                for settled, part in self._redistributed(paid, idle):
                    for own, drawn in enumerate(self.types[0].transition_matrix[urgencies[0]]):
                        if drawn:
                            seen = (own, *urgencies[1:])
                            following[tuple(zip(seen, settled))] += chance * share * part * drawn
        return following, reward

    def _others_do(self, state: State, bid: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], float]]:
        """Urgencies and bids of all, and their chance."""
        width = self.karma_max + 1
        options: list[list[tuple[int, int, float]]] = [[(state[0][0], bid, 1.0)]]
        for kind, agent_type, (before, karma) in zip(self.kinds[1:], self.types[1:], state[1:]):
            drawn = agent_type.transition_matrix[before]
            options.append(
                [
                    (u, b, float(drawn[u] * self.policy[kind, u * width + karma, b]))
                    for u in range(len(drawn))
                    for b in range(width)
                    if drawn[u] * self.policy[kind, u * width + karma, b] > 0
                ]
            )
        for choices in itertools.product(*options):
            urgencies, bids, chances = zip(*choices)
            yield urgencies, bids, math.prod(chances)

    def _contests(
        self, karma: list[int], urgencies: tuple[int, ...], bids: tuple[int, ...]
    ) -> Iterator[tuple[list[int], int, float, float]]:
        """Karma after payment, who sits out (-1: nobody), the chance, and what the first agent loses."""
        (priority, of_priority), (pay, of_payment), _ = self._rules
        values = [kind.urgencies[u] for kind, u in zip(self.types, urgencies)]
        matchings = list(_matchings(tuple(range(self.n))))
        for pairs, idle in matchings:
            for first_wins in itertools.product((True, False), repeat=len(pairs)):
                held, chance, loss = list(karma), 1.0 / len(matchings), 0.0
                for (a, b), wins in zip(pairs, first_wins):
                    mine, theirs = (
                        priority(bids[agent], np.float32(values[agent]), 0, of_priority) for agent in (a, b)
                    )
                    won = 1.0 if mine > theirs else 0.5 if mine == theirs else 0.0
                    chance *= won if wins else 1.0 - won
                    winner, loser = (a, b) if wins else (b, a)
                    gets, society = pay(bids[winner], bids[loser], karma[loser], self.karma_max, of_payment)
                    held[winner] -= gets + society
                    held[loser] += gets
                    loss += values[0] if loser == 0 else 0.0
                if chance:
                    yield held, idle, chance, loss

    def _redistributed(self, karma: list[int], idle: int) -> Iterator[tuple[tuple[int, ...], float]]:
        """Karma after taxes and the surplus, and the chance of it."""
        rule, parameters = self._rules[2]
        crowding = [0.0 if agent == idle else 2.0 for agent in range(self.n)]

        def asked(agent: int, held: int) -> Any:
            return rule(held, self.karma_max, crowding[agent], parameters)

        taxes = [float(asked(agent, held)[0]) for agent, held in enumerate(karma)]
        for rounded_up in itertools.product((0, 1), repeat=self.n):
            chance = math.prod(tax % 1 if up else 1 - tax % 1 for tax, up in zip(taxes, rounded_up))
            if not chance:
                continue
            held = [k - min(int(tax) + up, k) for k, tax, up in zip(karma, taxes, rounded_up)]
            shares = [bool(asked(agent, k)[1]) for agent, k in enumerate(held)]
            surplus = self.game.config.total_karma - sum(held)
            # A unit for everyone who can take one, as long as there is one for each; the rest at random.
            while True:
                takers = [agent for agent in range(self.n) if shares[agent] and held[agent] < self.karma_max]
                if not takers or surplus < len(takers):
                    break
                held = [k + (agent in takers) for agent, k in enumerate(held)]
                surplus -= len(takers)
            lucky = list(itertools.combinations(takers, surplus if takers else 0))
            for chosen in lucky:
                yield tuple(k + (agent in chosen) for agent, k in enumerate(held)), chance / len(lucky)


def _matchings(agents: tuple[int, ...]) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """All perfect matchings, with who sits out of an odd number, or -1."""
    if len(agents) % 2:
        for idle in agents:
            for pairs, _ in _matchings(tuple(agent for agent in agents if agent != idle)):
                yield pairs, idle
    elif not agents:
        yield [], -1
    else:
        first, *others = agents
        for peer in others:
            for pairs, _ in _matchings(tuple(agent for agent in others if agent != peer)):
                yield [(first, peer), *pairs], -1
