"""Damage is one clear line: no wrong digit is drawn, no metadata stops a run, no crafted state is played."""

from __future__ import annotations

import argparse
import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karma_envs.files import read_npz, write_npz
from training import ResultsError, Run, TrainConfig, train
from training.cli import main
from training.common import tables as tables_module
from training.common.tables import (
    DIGESTS,
    number_table,
    read_json,
    read_recorded,
    read_table,
    write_recorded,
    write_table,
)
from training.runs import command as command
from training.runs.figures import distribution
from training.runs.folder import read_metadata
from training.runs.replica import Replica
from training.solving.solution import SolveConfig, solve_to_folder
from training.sweeps.folder import Sweep
from training.sweeps.sweep import sweep

Tiny = Callable[..., TrainConfig]


# --- tables -----------------------------------------------------------------------------------------

CELLS = [
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\tx", "'=1+1", "''@x", "'quoted'", "plain", "a,b", 'say "x"', ""),
    *("two\nlines", "–", "- a list"),
]


def test_cells_that_a_spreadsheet_would_compute_are_quoted(tmp_path: Path) -> None:
    """And come back as they were; numbers stay numbers, negative ones too."""
    path = tmp_path / "a.csv"
    rows = [{"text": cell, "number": -1.5, "whole": -7, "least": -math.inf} for cell in CELLS]
    write_table(path, rows)
    assert read_table(path) == rows
    with path.open(newline="") as file:
        raw = list(csv.DictReader(file))
    assert [row["text"] for row in raw[:7]] == [
        "'=1+1", "'+1+1", "'-1+1", "'@SUM(A1)", "'\tx", "''=1+1", "'''@x",
    ]  # fmt: skip
    assert [row["text"] for row in raw[7:12]] == CELLS[7:12]
    assert {(row["number"], row["whole"], row["least"]) for row in raw} == {("-1.5", "-7", "-inf")}
    write_table(path, [{"text": "-1e5"}])  # a text that is a number
    assert read_table(path) == [{"text": -1e5}]


def test_rows_that_lack_a_column_have_no_number_there(tmp_path: Path) -> None:
    """As those of a checkpoint that an earlier version wrote."""
    write_table(tmp_path / "a.csv", [{"step": 1}, {"step": 2, "new": 5}])
    first, second = number_table(tmp_path / "a.csv", ["step"])
    assert math.isnan(first["new"])
    assert second == {"step": 2, "new": 5}


