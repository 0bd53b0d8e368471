"""Multisets of agents: who is in which state, but for who is who.

An agent is told by a *label*, such as (kind, urgency, karma); what several agents are up to permutation is a
multiset of labels, held as a sorted row of them. There is a given number of agents of each kind, and so much
karma, so that many multisets cannot be, and are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array


class Labels(NamedTuple):
    """What an agent may be.

    Attributes:
        kind: ``int64[L]``, rising.
        karma: ``int64[L]``.
    """

    kind: NDArray[np.int64]
    karma: NDArray[np.int64]


@dataclass(frozen=True)
class Multisets:
    """The multisets of ``size`` labels that can be, ordered by kinds and then by karma.

    Attributes:
        labels: the labels that they are of.
        members: ``int64[M, size]``, labels, rising in each row.
        karma: ``int64[M]``, of all members.
        kinds: ``int64[M]``, a number that says how many members there are of each kind.
    """

    labels: Labels
    members: NDArray[np.int64]
    karma: NDArray[np.int64]
    kinds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.members)

    @property
    def size(self) -> int:
        """Labels in each of them."""
        return int(self.members.shape[1])

    @cached_property
    def _sorted_keys(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        keys = self._keys(self.members)
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def _keys(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        keys, n_labels = np.zeros(len(members), np.int64), len(self.labels.kind)
        for column in members.T:
            keys = keys * n_labels + column
        return keys

    def find(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of multisets, -1 for one that cannot be.

        Args:
            members: ``int64[n, size]``, labels, rising in each row.
        """
        keys, order = self._sorted_keys
        wanted = self._keys(members)
        position = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[position] == wanted, order[position], -1)

    def with_one_more(self, larger: Multisets) -> NDArray[np.int32]:
        """The number among larger ones of each multiset with each label added, ``int32[M, L]``; -1 for none.

        Args:
            larger: multisets of one label more.
        """
        added = np.empty((len(self), len(self.labels.kind)), np.int32)
        for label in range(added.shape[1]):
            column = np.full((len(self), 1), label, np.int64)
            added[:, label] = larger.find(np.sort(np.hstack([self.members, column]), axis=1))
        return added

    def without(self, smaller: Multisets, *positions: int) -> NDArray[np.int32]:
        """The number among smaller ones of each multiset without its members at some positions, ``int32[M]``.

        Args:
            smaller: multisets of as many labels fewer.
            positions: in a row of ``members``.
        """
        return smaller.find(np.delete(self.members, positions, axis=1)).astype(np.int32)


def are_numbered(labels: Labels, n_agents: int) -> bool:
    """Whether 64 bits number all combinations of so many labels."""
    return n_agents * math.log2(len(labels.kind)) < 62


def multisets(labels: Labels, agents: NDArray[np.int64], most_karma: int) -> list[Multisets]:
    """All multisets of 0, 1, 2 … labels.

    Args:
        labels: that they are of.
        agents: ``int64[kinds]``, how many agents of each kind there are at most.
        most_karma: that they have at most.

    Returns:
        those of each size, up to that of all agents; :func:`are_numbered` says how many labels there may be.
    """
    n_agents, n_labels = int(agents.sum()), len(labels.kind)
    # Counts of kinds as one number: digits in a number system in which all agents fit into each.
    digit = (n_agents + 1) ** np.arange(len(agents))
    members = np.empty((1, 0), np.int64)
    karma, kinds = np.zeros(1, np.int64), np.zeros(1, np.int64)
    by_size = [Multisets(labels, members, karma, kinds)]
    for size in range(n_agents):
        last = members[:, -1] if size else np.zeros(1, np.int64)
        # A row goes on with any label from its last one on, so that each multiset is made once.
        parent = np.repeat(np.arange(len(members)), n_labels - last)
        first_child = np.repeat(np.cumsum(n_labels - last) - (n_labels - last), n_labels - last)
        label = np.arange(len(parent)) - first_child + last[parent]
        kind = labels.kind[label]
        possible = (karma[parent] + labels.karma[label] <= most_karma) & (
            (labels.kind[members[parent]] == kind[:, None]).sum(axis=1) < agents[kind]
        )
        parent, label = parent[possible], label[possible]
        members = np.hstack([members[parent], label[:, None]])
        karma, kinds = karma[parent] + labels.karma[label], kinds[parent] + digit[labels.kind[label]]
        order = np.lexsort((karma, kinds))
        by_size.append(Multisets(labels, members[order], karma[order], kinds[order]))
    return by_size


def moved_independently(
    sources: list[Multisets], targets: list[Multisets], chance: NDArray[np.float64]
) -> csr_array:
    """Where multisets are after each agent in them has moved on its own, ``csr[M, M']``.

    Args:
        sources: of sizes 0, 1 … n.
        targets: of the same sizes.
        chance: ``float64[L, L']``, of an agent's next label by its present one.

    Returns:
        the distribution over targets of size n for each source of size n.
    """
    matrix = csr_array(np.ones((1, 1)))
    for smaller, source, reached, target in zip(sources, sources[1:], targets, targets[1:]):
        parent, last = source.without(smaller, source.size - 1), source.members[:, -1]
        added = reached.with_one_more(target)
        rows, columns, values = [], [], []
        for label in range(chance.shape[1]):
            moving = np.flatnonzero(chance[last, label])
            before = matrix[parent[moving]].tocoo()
            rows.append(moving[before.row])
            columns.append(added[before.col, label])
            values.append(before.data * chance[last[moving[before.row]], label])
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        matrix = coo_array(entries, shape=(len(source), len(target))).tocsr()
    return matrix


def counts_of_pairs(
    first: Labels, second: Labels, agents: NDArray[np.int64], most_karma: int
) -> NDArray[np.float64]:
    """How many pairs of multisets there are that make up all agents, without making them.

    Args:
        first: labels of one multiset.
        second: of the other.
        agents: ``int64[kinds]``, how many there are of each kind in both.
        most_karma: that both have at most.

    Returns:
        ``float64[n + 1, most_karma + 1]``, by the size of the first and the karma of both.
    """
    pairs = np.ones((1, 1))
    for kind, n in enumerate(agents):
        one, other = _counts(first, kind, n, most_karma), _counts(second, kind, n, most_karma)
        joined = np.zeros((len(pairs) + n, most_karma + 1))
        for size in range(n + 1):
            both = np.convolve(one[size], other[n - size])
            for before, count in enumerate(pairs):
                joined[before + size] += np.convolve(count, both)[: most_karma + 1]
        pairs = joined
    return pairs


def _counts(labels: Labels, kind: int, n: int, most_karma: int) -> NDArray[np.float64]:
    """How many multisets of a kind's labels there are, by size up to n and by karma."""
    counts = np.zeros((n + 1, most_karma + 1))
    counts[0, 0] = 1.0
    for karma in labels.karma[labels.kind == kind]:
        for size in range(1, n + 1):  # rising, so that a label may be taken again
            counts[size, karma:] += counts[size - 1, : most_karma + 1 - karma]
    return counts
