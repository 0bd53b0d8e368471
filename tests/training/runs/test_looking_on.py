"""Looking on while a run trains: a progress bar from Python, and event files for TensorBoard."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from training import ResultsError, TrainConfig, train
from training.cli import main
from training.runs.folder import Run
from training.runs.replica import Replica

Tiny = Callable[..., TrainConfig]


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """What TensorBoard reads: steps and values, which it has as float32."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = folder.iterdir()
    events = EventAccumulator(str(file))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_a_progress_bar_from_python(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    heard = []
    train(tiny(), tmp_path / "quiet")
    assert capsys.readouterr().out == ""
    train(tiny(), tmp_path / "run", progress=True, observer=lambda replica, rate: heard.append(replica.epoch))
    out = capsys.readouterr().out
    assert "100 %" in out
    assert "efficiency -1." in out
    assert heard == list(range(1, 9))


def test_event_files_hold_what_is_recorded(tiny: Tiny, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = train(tiny(replicas=2, monitor="payoff", monitors=2), tmp_path / "run", tensorboard=True)
    for replica in range(2):
        folder = run.folder / "tensorboard" / f"replica-{replica}"
        rows = [row for row in run.metrics if row["replica"] == replica]
        for name in ("efficiency", "access_fairness", "policy_change_mean"):
            expected = [(row["step"], pytest.approx(row[name], rel=1e-6)) for row in rows]
            assert curve(folder, f"training/{name}") == expected
        assert [step for step, _ in curve(folder, "monitor/payoff_change_max")] == [200, 400]


def test_a_run_that_goes_on_has_every_point_once(tiny: Tiny, tmp_path: Path) -> None:
    """Killed in its seventh epoch, with no checkpoint yet: it begins anew, but has shown three points."""
    pytest.importorskip("tensorboard")

    def break_off(replica: Replica, rate: float) -> None:
        if replica.epoch == 7:
            raise ConnectionAbortedError

    config, events = tiny(), tmp_path / "run" / "tensorboard" / "replica-0"
    with pytest.raises(ConnectionAbortedError):
        train(config, tmp_path / "run", observer=break_off, tensorboard=True)
    assert [step for step, _ in curve(events, "training/efficiency")] == [100, 200, 300]
    train(config, tmp_path / "run", resume=True, tensorboard=True)
    assert [step for step, _ in curve(events, "training/efficiency")] == [100, 200, 300, 400]


def test_the_flag_may_be_given_when_a_run_goes_on(unfinished_folder: Path, tmp_path: Path) -> None:
    """What was recorded before is written as well."""
    pytest.importorskip("tensorboard")
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    assert (
        main(["train", "matching", "--resume", str(folder), "--tensorboard", "--no-figures", "--quiet"]) == 0
    )
    points = curve(folder / "tensorboard" / "replica-0", "training/karma_gini")
    assert points == [(row["step"], pytest.approx(row["karma_gini"])) for row in Run.open(folder).metrics]


def test_without_tensorboard_nothing_is_begun(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ResultsError, match=r"pip install 'karma-envs\[tensorboard\]'"):
        train(tiny(), tmp_path / "run", tensorboard=True)
    assert list(tmp_path.iterdir()) == []
