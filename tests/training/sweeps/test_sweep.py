"""Sweeps: each trial is the run it says, on every backend, however it is stopped."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.training.sweeps.trials import BASE, RATES, Tiny, assert_same_results, on_epoch
from training import Interrupted, ResultsError, Run, TrainConfig
from training.cli import main
from training.common.backends import StopFile
from training.common.config import load_layer, to_yaml
from training.runs.replica import Replica
from training.sweeps.folder import Sweep
from training.sweeps.sweep import Progress, sweep


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep over three step sizes that was never interrupted; not to be changed."""

    return sweep(BASE, {"learning_rate": RATES}, tmp_path_factory.mktemp("sweeps") / "whole")


def test_the_folder_says_what_was_done(whole: Sweep) -> None:
    values = load_layer(whole.folder / "sweep.yaml")
    assert values["over"] == {"learning_rate": RATES}
    assert TrainConfig.from_dict(values["base"]) == whole.trials[0].config
    assert values["versions"]["numpy"] == np.__version__
    assert Sweep.open(whole.folder) == whole
    assert {path.name for path in whole.folder.iterdir()} == {
        "sweep.yaml", "trials.csv", "trial-000", "trial-001", "trial-002", "digests.json", ".lock",
    }  # fmt: skip
    efficiencies = [row["efficiency"] for row in whole.best_first]
    assert efficiencies == sorted(efficiencies, reverse=True)
    assert len(set(efficiencies)) == 3


# --- interrupted and resumed ------------------------------------------------------------------------


