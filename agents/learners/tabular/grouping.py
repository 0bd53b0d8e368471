"""Who learns together: which Q table each agent acts by, and from whose experience it is learned.

Sources: Thesis, Algorithm 1 (independent), Algorithm 2 (one table per type, learned from a
representative agent); pooling the experience of a whole type is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Grouping:
    """Rows of the Q table, and the agents they are learned from.

    Attributes:
        row_of_agent: ``int32[N]``.
        learning_agents: ``int32[M]``, agents whose transitions are learned from, in order.
    """

    row_of_agent: NDArray[np.int32]
    learning_agents: NDArray[np.int32]


def independent(type_of_agent: NDArray[np.uint8]) -> Grouping:
    """One table per agent, learned from its own experience (Algorithm 1)."""
    everyone = np.arange(len(type_of_agent), dtype=np.int32)
    return Grouping(everyone, everyone)


def per_type(type_of_agent: NDArray[np.uint8]) -> Grouping:
    """One table per type, learned from its first agent's experience (Algorithm 2)."""
    representatives = np.unique(type_of_agent, return_index=True)[1]
    return Grouping(type_of_agent.astype(np.int32), representatives.astype(np.int32))


def pooled(type_of_agent: NDArray[np.uint8]) -> Grouping:
    """One table per type, learned from the experience of all its agents."""
    return Grouping(type_of_agent.astype(np.int32), np.arange(len(type_of_agent), dtype=np.int32))


GROUPINGS: dict[str, Callable[[NDArray[np.uint8]], Grouping]] = {
    "independent": independent,
    "per_type": per_type,
    "pooled": pooled,
}
