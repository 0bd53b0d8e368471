"""Runs that were killed or interrupted are resumed to the same bits."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karma_envs.files import read_npz, write_npz
from tests.training.runs.run_results import Tiny, assert_same_results, contents, status
from training import ResultsError, Run, train
from training.common.config import to_yaml
from training.runs.figures import figures
from training.runs.replica import Replica


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_killed_run_is_resumed_to_the_same_bits(tiny: Tiny, tmp_path: Path, finished_folder: Path) -> None:
    """SIGKILL in the fifth epoch of the second replica; the first one is wherever it is."""
    config = tiny(replicas=2, threads=2, checkpoint_seconds=0)
    code = """
        import os, signal, sys
        from training import TrainConfig, train
        from training.common.config import load_layer

        def kill(replica, rate):
            if (replica.number, replica.epoch) == (1, 5):
                os.kill(os.getpid(), signal.SIGKILL)

        train(TrainConfig.from_dict(load_layer(sys.argv[1])), sys.argv[2], observer=kill)
    """
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    folder = tmp_path / "run"
    done = python(code, str(tmp_path / "config.yaml"), str(folder))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert status(folder) == "running"
    assert not (folder / "metrics.csv").exists()
    assert not (folder / "policy-1.npz").exists()
    metadata = json.loads(read_npz(folder / "checkpoint-1.npz")["metadata"].tobytes())
    assert metadata["progress"]["epoch"] == 4

    seen: list[int] = []
    train(
        config,
        folder,
        resume=True,
        observer=lambda replica, _: seen.append(replica.epoch) if replica.number else None,
    )
    assert seen == [5, 6, 7, 8]
    assert status(folder) == "finished"
    assert_same_results(folder, finished_folder, replicas=2)


INTERRUPTED = """
    import os, signal, sys, time
    from training.cli import main
    from training.runs.train import Replica

    run_epoch = Replica.run_epoch

    def interrupting(self):
        run_epoch(self)
        if self.epoch == 3:
            os.kill(os.getpid(), signal.Signals[sys.argv[1]])
            time.sleep(1)  # the main thread handles the signal

    Replica.run_epoch = interrupting
    sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_finishes_the_epoch_and_says_how_to_go_on(name: str, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny()
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    folder = tmp_path / "run"
    done = python(
        INTERRUPTED, name, "train", "matching", "--quiet",
        "--config", str(tmp_path / "config.yaml"), "--folder", str(folder),
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert done.stderr == ""
    assert done.stdout == f"stopped; go on with: karma-envs train matching --resume {folder}\n"
    assert set(contents(folder)) == {
        "config.yaml", "run.json", "metrics.csv", "karma.csv", "checkpoint-0.npz", "digests.json", ".lock",
    }  # fmt: skip
    assert status(folder) == "interrupted"
    assert [row["step"] for row in Run.open(folder).metrics] == [100]
    with pytest.raises(ResultsError, match=r"has not finished, policy-0\.npz is missing"):
        _ = Run.open(folder).policies

    train(config, folder, resume=True)
    train(config, tmp_path / "whole")
    assert_same_results(folder, tmp_path / "whole")


@pytest.mark.parametrize(
    "learner",
    [
        {"algorithm": "sarsa", "update_probability": 0.5},
        {"algorithm": "expected_sarsa", "grouping": "pooled"},
        {
            "algorithm": "q_learning",
            "learning_rate_schedule": "inverse",
            "learning_rate_final": 0.001,
            "grouping": "per_type",
        },
    ],
    ids=lambda learner: learner["algorithm"],
)
def test_every_learner_resumes_to_the_same_bits(learner: dict[str, Any], tiny: Tiny, tmp_path: Path) -> None:
    """Broken off twice, the second time between two records."""
    config = tiny(learner=learner, checkpoint_seconds=0)
    train(config, tmp_path / "whole")

    def break_off_at(epoch: int) -> Callable[[Replica, float], None]:
        def observer(replica: Replica, rate: float) -> None:
            if replica.epoch == epoch:
                raise ConnectionAbortedError

        return observer

    folder = tmp_path / "broken"
    for epoch, resume in ((3, False), (6, True)):
        with pytest.raises(ConnectionAbortedError):
            train(config, folder, resume=resume, observer=break_off_at(epoch))
    train(config, folder, resume=True)
    assert_same_results(folder, tmp_path / "whole")


def test_a_run_without_a_checkpoint_is_resumed_from_the_start(
    tiny: Tiny, tmp_path: Path, unfinished_folder: Path
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    (folder / "checkpoint-0.npz").unlink()
    config = Run.open(folder).config
    train(config, folder, resume=True)
    train(config, tmp_path / "whole")
    assert_same_results(folder, tmp_path / "whole")


def test_resuming_a_finished_run_changes_no_result(tmp_path: Path, finished_folder: Path) -> None:
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    before = contents(folder)
    train(Run.open(folder).config, folder, resume=True)
    after = contents(folder)
    for results in (before, after):
        results.pop("run.json")  # when it was written
    assert after == before


def test_only_a_run_can_be_resumed_and_only_as_it_was(
    tiny: Tiny, tmp_path: Path, unfinished_folder: Path
) -> None:
    with pytest.raises(ResultsError, match=r"run holds no run: there is no config\.yaml"):
        train(tiny(), tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ResultsError, match="name the folder of the run to resume"):
        train(tiny(), resume=True)
    before = contents(unfinished_folder)
    with pytest.raises(ResultsError, match=f"{unfinished_folder} holds a run of another configuration"):
        train(Run.open(unfinished_folder).config.replace(seed=4), unfinished_folder, resume=True)
    assert contents(unfinished_folder) == before


def test_a_run_of_version_0_1_is_gone_on_with_and_drawn(tmp_path: Path, unfinished_folder: Path) -> None:
    """Its checkpoints had karma's distribution under a name of its own, and four of six metrics."""
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    arrays = read_npz(folder / "checkpoint-0.npz")
    metadata = json.loads(arrays["metadata"].tobytes())
    progress = metadata["progress"]
    progress["karma_rows"] = progress.pop("distribution_rows")["karma"]
    for row in progress["rows"]:
        del row["access_gini"], row["nash_welfare"]
    arrays["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    write_npz(folder / "checkpoint-0.npz", arrays)
    run = train(Run.open(folder).config, folder, resume=True)
    whole = train(run.config, tmp_path / "whole")
    assert (folder / "karma.csv").read_bytes() == (whole.folder / "karma.csv").read_bytes()
    assert [[*map(np.isnan, row.values())].count(True) for row in run.metrics] == [2, 2, 0, 0]
    for row, expected in zip(run.metrics, whole.metrics):
        for name in progress["rows"][0]:
            assert row[name] == expected[name]
    assert "efficiency" in figures(run)