def test_another_digit_is_refused_and_so_is_what_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_table(path, [{"a": 1, "b": 0.25}, {"a": 2, "b": 0.5}])
    content = path.read_bytes()
    for damaged in (
        content.replace(b"0.25", b"0.26"),
        content[:-4],
        content[:9],
        b"",
        b"\xff\xfe",
        content * 2,
    ):
        path.write_bytes(damaged)
        with pytest.raises(
            ResultsError, match=rf"{path} (is damaged or was edited|cannot be read): "
        ) as caught:
            read_table(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(content.replace(b"\r\n", b"\n"))  # as git or an editor may have it
    assert len(read_table(path)) == 2
    for damage in ("", "{", "[1]", '{"a.csv": 3}', "\0"):  # which only tells damage
        (tmp_path / DIGESTS).write_text(damage)
        assert len(read_table(path)) == 2
    (tmp_path / DIGESTS).unlink()
    for damaged in (
        b"a,b\n1\n",
        b"a,b\n1,2,3\n",
        b'a,b\n"1,2\n',
        b"a,b\n\0,2\n",
        b"\xff",
        b"a,b\n1,x\n",
        b"a\n1\n",
    ):
        path.write_bytes(damaged)
        with pytest.raises(ResultsError, match=rf"^{path} "):
            number_table(path, ["a", "b"])


def test_a_kill_between_a_table_and_its_digest_leaves_a_table_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third version is killed before or after it is written; nobody else's text passes."""
    path = tmp_path / "a.txt"
    for killed_before in (1, 2):
        for text in ("first", "second"):
            write_recorded(path, text)
        left = iter(range(killed_before))

        def write(where: Path, text: str, left: Any = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            where.write_text(text)

        with monkeypatch.context() as patch:
            patch.setattr(tables_module, "write_text", write)
            if killed_before == 1:
                with pytest.raises(KeyboardInterrupt):
                    write_recorded(path, "third")
            else:
                write_recorded(path, "third")
        assert read_recorded(path) == ("second" if killed_before == 1 else "third")
        path.write_text("first")
        with pytest.raises(ResultsError):
            read_recorded(path)


def test_json_files(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for damaged in ("{", "[]", "3", "\0", "[" * 100_000):
        path.write_text(damaged)
        with pytest.raises(ResultsError, match=f"{path} is damaged: it "):
            read_json(path)


def test_damaged_arrays_of_a_solution_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = SolveConfig("matching", {"karma_max": 4, "karma_mean": 2})
    folder = solve_to_folder(config, tmp_path / "solution")[0].folder
    for content in (b"PK", b""):
        (folder / "mean_field.npz").write_bytes(content)
        assert main(["plot", str(folder)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{folder / 'mean_field.npz'} is damaged or not an npz file" in line
    np.savez(folder / "mean_field.npz", other=np.zeros(1))
    assert main(["plot", str(folder)]) == 1
    assert "mean_field.npz holds no mean field" in capsys.readouterr().err


# --- runs -------------------------------------------------------------------------------------------

DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00" * 100),
    "another digit": lambda path: path.write_text(path.read_text().replace("1", "2", 1)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_a_finished_run_is_one_line(
    damage: str, tmp_path: Path, finished_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is drawn."""
    for name in ("metrics.csv", "config.yaml"):
        folder = shutil.copytree(finished_folder, tmp_path / name.partition(".")[0])
        DAMAGE[damage](folder / name)
        assert main(["plot", str(folder)]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert name in error
        assert not (folder / "figures").exists()
    folder = shutil.copytree(finished_folder, tmp_path / "karma")
    DAMAGE[damage](folder / "karma.csv")
    with pytest.raises(ResultsError, match=r"karma\.csv"):
        distribution(Run.open(folder), "karma")


@pytest.mark.parametrize("damage", DAMAGE)
def test_resuming_does_not_die_of_metadata(damage: str, tmp_path: Path, finished_folder: Path) -> None:
    """Tables and run.json are written anew."""
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    names: tuple[str, ...] = ("metrics.csv", "karma.csv", "digests.json", "run.json")
    if damage == "a folder":
        names = ()
    elif damage == "another digit":  # one in a digest is one in the file, as far as can be told
        names = ("metrics.csv", "karma.csv", "run.json")
    for name in names:
        DAMAGE[damage](folder / name)
    train(TrainConfig.from_dict(Run.open(finished_folder).config.to_dict()), folder, resume=True)
    for name in ("metrics.csv", "karma.csv", "digests.json"):
        assert (folder / name).read_bytes() == (finished_folder / name).read_bytes()
    assert read_metadata(folder)["status"] == "finished"


def test_a_damaged_table_of_a_sweep_is_made_anew_on_resuming(tiny: Tiny, tmp_path: Path) -> None:
    over = {"seed": [1, 2]}
    whole = sweep(tiny(), over, tmp_path)
    path = tmp_path / "trials.csv"
    path.write_text(path.read_text().replace("0", "1", 3))
    with pytest.raises(ResultsError, match=r"trials\.csv is damaged or was edited"):
        Sweep.open(tmp_path)
    again = sweep(tiny(), over, tmp_path)
    assert [{**row, "seconds": 0} for row in again.rows] == [{**row, "seconds": 0} for row in whole.rows]
    (tmp_path / DIGESTS).unlink()
    path.write_text(path.read_text().replace("finished,", "finished,x", 1))
    with pytest.raises(ResultsError, match="train_window of trial 0 is no number"):
        Sweep.open(tmp_path)


def test_what_a_killed_run_left_of_a_file_is_removed_on_resuming(
    tmp_path: Path, unfinished_folder: Path
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    left = folder / ".checkpoint-0.npz.0123456789abcdef.tmp"
    left.write_bytes(b"half a checkpoint")
    train(Run.open(folder).config, folder, resume=True)
    assert not left.exists()


# --- crafted checkpoints ----------------------------------------------------------------------------


def crafted(path: Path, progress: dict[str, Any]) -> None:
    """A valid file with other contents."""
    kept = read_npz(path)
    metadata = json.loads(kept["metadata"].tobytes())
    metadata["progress"] |= progress
    kept["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    write_npz(path, kept)


CRAFTED: dict[str, dict[str, Any]] = {
    "true": {"epoch": True},
    "half an epoch": {"epoch": 4.5},
    "rows of another replica": {"rows": [{"replica": 7, "step": 100}]},
    "rows of the future": {"rows": [{"replica": 0, "step": 300}]},
    "rows of no step": {"rows": [{"replica": 0}]},
    "rows of text": {"rows": [{"replica": 0, "step": 100, "efficiency": "x"}]},
    "too few changes": {"changes": [0, 1]},
}
"""Besides those of ``test_loaded_values``."""


@pytest.mark.parametrize("what", CRAFTED)
def test_a_crafted_checkpoint_is_refused(what: str, tmp_path: Path, unfinished_folder: Path) -> None:
    path = tmp_path / "checkpoint-0.npz"
    config = Run.open(unfinished_folder).config
    shutil.copy(unfinished_folder / path.name, path)
    crafted(path, {})
    Replica(config, 0).load(path)
    crafted(path, CRAFTED[what])
    with pytest.raises(ResultsError, match=r"checkpoint-0\.npz is not a usable checkpoint: "):
        Replica(config, 0).load(path)


# --- other versions, and more steps -----------------------------------------------------------------


def test_a_checkpoint_with_a_field_fewer_is_read(tmp_path: Path, unfinished_folder: Path) -> None:
    """As one of a version before the field was added, whose default it has; another value is another run."""
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    path = folder / "checkpoint-0.npz"
    config = Run.open(folder).config
    arrays = read_npz(path)
    metadata = json.loads(arrays["metadata"].tobytes())
    for values in (metadata["config"], metadata["config"]["learner"], metadata["config"]["game_config"]):
        for name in ("threads", "update_probability", "redistribution"):
            values.pop(name, None)
    crafted_as = {"as now": metadata["config"], "as YAML, once": to_yaml_of(metadata["config"])}
    for name, recorded in crafted_as.items():
        arrays["metadata"] = np.frombuffer(json.dumps({**metadata, "config": recorded}).encode(), np.uint8)
        write_npz(path, arrays)
        train(config, shutil.copytree(folder, tmp_path / name), resume=True)
    del metadata["config"]["seed"]  # 3, which is not the default
    arrays["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    write_npz(path, arrays)
    with pytest.raises(ResultsError, match="is the checkpoint of another run"):
        train(config, folder, resume=True)


def to_yaml_of(plain: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(plain, sort_keys=False))


def test_a_run_goes_on_for_more_steps(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its policies are those of a run that had as many from the beginning."""
    config = tiny(learner={"update_probability": 0.5})
    folder = train(config, tmp_path / "run").folder
    longer = train(config.replace(n_steps=600), tmp_path / "longer")
    command = ["train", "matching", "--quiet", "--no-figures", "--resume", str(folder)]
    assert main([*command, "--n-steps", "600"]) == 0
    run = Run.open(folder)
    assert run.config == longer.config
    np.testing.assert_array_equal(run.policy.thresholds, longer.policy.thresholds)
    assert [row["step"] for row in run.metrics] == [100, 200, 300, 400, 450, 600]
    capsys.readouterr()
    assert main([*command, "--n-steps", "500"]) == 1
    assert (
        "n_steps = 500 is not allowed; allowed: 600, as many as the run has, or more"
        in capsys.readouterr().err
    )
    assert main([*command, "--n-steps", "610"]) == 1
    assert "n_steps = 610 is not allowed; allowed: a multiple of epoch_length" in capsys.readouterr().err
    assert main([*command, "--seed", "4"]) == 1
    assert "leave out --seed" in capsys.readouterr().err
    with pytest.raises(ResultsError, match="holds a run of another configuration"):
        train(config, folder, resume=True)  # with fewer
    assert Run.open(folder).config == longer.config


def test_a_run_that_goes_on_is_not_finished_until_it_is(tiny: Tiny, tmp_path: Path) -> None:
    """What it had learned with fewer steps is not taken for the end; broken off, it goes on as it was."""
    folder = train(tiny(replicas=2, threads=1), tmp_path / "run").folder
    longer = tiny(replicas=2, threads=1, n_steps=600)

    def break_off(replica: Any, rate: float) -> None:
        if (replica.number, replica.epoch) == (0, 10):
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        train(longer, folder, resume=True, observer=break_off)
    with pytest.raises(ResultsError, match=r"has not finished, policy-0\.npz is missing"):
        _ = Run.open(folder).policies
    run = train(Run.open(folder).config, folder, resume=True)
    whole = train(longer, tmp_path / "whole")
    for one, other in zip(run.policies, whole.policies):
        np.testing.assert_array_equal(one.thresholds, other.thresholds)


def test_a_learning_rate_with_a_schedule_cannot_have_more_steps(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(learner={"learning_rate_schedule": "linear", "learning_rate_final": 0.001})
    folder = train(config, tmp_path / "run").folder
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=r"n_steps = 600 is not allowed; allowed: 400, as before: .* linear"):
        train(config.replace(n_steps=600), folder, resume=True)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


# --- nobody reads what is printed -------------------------------------------------------------------


def test_all_is_kept_before_anything_is_printed(
    tmp_path: Path, finished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``karma-envs train … | true``, here of a finished run that is gone on with: nobody reads."""
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    drawn = []

    def closed(*_: Any, **__: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(command, "drawn", lambda folder, *_, **__: drawn.append(folder) or [])
    monkeypatch.setattr(command.console, "print", closed)
    with pytest.raises(BrokenPipeError):
        command._run(argparse.Namespace(game="matching", resume=str(folder), trust=False, quiet=True))
    assert len(read_table(folder / "evaluation.csv")) > 3
    assert len(read_table(folder / "agents.csv")) == 20
    assert drawn == [folder]
