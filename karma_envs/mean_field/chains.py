"""Markov chains: their closed classes, and the measures that they leave as they are.

A closed class is a set of states that is never left once it is entered, and has no smaller one in it.
A chain with one has one stationary distribution. A chain with several has many, and the start decides:
each class keeps the mass that the start puts into it sooner or later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel

_ROUNDING = 1e-14  # a probability up to it is none: what is left over where a surplus is nearly 0


@kernel
def _mark(moves, start, marked, queue):
    """Mark the states that a state leads to, itself among them."""
    marked[:] = False
    marked[start] = True
    queue[0] = start
    first, last = 0, 1
    while first < last:
        here = queue[first]
        first += 1
        for following in range(len(moves)):
            if moves[here, following] and not marked[following]:
                marked[following] = True
                queue[last] = following
                last += 1


@kernel
def _label(ahead, behind, reached, reaching, settled, queue, label):
    """Number the closed classes: label[x] is that of x, -1 where x is in none; returns how many there are."""
    settled[:] = False
    label[:] = -1
    n_classes = 0
    for state in range(len(ahead)):
        if settled[state]:
            continue
        # What a state leads to is closed. As long as something of it does not lead back, that leads to less.
        inside, leaves = state, 0
        while leaves >= 0:
            _mark(ahead, inside, reached, queue)
            _mark(behind, inside, reaching, queue)
            leaves = -1
            for other in range(len(ahead)):
                if reached[other] and not reaching[other]:
                    leaves = inside = other
                    break
        for other in range(len(ahead)):
            if reached[other]:
                label[other] = n_classes
            if reaching[other]:
                settled[other] = True
        n_classes += 1
    return n_classes


def closed_classes(matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The closed classes of a chain ``[X, X]``, ``bool[classes, X]``, by their first states; at least one."""
    ahead = np.abs(matrix) > _ROUNDING  # on the way to a root entries may be negative
    n = len(matrix)
    reached, reaching, settled = np.empty((3, n), np.bool_)
    queue, label = np.empty((2, n), np.int64)
    n_classes = _label(ahead, np.ascontiguousarray(ahead.T), reached, reaching, settled, queue, label)
    members = label == np.arange(n_classes)[:, None]
    return np.asarray(members[members.argmax(axis=1).argsort()])


def class_masses(
    matrix: NDArray[np.float64], members: NDArray[np.bool_], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The mass that ends in each closed class, ``float64[classes]``.

    Args:
        matrix: the chain, ``[X, X]``.
        members: :func:`closed_classes` of it.
        start: mu at the beginning, ``[X]``.
    """
    if len(members) == 1:
        return np.ones(1)
    return np.asarray(start @ absorption(matrix, members))


def absorption(matrix: NDArray[np.float64], members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The chance to end in each closed class, by state, ``float64[X, classes]``."""
    chances = members.T.astype(np.float64)
    passing = ~members.any(axis=0)
    if passing.any():
        staying = np.eye(int(passing.sum())) - matrix[np.ix_(passing, passing)]
        chances[passing] = np.linalg.solve(staying, matrix[passing] @ chances)
    return chances


def stationary_measures(
    matrix: NDArray[np.float64],
    members: NDArray[np.bool_],
    pushed: NDArray[np.float64],
    masses: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Measures mu with mu = mu P + pushed and a given mass in each closed class.

    One equation of each class gives way to that of its mass. So it does for a mean field and for its moves
    alike: away from a root rows of P need not sum to 1, and then it matters which equation gives way.

    Args:
        matrix: P, ``[X, X]``.
        members: :func:`closed_classes` of it.
        pushed: ``[n, X]``, without mass in all.
        masses: ``[classes]``.

    Returns:
        ``float64[n, X]``.
    """
    equations = np.eye(len(matrix)) - matrix.T
    right = pushed.T.copy()
    if len(members) == 1:
        equations[-1], right[-1] = 1.0, masses[0]
    else:
        last = members.shape[1] - 1 - members[:, ::-1].argmax(axis=1)
        equations[last], right[last] = members, masses[:, None]
    try:
        return np.asarray(np.linalg.solve(equations, right).T)
    except np.linalg.LinAlgError:  # classes that only rounding joins
        return np.asarray(np.linalg.lstsq(equations, right, rcond=None)[0].T)


def stationary_distribution(
    matrix: NDArray[np.float64], start: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The stationary distribution of each of several chains, ``[..., X, X]`` to ``[..., X]``.

    Args:
        matrix: the chains.
        start: where they begin, ``[..., X]``, which matters for a chain with several closed classes;
            uniform if None.
    """
    n = matrix.shape[-1]
    chains = matrix.reshape(-1, n, n)
    starts = np.broadcast_to(1.0 / n if start is None else start, matrix.shape[:-1]).reshape(-1, n)
    still = np.zeros((1, n))
    fields = np.empty((len(chains), n))
    for index, chain in enumerate(chains):
        members = closed_classes(chain)
        fields[index] = stationary_measures(
            chain, members, still, class_masses(chain, members, starts[index])
        )[0]
    return fields.reshape(matrix.shape[:-1])


def class_means(
    matrix: NDArray[np.float64], mean_field: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What agents get on average over infinitely many steps: all in a closed class the same.

    Args:
        matrix: the chain, ``[X, X]``.
        mean_field: mu of a population at rest, ``[X]``.
        values: what a state is worth per step, in several ways: ``[n, X]``.

    Returns:
        the mass of each class that has any, and the means there, ``float64[n, classes]``.
    """
    members = closed_classes(matrix)
    masses = members @ mean_field
    inhabited = masses > _ROUNDING
    totals = (mean_field * values) @ members[inhabited].T
    return masses[inhabited], np.asarray(totals / masses[inhabited])


def as_distribution(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities over the last axis from what is one but for rounding: none below 0, and sum 1."""
    clipped = np.maximum(array, 0.0)
    return np.asarray(clipped / clipped.sum(axis=-1, keepdims=True))
