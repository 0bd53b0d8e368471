"""Checkpoints and policies that are whole files, but of values or shapes that this run does not have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from karma_envs.config import ConfigError
from karma_envs.files import read_npz, write_npz
from training import ResultsError, Run, TrainConfig, train
from training.cli import main
from training.runs.evaluate import evaluate


def with_progress(path: Path, **changes: Any) -> None:
    arrays = read_npz(path)
    metadata = json.loads(arrays["metadata"].tobytes())
    metadata["progress"] |= changes
    arrays["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    write_npz(path, arrays)


def with_value(path: Path, name: str, value: float) -> None:
    arrays = read_npz(path)
    arrays[name][...] = value
    write_npz(path, arrays)


CRAFTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "epoch of a billion": (lambda path: with_progress(path, epoch=10**9), "epoch = 1000000000 .* to 8"),
    "epoch below 0": (lambda path: with_progress(path, epoch=-1), "epoch = -1"),
    "another epoch": (lambda path: with_progress(path, epoch=4), "epoch = 4, but .* played 250 steps"),
    "epoch no number": (lambda path: with_progress(path, epoch="5"), "epoch = '5'"),
    "changes": (lambda path: with_progress(path, changes=[np.nan, 0, 0]), r"changes\[0\] = nan"),
    "epochs of the changes": (lambda path: with_progress(path, changes=[0, 0, -1]), r"changes\[2\] = -1"),
    "rows that are none": (
        lambda path: with_progress(path, rows=[1, 2]),
        "rows are not the rows of one table",
    ),
    "rows of two tables": (
        lambda path: with_progress(path, distribution_rows={"karma": [{"karma": 1}, {"step": 2}]}),
        "karma are not the rows of one table",
    ),
    "a distribution that is none of the game's": (
        lambda path: with_progress(path, distribution_rows={"../karma": []}),
        "distribution_rows of ../karma, which the game does not have",
    ),
    "steps of the window": (
        lambda path: with_value(path, "window/steps", 251),
        r"window state steps\[\] = 251; allowed: 0 … 250",
    ),
    "rewards of the window": (
        lambda path: with_value(path, "window/rewards", np.nan),
        r"window state rewards\[0\] = nan",
    ),
    "surplus": (lambda path: with_value(path, "game/surplus", -10), r"game state surplus\[0\] = -10"),
    "steps": (lambda path: with_value(path, "game/steps", -1), r"game state steps\[0\] = -1"),
    "Q": (lambda path: with_value(path, "learner/q", np.nan), r"learner state q\[0, 0, 0\] = nan"),
    "stale": (lambda path: with_value(path, "learner/stale", 255), r"learner state stale\[0, 0\] = 255"),
    "pending": (
        lambda path: with_value(path, "learner/pending_observation", 10**6),
        r"learner state pending_observation\[0\] = 1000000; allowed: -1 … 41",
    ),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_checkpoint_is_refused_by_name(case: str, tmp_path: Path, unfinished_folder: Path) -> None:
    craft, says = CRAFTED[case]
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    craft(folder / "checkpoint-0.npz")
    with pytest.raises(ResultsError, match=rf"checkpoint-0\.npz is not a usable checkpoint: .*{says}"):
        train(Run.open(folder).config, folder, resume=True)


POLICIES: dict[str, tuple[Callable[[TabularPolicy], TabularPolicy], str]] = {
    "fewer agents": (
        lambda policy: policy.for_agents(policy.row_of_agent[:-1]),
        "is the policy of another run: .* rows for 19 agents; the game has 20",
    ),
    "fewer observations": (
        lambda policy: TabularPolicy(policy.probabilities[:, :-1], policy.row_of_agent),
        "is the policy of another run: .* has 42 observations and 21",
    ),
    "fewer actions": (
        lambda policy: TabularPolicy(np.ones((1, 42, 1)), np.zeros(20, int)),
        "is the policy of another run: it has 1 actions; the game has 21",
    ),
    "illegal actions": (
        lambda policy: TabularPolicy(np.eye(21)[[20] * 42][None], np.zeros(20, int)),
        "is the policy of another run: policy row 0 takes action 20 in observation 0, where it is illegal",
    ),
    "thresholds that fall": (
        lambda policy: TabularPolicy.from_thresholds(policy.thresholds[:, :, ::-1].copy(), 21),
        "is not a policy of karma-envs: policy row 0: thresholds must rise",
    ),
}


@pytest.mark.parametrize("case", POLICIES)
def test_a_policy_of_another_run_is_refused_in_one_line(
    case: str, tmp_path: Path, finished_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, says = POLICIES[case]
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    path = folder / "policy-0.npz"
    change(TabularPolicy.load(path)).save(path)
    with pytest.raises(ResultsError, match=says):
        _ = Run.open(folder).policies
    for command in ("evaluate", "plot", "animate"):
        assert main([command, str(folder)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert str(path) in line


@pytest.mark.parametrize("field", ["learner", "game_config"])
@pytest.mark.parametrize("value", [None, 3, "sarsa", [1]])
def test_a_section_that_is_none_is_named(field: str, value: Any) -> None:
    allowed = r"a mapping of field names to values, or a \w+Config"
    with pytest.raises(ConfigError, match=rf"^{field} = .* is not allowed; allowed: {allowed}"):
        TrainConfig.from_dict({field: value})


def test_a_discount_of_one_in_single_precision_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    config = TrainConfig.from_dict({"game_config": {"discount": 1 - 1e-9}, "n_steps": 1000})
    with pytest.raises(ConfigError, match="matching cannot be learned: rewards up to 5"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_urgencies_beyond_single_precision_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They fell below the mark of illegal actions, which were then played: a segmentation fault."""
    folder = tmp_path / "run"
    flags = ["--n-agents", "10", "--urgencies", "1,1e30", "--n-steps", "2000", "--folder", str(folder)]
    assert main(["train", "matching", *flags]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "urgencies[1] = 1e+30 is not allowed; allowed: a number in [0, 2e+25]" in line
    assert not folder.exists()


def test_a_population_of_one_is_evaluated(tmp_path: Path) -> None:
    """It has no inequality, and tells no error of it."""
    config = TrainConfig.from_dict(
        {
            "game": "grid_city",
            "game_config": {"n_agents": 1, "rows": 1, "columns": 2},
            "n_steps": 100,
            "epoch_length": 50,
        }
    )
    for row in evaluate(train(config, tmp_path / "run"), n_steps=100, burn_in=0):
        assert row.summary["efficiency"].value == 0  # nobody else is on the road
        assert row.summary["karma_gini"].value == 0
        assert np.isnan(row.summary["karma_gini"].standard_error)
