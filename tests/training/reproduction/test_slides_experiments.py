"""The slides' experiments, shortened: their rows, figures and what must be seen in any of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.common.tables import Row
from training.reproduction.experiment import experiments
from training.reproduction.slides import fluctuation, gmf_q


def rows_of(name: str, folder: Path) -> list[Row]:
    experiment = experiments()[name]
    rows = [{"seed": 0, **row} for row in experiment.run("quick", 0)]
    assert len({tuple(row) for row in rows}) == 1  # as a table needs
    for title, draw in experiment.figures.items():
        draw(rows).savefig(folder / f"{title}.png")
        assert (folder / f"{title}.png").stat().st_size > 5000
    return rows


def summary(rows: list[Row], case: str) -> Row:
    (row,) = [row for row in rows if row["case"] == case]
    return row


def test_the_naive_algorithm_fluctuates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(fluctuation._PATHS, "quick", 2)
    monkeypatch.setitem(fluctuation._SWEEPS, "quick", 300)
    monkeypatch.setattr(fluctuation, "_ROUNDS", 20)
    rows = rows_of("slides-fluctuation", tmp_path)
    assert summary(rows, "naive, exact")["least_l1"] == pytest.approx(2)
    assert summary(rows, "naive, Q-learning")["settled_l1"] > 1
    assert summary(rows, "softmax, Q-learning")["greatest_l1"] < 0.05
    assert len({row["path"] for row in rows if row["case"] == "naive, Q-learning, by round"}) == 2


def test_more_sweeps_bring_gmf_q_nearer_to_gmf_v(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(gmf_q._SWEEPS, "quick", (100, 1000, 10_000))
    monkeypatch.setattr(gmf_q, "_ROUNDS", 20)
    monkeypatch.setattr(gmf_q, "_SHOWN", (10, 20))
    monkeypatch.setattr(gmf_q, "_NUMBERS", ("sweeps", "q_error", "bids_off", "change_10", "change_20"))
    rows = rows_of("slides-gmf-q", tmp_path)
    errors = [summary(rows, f"GMF-Q, {sweeps} sweeps")["q_error"] for sweeps in (100, 1000, 10_000)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02
    assert summary(rows, "GMF-V, no net")["change_10"] == pytest.approx(2.8e-2, abs=5e-4)
