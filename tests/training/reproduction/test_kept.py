"""Runs that experiments share: trained once, gone on with, never mixed up."""

from __future__ import annotations

import filecmp
from collections.abc import Callable
from pathlib import Path

import pytest

from training import TrainConfig, train
from training.common.errors import ResultsError
from training.reproduction import shared_runs as kept
from training.reproduction.shared_runs import kept_run
from training.runs.replica import Replica

Tiny = Callable[..., TrainConfig]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_kept_run_is_trained_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    run = kept_run(tiny(), "one")
    assert run.folder == Path("runs/reproductions/one")
    monkeypatch.setattr(kept, "train", lambda *args, **kwargs: pytest.fail("trained again"))
    assert kept_run(tiny(), "one") == run


def test_one_that_was_interrupted_is_finished(tiny: Tiny, tmp_path: Path) -> None:
    def break_off(replica: Replica, rate: float) -> None:
        if replica.epoch == 6:
            raise ConnectionAbortedError

    folder = Path("runs/reproductions/broken")
    with pytest.raises(ConnectionAbortedError):
        train(tiny(checkpoint_seconds=0), folder, observer=break_off)
    run = kept_run(tiny(checkpoint_seconds=0), "broken")
    whole = train(tiny(checkpoint_seconds=0), tmp_path / "whole")
    assert filecmp.cmp(run.policy_path(0), whole.policy_path(0), shallow=False)


def test_another_configuration_is_refused(tiny: Tiny) -> None:
    kept_run(tiny(), "one")
    with pytest.raises(ResultsError, match="runs/reproductions/one holds a run of another configuration"):
        kept_run(tiny(seed=4), "one")
