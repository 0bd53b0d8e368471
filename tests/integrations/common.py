"""What the tests of several trainers share: small games, what must be installed, and a table against play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from karma_envs.finite import FiniteGame
from karma_envs.registry import game_class, names
from training.common.trainers import trainers

TABULAR = [name for name in names() if issubclass(game_class(name), FiniteGame)]
"""The registered games with tables, whose legal actions are masked."""

SMALL = {"n_agents": 10, "karma_max": 6, "karma_mean": 3, "discount": 0.9}


def two_types(
    discounts: Sequence[float] = (0.5, 0.9),
    urgencies: Sequence[Sequence[float]] = ((1, 5), (1, 5)),
    **config: Any,
) -> dict[str, Any]:
    """A matching game of two agents of one type and six of another."""
    types = [
        {"share": share, "discount": discount, "urgencies": levels}
        for share, discount, levels in zip((0.25, 0.75), discounts, urgencies)
    ]
    return {"n_agents": 8, "types": types, **config}


def require(extra: str) -> None:
    """Skip a module, or a test, where what a trainer needs is not installed."""
    (trainer,) = (trainer for trainer in trainers() if trainer.extra == extra)
    for package in trainer.imports:
        pytest.importorskip(package, reason=f"needs the extra {extra}: pip install karma-envs[{extra}]")


def assert_played_as_in_the_table(counts: NDArray[np.float64], table: NDArray[np.float64]) -> None:
    """In every situation actions came as often as a table says, within 4 standard errors.

    Given the situations actions are independent, so that counts are binomial.

    Args:
        counts: ``float64[observations, actions]``, how often each was played.
        table: the probabilities, of the same shape.
    """
    visits = counts.sum(axis=1, keepdims=True)
    errors = np.sqrt(visits * table * (1 - table))
    common = errors > 3  # where the binomial is nearly normal
    assert common.sum() > 15
    assert (np.abs(counts - visits * table)[common] < 4 * errors[common]).all()
    assert not counts[table == 0].any()
