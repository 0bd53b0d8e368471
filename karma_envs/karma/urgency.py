"""Urgency: what losing costs an agent, a Markov chain of its own per type, independent of karma.

An agent type (omega) has a share of the population, a discount factor (gamma), urgency values
(U) and a transition matrix (phi(u+ | u)).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, is_list, real, refusal
from karma_envs.game import LARGEST_RETURN
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import GOLDEN, mix
from karma_envs.parameters import split

DRAW_RANGE = 2**32

MOST_URGENCIES = 256
"""Urgency values of a type: states hold the index of an agent's urgency as ``uint8``."""


@dataclass(frozen=True)
class AgentType(Config):
    """A type of agents (omega in the Thesis, section 5.1).

    Attributes:
        share: mass of the type, relative to the other types' (so counts of agents do as well); > 0,
            at most 1e12.
        discount: discount factor gamma in [0, 1).
        urgencies: urgency values U, at most 256, each >= 0 and at most 1e27 (1 - discount), so that
            single precision holds whatever an agent may lose.
        urgency_transition: phi, rows the current and columns the next urgency, rows sum to 1; or
            one row, the probabilities of urgencies drawn anew at every step; or None for all
            urgencies equally likely. Where urgencies belong to trips, read trip for step.

    Raises:
        ConfigError: for a value outside these ranges.
    """

    share: float = 1.0
    discount: float = 0.98
    urgencies: tuple[float, ...] = (1.0, 5.0)
    urgency_transition: tuple[tuple[float, ...], ...] | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        self._set(
            share=real("share", self.share, 0, 1e12, open_low=True),
            discount=real("discount", self.discount, 0, 1, open_high=True),
        )
        self._set(urgencies=_urgencies(self.urgencies, self.discount))
        self._set(urgency_transition=_transition(self.urgency_transition, len(self.urgencies)))

    @property
    def transition_matrix(self) -> NDArray[np.float64]:
        """phi, the probabilities of the next urgency by the present one, ``float64[U, U]``."""
        n = len(self.urgencies)
        if self.urgency_transition is None:
            return np.full((n, n), 1.0 / n)
        return np.broadcast_to(np.asarray(self.urgency_transition, np.float64), (n, n)).copy()

    def parameters(self) -> dict[str, float]:
        """The continuous parameters by name.

        Of ``urgency_transition`` they are the probabilities of each row but its first, which is what the
        others leave; of urgencies drawn anew at every step ``urgency_transition[1]`` and so on, of a chain
        ``urgency_transition[0][1]``: from the first urgency to the second.
        """
        own = {
            name: value
            for name, value in super().parameters().items()
            if not name.startswith("urgency_transition")
        }
        return own | {
            f"urgency_transition{where}": float(row[index])
            for where, row, index in self._probabilities()
            if not where.endswith("[0]") and row[index] < 1
        }

    def with_parameter(self, name: str, value: float) -> AgentType:
        """A copy in which one continuous parameter is another number.

        A probability of ``urgency_transition`` scales the others of its row so that they sum to 1.
        """
        rows = {f"urgency_transition{where}": (row, at) for where, row, at in self._probabilities()}
        if name not in rows:
            return super().with_parameter(name, value)
        row, index = rows[name]
        if row[index] == 1:
            raise refusal(name, value, "1: all others of the row are 0, and none of them is to be preferred")
        moved = np.where(np.arange(len(row)) == index, 0.0, row)
        moved *= (1 - value) / moved.sum()
        moved[index] = value
        new = tuple(moved.tolist())
        path = split(name) or []
        if len(path) == 2:  # drawn anew at every step
            return self.replace(urgency_transition=new)
        matrix = self.transition_matrix.tolist()
        return self.replace(urgency_transition=(*matrix[: path[1]], new, *matrix[int(path[1]) + 1 :]))

    def _probabilities(self) -> Iterator[tuple[str, NDArray[np.float64], int]]:
        """Each probability of the chain: where it stands, the row that it is of, and its place there."""
        chain = self.urgency_transition
        drawn_anew = chain is None or not is_list(chain[0])
        for number, row in enumerate(self.transition_matrix[: 1 if drawn_anew else None]):
            for index in range(len(row)):
                yield f"{'' if drawn_anew else f'[{number}]'}[{index}]", row, index

    @property
    def stationary_urgency(self) -> NDArray[np.float64]:
        """The stationary distribution of the urgency chain, ``float64[U]``.

        Where it is not unique, the one reached from a uniform start (in Cesàro mean).
        """
        phi = self.transition_matrix
        n = len(phi)
        if (phi == phi[0]).all():  # drawn anew at every step
            return np.asarray(phi[0] / phi[0].sum(), np.float64)
        # The Cesàro limit is the projection on the kernel of (I - phi): null vectors on both sides.
        left, right = _null_space(np.eye(n) - phi.T), _null_space(np.eye(n) - phi)
        mu = np.full(n, 1.0 / n) @ right @ np.linalg.solve(left.T @ right, left.T)
        mu = np.clip(mu, 0.0, None)
        return np.asarray(mu / mu.sum(), np.float64)

    @property
    def mean_urgency(self) -> float:
        """The mean urgency of an agent of the type in the long run."""
        return float(self.stationary_urgency @ np.asarray(self.urgencies))