def test_a_stopped_sweep_goes_on_to_the_same_bits(
    tiny: Tiny, tmp_path: Path, whole: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the fifth epoch of the second of three trials, by the file that stops all machines."""
    folder, over, seen = tmp_path / "sweep", {"learning_rate": RATES}, []

    def stop(replica: Replica) -> None:
        seen.append((replica.config.learner.learning_rate, replica.epoch))
        if seen[-1] == (0.05, 5) and len(seen) == 13:
            (folder / "stop").touch()

    on_epoch(monkeypatch, stop)
    with pytest.raises(Interrupted) as caught:
        sweep(tiny(), over, folder, jobs=1)
    assert str(caught.value) == (
        f"stopped, 1 of 3 trials are finished; go on with: karma-envs sweep --resume {folder}"
    )
    assert [row["status"] for row in Sweep.open(folder).rows] == ["finished", "missing", "missing"]
    assert not (folder / "stop").exists()
    before = (folder / "trial-000" / "run.json").read_bytes()
    seen.clear()
    sweep(tiny(), over, folder, jobs=1)
    assert seen == [(0.05, 6), (0.05, 7), (0.05, 8), *((0.1, epoch) for epoch in range(1, 9))]
    assert (folder / "trial-000" / "run.json").read_bytes() == before
    assert_same_results(folder, whole.folder)
    seen.clear()
    assert sweep(tiny(), over, folder) == Sweep.open(folder)
    assert seen == []


def test_an_observers_error_stops_the_trials_that_run(
    tiny: Tiny, tmp_path: Path, whole: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second trial waits in its first epoch until the first one's end has led to the error."""
    folder, over, raised = tmp_path / "sweep", {"learning_rate": RATES}, threading.Event()
    tell = StopFile.set

    def tell_and_note(self: StopFile) -> None:
        tell(self)
        raised.set()

    def hold(replica: Replica) -> None:
        if replica.config.learner.learning_rate == 0.05:
            assert raised.wait(60)

    monkeypatch.setattr(StopFile, "set", tell_and_note)
    on_epoch(monkeypatch, hold)

    def fail(progress: Progress) -> None:
        if progress.last is not None:
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        sweep(tiny(), over, folder, jobs=2, observer=fail)
    monkeypatch.undo()
    assert not (folder / "trial-001" / "policy-0.npz").exists()
    assert (folder / "trial-001" / "checkpoint-0.npz").exists()
    sweep(tiny(), over, folder)
    assert_same_results(folder, whole.folder)


INTERRUPTED = """
    import os, signal, sys, time
    from training.cli import main
    from training.runs.train import Replica

    run_epoch = Replica.run_epoch

    def interrupting(self):
        run_epoch(self)
        if self.config.learner.learning_rate == 0.05 and self.epoch == 3:
            os.kill(os.getpid(), signal.SIGINT)
            while not os.path.exists(sys.argv[1]):  # the main thread handles the signal
                time.sleep(0.01)
            time.sleep(0.3)  # and the trial looks

    Replica.run_epoch = interrupting
    sys.exit(main(sys.argv[2:]))
"""


def test_ctrl_c_finishes_the_epoch_and_says_how_to_go_on(
    tiny: Tiny, tmp_path: Path, whole: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(to_yaml(tiny()))
    folder = tmp_path / "sweep"
    arguments = [
        "sweep", str(tmp_path / "config.yaml"), "--over", "learning_rate=.01,.05,.1", "--folder", str(folder),
        "--jobs", "1", "--quiet", "--no-figures",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(INTERRUPTED), str(folder / "stop"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == ""
    assert done.stdout == (
        f"stopped, 1 of 3 trials are finished; go on with: karma-envs sweep --resume {folder}\n"
    )
    assert not (folder / "stop").exists()
    assert len(Run.open(folder / "trial-001").metrics) == 1  # of four; a record every two epochs
    assert not (folder / "trial-002").exists()

    assert main(["sweep", "--resume", str(folder), "--no-figures"]) == 0
    out = capsys.readouterr().out
    assert "3/3" in out
    assert out.endswith(f"all trials are in {folder / 'trials.csv'}\n")
    assert_same_results(folder, whole.folder)


def test_a_trial_whose_policy_is_gone_is_run_again(tiny: Tiny, tmp_path: Path) -> None:
    over, folder = {"learning_rate": RATES[:2]}, tmp_path / "sweep"
    sweep(tiny(), over, folder)
    policy = (folder / "trial-001" / "policy-0.npz").read_bytes()
    (folder / "trial-001" / "policy-0.npz").unlink()
    assert [row["status"] for row in Sweep.open(folder).rows] == ["finished", "missing"]
    sweep(tiny(), over, folder)
    assert (folder / "trial-001" / "policy-0.npz").read_bytes() == policy


def test_a_failing_trial_does_not_lose_the_others(
    tiny: Tiny, tmp_path: Path, whole: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is in the table; once the cause is gone, it alone is tried again."""

    def fail(replica: Replica) -> None:
        if replica.config.learner.learning_rate == 0.05 and replica.epoch == 6:
            raise FloatingPointError("not a number,\n  it seems")

    folder, over = tmp_path / "sweep", {"learning_rate": RATES}
    with monkeypatch.context() as patch:
        on_epoch(patch, fail)
        found = sweep(tiny(checkpoint_seconds=0), over, folder, jobs=2)
    assert [row["status"] for row in found.rows] == ["finished", "failed", "finished"]
    (failed,) = found.failed
    assert failed["error"] == "FloatingPointError: not a number, it seems"
    assert failed["efficiency"] is None
    assert Sweep.open(folder) == found
    seen: list[int] = []
    on_epoch(monkeypatch, lambda replica: seen.append(replica.epoch))
    assert sweep(tiny(checkpoint_seconds=0), over, folder).failed == ()
    assert seen == [6, 7, 8]
    for row, expected in zip(Sweep.open(folder).rows, whole.rows):
        assert {**row, "seconds": None} == {**expected, "seconds": None}


def test_another_sweep_is_refused(tiny: Tiny, tmp_path: Path, whole: Sweep, finished_folder: Path) -> None:
    before = (whole.folder / "sweep.yaml").read_bytes()
    for base, over in (
        (tiny(), {"learning_rate": RATES[:2]}),
        (tiny(seed=4), {"learning_rate": RATES}),
        (tiny(), {"learning_rate": RATES, "seed": [3]}),
    ):
        with pytest.raises(ResultsError, match="holds another sweep; choose another folder"):
            sweep(base, over, whole.folder)
    assert (whole.folder / "sweep.yaml").read_bytes() == before
    with pytest.raises(ResultsError, match="holds a run; choose another folder"):
        sweep(tiny(), {"learning_rate": RATES}, finished_folder)
    with pytest.raises(ResultsError, match=r"holds no sweep: there is no sweep\.yaml in it"):
        Sweep.open(finished_folder)
    (tmp_path / "sweep.yaml").write_text("base: 3")
    with pytest.raises(ResultsError, match=r"sweep\.yaml: TrainConfig = 3 is not allowed"):
        Sweep.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write results to"):
        sweep(tiny(), {"learning_rate": RATES}, tmp_path / "file" / "sweep")


# --- backends ---------------------------------------------------------------------------------------


def test_processes_give_the_same_bits(tiny: Tiny, tmp_path: Path, whole: Sweep) -> None:
    pytest.importorskip("joblib")
    sweep(tiny(), {"learning_rate": RATES}, tmp_path / "sweep", backend="joblib", jobs=2)
    assert_same_results(tmp_path / "sweep", whole.folder)


def test_ray_gives_the_same_bits(tiny: Tiny, tmp_path: Path, whole: Sweep) -> None:
    pytest.importorskip("ray")
    sweep(tiny(), {"learning_rate": RATES}, tmp_path / "sweep", backend="ray", jobs=2)
    assert_same_results(tmp_path / "sweep", whole.folder)
