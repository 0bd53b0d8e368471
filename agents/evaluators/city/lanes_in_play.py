"""A population of N agents at play in the city: what an agent meets on every lane, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.city.kernels import Roads, count_play, new_counts
from karma_envs.config import refusal, whole
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.mean_field import BidClasses, looks_at_accesses
from karma_envs.transitions import chunks, even_parts, play_on

_ASKED = 100.0
"""Bids that are really made count as much as what all say who are asked when there are so many of them."""

_UNIFORM = ("uniform", "uniform_to_active")


@dataclass(frozen=True)
class LanesInPlay:
    """What was counted in B batches of steps of N agents on L lanes, with C classes of bids.

    Classes are those of the city's mean-field model: of priority, and of number.

    Attributes:
        n_agents: N.
        n_steps: steps of all batches together.
        flows: ``float64[B, L, C]``, bids of each class per step.
        wins: ``float64[B, L, C]``, the chance P_l(c) of a bid of each class, for who is at the lane; of lanes
            where nobody was in a batch that of all batches, and 1 where nobody ever was.
        own_bids: ``float64[B, L, G, C]``, bids per step of the priority that the class has, of agents of a
            type and urgency.
        own_wins: ``float64[B, L, G, C]``, sum of the chances of these, per step.
        columns: ``int32[types, U, karma_max + 1]``, where a bid stands in :meth:`win`, by type and urgency.
        levels: ``float64[B]``, units of karma that an active agent far from the cap was given per step.
        rewards: ``float64[B, N]``, mean reward per step of each agent.
    """

    n_agents: int
    n_steps: int
    flows: NDArray[np.float64]
    wins: NDArray[np.float64]
    own_bids: NDArray[np.float64]
    own_wins: NDArray[np.float64]
    columns: NDArray[np.int32]
    levels: NDArray[np.float64]
    rewards: NDArray[np.float64]

    @property
    def n_batches(self) -> int:
        """B."""
        return len(self.levels)

    @property
    def queues(self) -> NDArray[np.float64]:
        """``float64[L]``: agents that want the lane, mean over steps."""
        return np.asarray(self.flows.sum(axis=2).mean(axis=0))

    @property
    def efficiency(self) -> float:
        """Mean reward per agent and step."""
        return float(self.rewards.mean())

    def win(self, batches: slice = slice(None)) -> NDArray[np.float64]:
        """The chance of a bid to get into a lane, by who bids; of some batches together, by default of all.

        It is the mean chance of those who really bid so there, of the same type and urgency, whose waits it
        gives right on average, whatever there is between the steps of a wait; and as far as these are few,
        of all who were at the lane.

        Returns:
            ``float64[L, G C]``; :attr:`columns` tells which column is of which bid.
        """
        visits = self.flows[batches].sum(axis=2, keepdims=True)
        total = visits.sum(axis=0)
        mean = self.wins[batches].mean(axis=0)
        weighted = (visits * self.wins[batches]).sum(axis=0) / np.where(total > 0, total, 1.0)
        asked = _ASKED * np.where(total > 0, weighted, mean)[:, None]
        steps = self.n_steps / self.n_batches
        own_bids, own_wins = (steps * each[batches].sum(axis=0) for each in (self.own_bids, self.own_wins))
        chances = (own_wins + asked) / (own_bids + _ASKED)
        return np.asarray(chances.reshape(len(chances), -1).clip(0.0, 1.0))

    def statistic(self, batches: slice = slice(None)) -> NDArray[np.float64]:
        """z of some of the batches together, as the city's model has it: bids by lane, then the level."""
        return np.append(self.flows[batches].mean(axis=0), self.levels[batches].mean())

    def moved_to(self, newer: LanesInPlay, weight: float) -> LanesInPlay:
        """What is remembered of play where newer counts of as many batches have a weight in 0 … 1."""
        moved = {
            name: (1 - weight) * getattr(self, name) + weight * getattr(newer, name)
            for name in ("flows", "wins", "own_bids", "own_wins", "levels", "rewards")
        }
        return replace(newer, **moved)


def check_countable(game: PopulationGame) -> GridCityGame:
    """The game, if what its agents meet can be counted by lane.

    Raises:
        ConfigError: for a game that is no city, whose places do not go by bids and urgencies alone, or whose
            redistribution tells agents apart by more than whether they are dormant.
    """
    if not isinstance(game, GridCityGame):
        raise refusal("game", game.name, "grid_city, or a game that is one")
    config = game.config
    if looks_at_accesses(config.rule("allocation"), config.agent_types, config.karma_max):
        raise refusal("allocation", config.allocation, "a rule that does not look at past accesses")
    if config.rule("redistribution").name not in _UNIFORM:
        raise refusal("redistribution", config.redistribution, f"{' or '.join(_UNIFORM)}, to be counted")
    return game


