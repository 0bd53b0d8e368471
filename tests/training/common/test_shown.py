"""What results say of themselves at a prompt, in a notebook and as data frames."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training import Run, TrainConfig
from training.common.tables import read_table
from training.evaluation.play import Evaluations
from training.runs.evaluate import evaluate, tables
from training.runs.evaluate_command import keep_evaluation
from training.sweeps.sweep import sweep


def test_runs(finished_folder: Path, unfinished_folder: Path) -> None:
    run = Run.open(finished_folder)
    sizes = "game matching, agents 20, steps 400, replicas 2, seed 3, finished yes"
    assert repr(run) == f"Run(folder {finished_folder}, {sizes})"
    assert "finished no" in repr(Run.open(unfinished_folder))
    assert "<th>finished</th>" in run._repr_html_()
    pytest.importorskip("pandas")
    frame = run.to_frame()
    assert frame.to_dict("records") == run.metrics
    assert frame["efficiency"].dtype == np.float64


def test_evaluations(finished_folder: Path) -> None:
    found = evaluate(Run.open(finished_folder), n_steps=100, burn_in=0)
    assert isinstance(found, Evaluations)
    assert repr(found).startswith("Evaluations(9: learned; learned, exploring 0.05; DICT; COIN; TURN; random")
    summary = found[0].summary
    assert repr(found[0]) == (
        f"Evaluation(learned: efficiency {summary['efficiency'].concise()}, access fairness "
        f"{summary['access_fairness'].concise()}, reward fairness {summary['reward_fairness'].concise()}; "
        "100 steps, 2 seed(s))"
    )
    table = found._repr_html_()
    assert table.count("<tr>") == 1 + len(found)
    assert "100 steps, 2 seed(s)" in table
    assert summary["efficiency"].concise() in found[0]._repr_html_()
    pytest.importorskip("pandas")
    frame = found.to_frame().set_index("name")
    assert frame.loc["learned", "efficiency"] == summary["efficiency"].value
    assert len(frame.columns) == 2 + 2 * len(found[0].metrics)
    assert found.to_frame(by_type=True).empty  # there is one type


def test_sweeps(tiny: Callable[..., TrainConfig], tmp_path: Path) -> None:
    found = sweep(tiny(), {"payment": ["pbp", "pbs"]}, tmp_path / "sweep")
    assert repr(found) == f"Sweep({tmp_path / 'sweep'}: 2 payment; 2 of 2 trials finished)"
    assert found._repr_html_().count("<tr>") == 3
    assert [row["train_window"] for row in found.rows] == [100, 100]
    pytest.importorskip("pandas")
    frame = found.to_frame()
    assert list(frame["payment"]) == ["pbp", "pbs"]
    assert list(frame["efficiency"]) == [row["efficiency"] for row in found.rows]


def test_policies_are_kept_as_tables(finished_folder: Path, tmp_path: Path) -> None:
    """A mean over 20 agents by default; every agent's on demand."""
    run = Run.open(shutil.copytree(finished_folder, tmp_path / "run"))
    keep_evaluation(run, evaluate(run, n_steps=100), tables(run, n_steps=100))
    rows = read_table(run.folder / "policy-1.csv")
    assert {row["observation"] for row in rows} == set(range(42))
    probabilities = run.policies[1].probabilities[run.policies[1].row_of_agent]
    for row in rows:
        assert row["probability"] == pytest.approx(probabilities[:, row["observation"], row["bid"]].mean())
        assert row["urgency"] == (1, 5)[row["observation"] // 21]
        assert row["karma"] == row["observation"] % 21
    by_agent = tables(run, n_steps=100, by_agent=True)["policy-1"]
    assert {row["agent"] for row in by_agent} == set(range(20))
    assert sum(row["probability"] for row in by_agent) == pytest.approx(20 * 42)
