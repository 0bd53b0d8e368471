"""Tasks of a few agents in the place of the real ones, and algorithms of the user's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.benchmark.tiny_tasks import REAL, TINY
from training.benchmark import TASKS, Task
from training.benchmark.best_response import BestResponseGame


@pytest.fixture(autouse=True)
def _tiny_tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three tasks of a few agents in the place of the real ones."""
    monkeypatch.setenv("COLUMNS", "300")
    TASKS.clear()
    for task in (
        Task("tiny", "six agents", 1200, "matching", TINY, n_steps=200, burn_in=10),
        Task("tiny-city", "a city", 1200, "grid_city", {"n_agents": 12, "rows": 2, "columns": 2}, 100, 10),
        Task("tiny-response", "one learner", 300, BestResponseGame, TINY, n_steps=300, burn_in=10),
    ):
        TASKS[task.name] = task
    yield
    TASKS.clear()
    TASKS.update(REAL)


@pytest.fixture
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's in the working directory."""
    source = '''
import numpy as np
from agents import TabularPolicy

def nothing(game, budget, seed):
    """Bid nothing & say <so>."""
    table = np.zeros((game.n_observations, game.n_actions))
    table[:, 0] = 1
    return TabularPolicy(table, np.zeros(game.n_agents, int))

def fails_in_cities(game, budget, seed):
    if game.name == "grid_city":
        raise RuntimeError("no road")
    return nothing(game, budget, seed)

def fails_later(game, budget, seed):
    if seed == 1:
        raise KeyboardInterrupt
    return nothing(game, budget, seed)

def no_policy(game, budget, seed):
    return 3
'''
    (tmp_path / "karma_benchmark_mine.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "karma_benchmark_mine", raising=False)  # of another test's folder
