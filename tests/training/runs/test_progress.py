"""How long a run will take, said once."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.table import Table

from training import TrainConfig
from training.common.console import print_table
from training.runs import progress
from training.runs.progress import TrainingBar
from training.runs.replica import Replica


def shown(
    seconds: list[float], monkeypatch: pytest.MonkeyPatch, n_epochs: int = 10_000, enabled: bool = True
) -> None:
    """Epochs of 100 steps of 50 agents that end at these times."""
    config = TrainConfig(n_steps=n_epochs * 100, epoch_length=100)
    bar = TrainingBar(config, enabled=enabled)
    clock = iter(seconds)
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    with bar:
        for epoch in range(1, len(seconds) + 1):
            replica: Any = SimpleNamespace(number=0, epoch=epoch, rows=[], game=SimpleNamespace(n_agents=50))
            bar(cast(Replica, replica), 1e6)


def test_a_long_run_says_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the first epoch to the sixth 2.5 s: 2 epochs and 10,000 agent-steps per second."""
    shown([10.0, 10.5, 11.0, 11.5, 12.0, 12.5, 13.0, 16.0], monkeypatch)
    said = "5e+07 agent-steps at 0.0 M/s: about 83 min from now; Ctrl-C keeps what is done"
    assert capsys.readouterr().out.count(said) == 1


@pytest.mark.parametrize(("n_epochs", "enabled"), [(100, True), (10_000, False)])
def test_a_short_or_quiet_one_does_not(
    n_epochs: int, enabled: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown([10.0, 10.5, 11.0, 11.5, 12.0, 12.5, 13.0, 16.0], monkeypatch, n_epochs, enabled)
    assert "min from now" not in capsys.readouterr().out


def test_a_path_stays_in_one_line_of_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = "results are in " + "/".join(["a-folder"] * 20)
    progress.console.print(path, markup=False)
    assert capsys.readouterr().out == f"{path}\n"


@pytest.mark.parametrize("columns", [40, 120, 300])
def test_a_table_is_printed_whole(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Narrow columns first: those are left out by a table that is squeezed."""
    monkeypatch.setenv("COLUMNS", str(columns))
    table = Table("no", *(f"a heading {number}" for number in range(12)), box=None)
    for column in table.columns:
        column.no_wrap = True
    table.add_row("1", *(f"{number}.123" for number in range(12)))
    print_table(table)
    head, row = capsys.readouterr().out.splitlines()
    assert re.split("  +", head.strip()) == ["no", *(f"a heading {number}" for number in range(12))]
    assert row.split() == ["1", *(f"{number}.123" for number in range(12))]