def _null_space(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    _, singular, rows = np.linalg.svd(matrix)
    return rows[singular < 1e-10 * max(1.0, singular[0])].T


def _urgencies(values: Any, discount: float) -> tuple[float, ...]:
    if not is_list(values) or not 1 <= len(values) <= MOST_URGENCIES:
        raise refusal("urgencies", values, f"a list of at least one number, and at most {MOST_URGENCIES}")
    urgencies = tuple(real(f"urgencies[{index}]", value, 0) for index, value in enumerate(values))
    largest = LARGEST_RETURN * (1 - discount)
    for index, urgency in enumerate(urgencies):
        if urgency > largest:
            raise refusal(
                f"urgencies[{index}]",
                urgency,
                f"a number in [0, {largest:g}]: urgency / (1 - discount), the most that an agent may lose, "
                f"must be at most {LARGEST_RETURN:g}",
            )
    return urgencies


def _transition(values: Any, n: int) -> tuple[tuple[float, ...], ...] | tuple[float, ...] | None:
    field = "urgency_transition"
    if values is None:
        return None
    allowed = f"{n} rows of {n} probabilities, or one row of {n}, or null (in Python None)"
    if not is_list(values):
        raise refusal(field, values, allowed)
    one_row = not any(is_list(row) for row in values)
    rows = [values] if one_row else list(values)
    if not one_row and len(rows) != n:
        raise refusal(field, values, allowed)
    checked = []
    for number, row in enumerate(rows):
        name = field if one_row else f"{field}[{number}]"
        if not is_list(row) or len(row) != n:
            raise refusal(name, row, f"{n} probabilities")
        entries = tuple(real(f"{name}[{index}]", p, 0, 1) for index, p in enumerate(row))
        if abs(sum(entries) - 1) > 1e-9:
            raise refusal(name, entries, f"{n} probabilities with sum 1; the sum is {sum(entries):.10g}")
        checked.append(entries)
    return checked[0] if one_row else tuple(checked)


def type_counts(types: Sequence[AgentType], n_agents: int) -> NDArray[np.int64]:
    """How many agents each type has: shares times N, rounded by largest remainder.

    Raises:
        ConfigError: when a type would get no agent.
    """
    if len(types) == 1:
        return np.array([n_agents])
    shares = np.array([agent_type.share for agent_type in types])
    exact = shares / shares.sum() * n_agents
    counts = np.floor(exact + 1e-9).astype(np.int64)
    remainders = np.round(exact - counts, 9)  # equal ones in the order of the types
    for index in np.argsort(-remainders, kind="stable")[: n_agents - counts.sum()]:
        counts[index] += 1
    if (counts == 0).any():
        index = int(np.argmin(counts))
        raise refusal(
            f"types[{index}].share",
            types[index].share,
            f"shares that give each type one of {n_agents} agents",
        )
    return counts


def transition_thresholds(types: Sequence[AgentType]) -> NDArray[np.int64]:
    """Cumulative transition probabilities in units of 2**-32, padded over types.

    Returns:
        ``int64[types, U, U]`` for :func:`step_urgency`.
    """
    n = max(len(agent_type.urgencies) for agent_type in types)
    table = np.full((len(types), n, n), DRAW_RANGE, np.int64)
    for index, agent_type in enumerate(types):
        size = len(agent_type.urgencies)
        table[index, :size, :size] = _cumulative(agent_type.transition_matrix)
    return table


def trip_thresholds(types: Sequence[AgentType]) -> NDArray[np.int64]:
    """Cumulative probabilities of the urgency of a trip, in units of 2**-32, padded over types.

    Returns:
        ``int64[types, U+1, U]``: after a trip with each of the urgencies, and in the last row after none,
        from the chain's stationary distribution (of a chain of one row: that row).
    """
    after_trip = transition_thresholds(types)
    table = np.concatenate([after_trip, after_trip[:, :1]], axis=1)
    for index, agent_type in enumerate(types):
        phi, size = agent_type.transition_matrix, len(agent_type.urgencies)
        if (phi != phi[0]).any():
            table[index, -1, :size] = _cumulative(agent_type.stationary_urgency[None])
    return table


def _cumulative(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cumulative sums of rows in units of 2**-32; from the last possible value on the whole range."""
    cumulative = np.rint(np.cumsum(probabilities, axis=1) * DRAW_RANGE).astype(np.int64)
    last_possible = probabilities.shape[1] - 1 - np.argmax(probabilities[:, ::-1] > 0, axis=1)
    cumulative[np.arange(probabilities.shape[1]) >= last_possible[:, None]] = DRAW_RANGE
    return cumulative


@kernel
def step_urgency(urgency, type_of_agent, thresholds, streams, stream):
    """Advance every agent's urgency by one step of its type's chain; two draws per 64 random bits.

    Args:
        urgency: ``int[N]``, index into the type's urgency values; changed in place.
        type_of_agent: ``int[N]``.
        thresholds: of :func:`transition_thresholds`.
        streams: random streams; ``streams[stream]`` advances by ceil(N/2).
        stream: index of the stream to draw from.
    """
    n_urgencies = thresholds.shape[2]
    counter = np.uint64(streams[stream])
    bits = np.uint64(0)
    for agent in range(urgency.shape[0]):
        if agent & 1 == 0:
            counter += GOLDEN
            bits = mix(counter)
        draw = np.int64(bits & np.uint64(0xFFFFFFFF))
        bits >>= np.uint64(32)
        agent_type, current = type_of_agent[agent], urgency[agent]
        following = 0
        for candidate in range(n_urgencies - 1):
            following += thresholds[agent_type, current, candidate] <= draw
        urgency[agent] = following
    streams[stream] = counter
