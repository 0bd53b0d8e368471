"""Sweeps that several tests run, and what they have to leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karma_envs.files import read_npz
from training import TrainConfig
from training.common.tables import read_table
from training.runs.replica import Replica

Tiny = Callable[..., TrainConfig]
RATES = [0.01, 0.05, 0.1]
BASE = TrainConfig(  # that of the fixture tiny
    game_config={"n_agents": 20}, learner={"initial_q": -50}, n_steps=400, epoch_length=50, records=4, seed=3
)


def assert_same_results(one: Path, other: Path, trials: int = 3) -> None:
    """Rows but for their seconds, and what the runs have left, bit for bit."""

    def rows(folder: Path) -> list[dict[str, Any]]:
        return [{**row, "seconds": None} for row in read_table(folder / "trials.csv")]

    assert rows(one) == rows(other)
    assert all(row["status"] == "finished" for row in rows(one))
    for number in range(trials):
        folders = one / f"trial-{number:03d}", other / f"trial-{number:03d}"
        for name in ("config.yaml", "metrics.csv", "karma.csv"):
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
        first, second = (read_npz(folder / "policy-0.npz") for folder in folders)
        assert first.keys() == second.keys()
        for name in first.keys() - {"run"}:  # which says whose they are
            np.testing.assert_array_equal(first[name], second[name])


def on_epoch(monkeypatch: pytest.MonkeyPatch, action: Callable[[Replica], None]) -> None:
    """Do something after every epoch of every trial."""
    run_epoch = Replica.run_epoch

    def and_then(self: Replica) -> None:
        run_epoch(self)
        action(self)

    monkeypatch.setattr(Replica, "run_epoch", and_then)
