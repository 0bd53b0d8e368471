"""What becomes of karma in a step besides payments: redistribution as the members of a large city meet it.

A rule looks at how many agents wanted a lane for each place there. Of an agent's competitors there is a
Poisson number G, so the agent and they are 1 + G, and where it has got in, or has not,

    Pr(G | in) ~ Pr(G) min(c / (1 + G), 1),    Pr(G | not in) ~ Pr(G) max(1 - c / (1 + G), 0),

by symmetry between those that bid: whether an agent's own bid was high is not looked at. What a rule does at
some crowding is a *treatment*, a tax and who shares, by karma; most rules have one or two of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.mean_field.trips import Moves
from karma_envs.karma.level import level_of, sharing_matrix, tax_matrix
from karma_envs.mechanisms import Rule
from karma_envs.numerics.compile import kernel


@dataclass(frozen=True)
class Payments:
    """What a step brings about before redistribution, in agents per step, by karma held then.

    Attributes:
        won: ``float64[L, karma_max + 1]``, who has got into the lane and paid.
        lost: ``float64[L, karma_max + 1]``, who has not.
        idle: ``float64[karma_max + 1]``, the dormant.
        paid: ``float64[L]``, karma.
    """

    won: NDArray[np.float64]
    lost: NDArray[np.float64]
    idle: NDArray[np.float64]
    paid: NDArray[np.float64]


@kernel
def _tabulate(rule, parameters, karma_max, crowding, tax, receives):
    for row in range(crowding.shape[0]):
        for karma in range(karma_max + 1):
            due, gets = rule(karma, karma_max, crowding[row], parameters)
            tax[row, karma] = due
            receives[row, karma] = gets


class Sharing:
    """Redistribution by a rule in a city of L lanes.

    Args:
        rule: of redistribution.
        karma_max: the cap.
        capacity: ``int64[L]``, places per step.
        n_agents: N, the most that can want a lane.

    Attributes:
        by_lane: whether what is paid for a lane is shared there first.
        conserves: whether karma is never lost: whether somebody shares.
    """

    def __init__(self, rule: Rule, karma_max: int, capacity: NDArray[np.int64], n_agents: int) -> None:
        self.by_lane = rule.by_resource
        self._karma = np.arange(karma_max + 1)
        self._everybody = np.ones(karma_max + 1, np.bool_)
        self._capacity = capacity
        sizes, self._size_of_lane = np.unique(capacity, return_inverse=True)
        wanting = np.arange(1, n_agents + 1)
        crowding = np.append(0.0, (wanting / sizes[:, None]).ravel())
        tax, receives = np.zeros((2, len(crowding), karma_max + 1))
        _tabulate(rule.function, rule.parameter_array(), karma_max, crowding, tax, receives)
        # Treatments that differ, numbered as they come; the first is that of the dormant.
        rows, first, number = np.unique(
            np.hstack([tax, receives]), axis=0, return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        treatments = rank[number.ravel()]
        self._taxes, shares = np.split(rows[order], 2, axis=1)
        self._receives = shares > 0
        self._of_crowd = treatments[1:].reshape(len(sizes), n_agents)
        self._taxation = np.stack([tax_matrix(tax) for tax in self._taxes])
        self._log_factorials = np.append(0.0, np.cumsum(np.log(np.arange(1, n_agents))))
        self.conserves = bool(self._receives.any() or self.by_lane)

    @property
    def _is_one(self) -> bool:
        """Whether all who compete are treated alike, however many they are."""
        return bool((self._of_crowd == self._of_crowd[0, 0]).all())

    def treated(self, congestion: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chances of the treatments, ``float64[2, L, treatments]``: of who has not got in, and who has.

        Args:
            congestion: ``float64[L]``, agents that want a lane, mean over steps.
        """
        n_lanes, n_treatments = len(congestion), len(self._taxes)
        chances = np.zeros((2, n_lanes, n_treatments))
        if self._is_one:
            chances[:, :, self._of_crowd[0, 0]] = 1.0
            return chances
        others = np.arange(len(self._log_factorials))
        mean = np.maximum(congestion, 1e-300)[:, None]
        weights = np.exp(others * np.log(mean) - mean - self._log_factorials)
        inside = np.minimum(self._capacity[:, None] / (1.0 + others), 1.0)
        for lane in range(n_lanes):
            treatment = self._of_crowd[self._size_of_lane[lane]]
            for has_won, chance in enumerate((1.0 - inside[lane], inside[lane])):
                mass = np.bincount(treatment, weights[lane] * chance, n_treatments)
                if mass.sum() > 0.0:
                    chances[has_won, lane] = mass / mass.sum()
                else:  # nobody ever fails to get in: what would be with all of them there
                    chances[has_won, lane, treatment[-1]] = 1.0
        return chances

    def levels(
        self, payments: Payments, congestion: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """The level of redistribution, and those of the lanes, ``float64[L]``, 0 where there are none."""
        won, lost, surplus = payments.won, payments.lost, float(payments.paid.sum())
        lane_levels = np.zeros(len(congestion))
        if self.by_lane:
            won, lost = won.copy(), lost.copy()
            for lane, paid in enumerate(payments.paid):
                level = lane_levels[lane] = level_of(won[lane] + lost[lane], float(paid))
                share = sharing_matrix(level, self._everybody)
                held = (won[lane] + lost[lane]) @ self._karma
                won[lane], lost[lane] = won[lane] @ share, lost[lane] @ share
                surplus -= (won[lane] + lost[lane]) @ self._karma - held
        chances = self.treated(congestion)
        by_treatment = np.einsum("lt,lk->tk", chances[1], won) + np.einsum("lt,lk->tk", chances[0], lost)
        by_treatment[0] += payments.idle
        surplus += float((by_treatment * self._taxes).sum())
        after_tax = np.einsum("tk,tkj->tj", by_treatment, self._taxation)
        return level_of((after_tax * self._receives).sum(axis=0), surplus), lane_levels

    def moves(self, level: float, lane_levels: NDArray[np.float64], congestion: NDArray[np.float64]) -> Moves:
        """What happens to karma, at some levels."""
        treatments = np.stack(
            [tax @ sharing_matrix(level, gets) for tax, gets in zip(self._taxation, self._receives)]
        )
        n_lanes = len(congestion)
        if self._is_one and not self.by_lane:
            competes = int(self._of_crowd[0, 0])
            won = lost = np.full(n_lanes, min(competes, 1), np.int32)
            return _moves(treatments[: 1 + competes], won, lost, idle=0)
        chances = self.treated(congestion)
        matrices = np.einsum("wlt,tkj->wlkj", chances, treatments)
        if self.by_lane:
            shares = np.stack([sharing_matrix(lane_level, self._everybody) for lane_level in lane_levels])
            matrices = np.einsum("lkj,wlji->wlki", shares, matrices)
        everything = np.concatenate([treatments[:1], *matrices])
        lost = 1 + np.arange(n_lanes, dtype=np.int32)
        return _moves(everything, lost + np.int32(n_lanes), lost, idle=0)


def _moves(
    matrices: NDArray[np.float64], won: NDArray[np.int32], lost: NDArray[np.int32], idle: int
) -> Moves:
    possible = matrices > 0
    return Moves(
        matrix=np.ascontiguousarray(matrices),
        first=possible.argmax(axis=2).astype(np.int32),
        last=(possible.shape[2] - 1 - possible[:, :, ::-1].argmax(axis=2)).astype(np.int32),
        won=won,
        lost=lost,
        idle=idle,
    )