class LaneCounter:
    """Plays a city and counts what its agents meet, see :mod:`agents.evaluators.city.kernels`.

    Args:
        game: the city.

    Raises:
        ConfigError: for a game that this is not for, see :func:`check_countable`.
    """

    def __init__(self, game: PopulationGame) -> None:
        self.game = city = check_countable(game)
        plans, config = city.plans, city.config
        classes = BidClasses.of(config.rule("allocation"), config.agent_types, config.karma_max)
        suffers = np.zeros(classes.of_bid.shape[:2], np.bool_)
        for kind, each in enumerate(config.agent_types):
            suffers[kind, : len(each.urgencies)] = np.array(each.urgencies) > 0
        self._roads = Roads(
            steps=plans.steps.astype(np.uint64),
            first_option=plans.first_option,
            lane_bits=plans.lane_bits,
            capacity=np.asarray(city.network.capacity, np.int64),
            class_of=classes.of_bid,
            ranks=classes.ranks,
            suffers=suffers,
            type_of_agent=city.type_of_agent.astype(np.int64),
        )

    def count(self, policy: SamplingPolicy, n_steps: int, batches: int) -> LanesInPlay:
        """Play on with a policy and count, in batches of nearly equal length."""
        game, ranks, parts = self.game, self._roads.ranks, even_parts(n_steps, batches)
        n_lanes = len(game.network.lanes)
        class_of = self._roads.class_of
        n_groups = class_of.shape[0] * class_of.shape[1]
        flows, wins = np.zeros((2, batches, n_lanes, len(ranks)))
        own_bids, own_wins = np.zeros((2, batches, n_lanes, n_groups, len(ranks)))
        levels, rewards = np.zeros(batches), np.zeros((batches, game.n_agents))
        for batch, part in enumerate(parts):
            counts = new_counts(n_lanes, n_groups, ranks, game.config.karma_max)
            for _, piece in chunks(game, policy, part):
                count_play(piece.columns, self._roads, counts)
                rewards[batch] += piece.rewards.sum(axis=0, dtype=np.float64) / part
            flows[batch], wins[batch] = counts.flows / part, counts.wins[:, ranks] / part
            own_bids[batch] = counts.own_bids[..., ranks] / part
            own_wins[batch] = counts.own_wins[..., ranks] / part
            levels[batch] = _level(counts.received)
        visits = flows.sum(axis=2, keepdims=True)
        ever = visits.sum(axis=0)
        pooled = np.where(ever > 0, wins.sum(axis=0) / np.where(ever > 0, ever, 1.0), 1.0)
        wins = np.where(visits > 0, wins / np.where(visits > 0, visits, 1.0), pooled).clip(0.0, 1.0)
        groups = np.arange(n_groups).reshape(*class_of.shape[:2], 1)
        columns = (groups * len(ranks) + class_of).astype(np.int32)
        return LanesInPlay(game.n_agents, n_steps, flows, wins, own_bids, own_wins, columns, levels, rewards)


def count_lanes(
    game: PopulationGame,
    policy: SamplingPolicy,
    *,
    n_steps: int = 10_000,
    burn_in: int = 1000,
    batches: int = 10,
    seed: int = 0,
) -> LanesInPlay:
    """Play a policy from a reset and count what agents meet.

    Memory: batches times lanes times classes times 16 bytes, and a bounded piece of play.

    Args:
        game: the city; it is reset.
        policy: what its agents play.
        n_steps: steps that are counted.
        burn_in: steps before.
        batches: stretches of play, at least 2; they are taken as independent.
        seed: of all random draws.

    Raises:
        ConfigError: for a game that this is not for, see :func:`check_countable`, or a number out of range.
        PolicyError: when the policy does not fit the game.
    """
    counter = LaneCounter(game)
    batches = whole("batches", batches, 2, 1000)
    n_steps, burn_in = whole("n_steps", n_steps, batches), whole("burn_in", burn_in, 0)
    counter.game.check_policy(policy)
    counter.game.reset(np.random.default_rng(seed))
    play_on(counter.game, policy, burn_in)
    return counter.count(policy, n_steps, batches)


def _level(received: NDArray[np.int64]) -> float:
    """Mean units given to those who could take all that they were offered.

    Args:
        received: ``int64[K+1, K+1]``, agents by karma after paying, and units received.
    """
    units = np.arange(received.shape[1])
    most = int(units[received.any(axis=0)].max(initial=0))
    # Who is too near to the cap is given less than the level, which would make it seem lower.
    roomy = received[: max(len(received) - most, 1)].sum(axis=0)
    return float(units @ roomy / max(roomy.sum(), 1))
