"""What every trainer has to show: it learns more than chance in a game of ten agents, in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from training.benchmark import TASKS
from training.benchmark.algorithms import Trained, find
from training.benchmark.measure import measure, measure_reference

LEAST = 0.15
"""Random bids score 0 with a standard error of .01 over seeds and play; the equilibrium .74."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On few cores several threads of PyTorch are slower, and sums depend on their number."""
    if (torch := sys.modules.get("torch")) is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def score_of() -> Callable[..., float]:
    """Trains a built-in algorithm in ``matching-tiny`` for some agent-steps; the normalised score."""

    def score(name: str, budget: int = 20_000, seed: int = 0) -> float:
        task = TASKS["matching-tiny"]
        trained = find(name).train(task.make(), budget, seed)
        assert isinstance(trained, Trained)
        assert 0.8 * budget <= trained.agent_steps <= budget
        found = measure(task, trained.policy, seed, measure_reference(task))["score"]
        assert isinstance(found, float)
        return found

    return score
