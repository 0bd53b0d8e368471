"""How karma is when a game begins, exactly; see :func:`karma_envs.karma.config.draw_initial_karma`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from karma_envs.karma.config import KarmaConfig

Purses = tuple[int, ...]
"""Karma of agents, rising."""

Start = tuple[int, tuple[tuple[int, int], ...]]
"""An agent's karma, and (kind, karma) of the others, rising."""


def start_of_karma(config: KarmaConfig, others: NDArray[np.int64]) -> Mapping[Start, float]:
    """Probabilities of everybody's karma at the start.

    Args:
        config: of the game.
        others: ``int64[kinds]``, how many agents there are of each kind besides one.
    """
    chances: dict[Start, float] = defaultdict(float)
    for purses, chance in _initial_purses(config).items():
        for own in range(len(purses)):  # each agent is as likely to hold any of these purses
            rest = purses[:own] + purses[own + 1 :]
            for dealt, share in _dealt(rest, tuple(others.tolist())).items():
                chances[purses[own], dealt] += chance * share / len(purses)
    return chances


def _initial_purses(config: KarmaConfig) -> Mapping[Purses, float]:
    distribution = config.initial_distribution()
    if distribution is None:
        each, left = divmod(config.total_karma, config.n_agents)
        return {(each,) * (config.n_agents - left) + (each + 1,) * left: 1.0}
    drawn: Mapping[Purses, float] = {(): 1.0}
    for _ in range(config.n_agents):
        longer: dict[Purses, float] = defaultdict(float)
        for purses, chance in drawn.items():
            for karma in np.flatnonzero(distribution).tolist():
                longer[tuple(sorted((*purses, karma)))] += chance * float(distribution[karma])
        drawn = longer
    # Single units are given or taken until the total is right, each round from agents drawn at random.
    while any(sum(purses) != config.total_karma for purses in drawn):
        corrected: dict[Purses, float] = defaultdict(float)
        for purses, chance in drawn.items():
            missing = config.total_karma - sum(purses)
            unit = int(np.sign(missing))
            open_to_change = [i for i, karma in enumerate(purses) if 0 <= karma + unit <= config.karma_max]
            n_chosen = min(abs(missing), len(open_to_change))
            share = chance / math.comb(len(open_to_change), n_chosen)
            for chosen in combinations(open_to_change, n_chosen):
                moved = sorted(karma + unit * (i in chosen) for i, karma in enumerate(purses))
                corrected[tuple(moved)] += share
        drawn = corrected
    return drawn


def _dealt(purses: Purses, agents: tuple[int, ...]) -> Mapping[tuple[tuple[int, int], ...], float]:
    """Probabilities of (kind, karma) when purses are dealt at random to so many agents of each kind."""
    chances: dict[tuple[tuple[int, int], ...], float] = defaultdict(float)

    def deal(left: Purses, kind: int, dealt: tuple[tuple[int, int], ...], chance: float) -> None:
        if kind == len(agents):
            chances[dealt] += chance
            return
        hands = list(combinations(range(len(left)), agents[kind]))
        for hand in hands:
            rest = tuple(karma for i, karma in enumerate(left) if i not in hand)
            deal(rest, kind + 1, (*dealt, *((kind, left[i]) for i in hand)), chance / len(hands))

    deal(purses, 0, (), 1.0)
    return chances
