"""The command of sweeps, its figures, and its errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from karma_envs.karma.outcome import ACCESS_FAIRNESS
from karma_envs.outcome import EFFICIENCY
from tests.training.sweeps.trials import Tiny, on_epoch
from training.cli import main
from training.runs.replica import Replica
from training.sweeps.command import report
from training.sweeps.config import SweepConfig
from training.sweeps.figures import NothingToDrawError, axes_of, lines, plot_sweep
from training.sweeps.folder import Sweep

TINY = [
    "--n-agents", "20", "--n-steps", "400", "--epoch-length", "50", "--records", "4", "--initial-q", "-50",
]  # fmt: skip


def test_the_command_leaves_a_table_and_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    over = ["--over", "karma-mean=5,7", "--over", "payment=pbp,pbs"]
    assert main(["sweep", "matching", *TINY, *over, "--folder", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "4/4" in out
    header = next(line for line in out.splitlines() if line.startswith(" trial "))
    assert header.split() == [
        "trial", "karma_mean", "payment", "efficiency", "access", "fairness", "reward", "fairness",
    ]  # fmt: skip
    rows = re.findall(r"^ +(\d) +([57]) +(pb[ps]) +(-\d\.\d{4})\(\d+\)", out, re.MULTILINE)
    assert {row[:3] for row in rows} == {
        ("0", "5", "pbp"),
        ("1", "5", "pbs"),
        ("2", "7", "pbp"),
        ("3", "7", "pbs"),
    }
    assert [float(row[3]) for row in rows] == sorted((float(row[3]) for row in rows), reverse=True)
    for metric in ("efficiency", "access_fairness", "reward_fairness"):
        assert f"{folder / 'figures' / metric}.png\n" in out
        assert (folder / "figures" / f"{metric}.png").stat().st_size > 5000


def test_the_command_names_the_trials_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(replica: Replica) -> None:
        if replica.config.seed == 2:
            raise FloatingPointError("no good")

    on_epoch(monkeypatch, fail)
    folder = tmp_path / "sweep"
    assert main(["sweep", "matching", *TINY, "--over", "seed=1,2", "--folder", str(folder), "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert "trial 1 failed: FloatingPointError: no good\n" in out
    assert err == (
        f"karma-envs: 1 of 2 trials failed: 1; to try them again: karma-envs sweep --resume {folder}\n"
    )
    assert "no figures: only the seed was swept\n" in out
    assert not (folder / "figures").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matching", "--seed", "3", "--over", "seed=1,2"], "seed is swept; leave out --seed"),
        (["matching", "--over", "seed=1", "--over", "seed=2"], "--over seed is given twice"),
        (["matching", "--over", "seed="], "over seed = [] is not allowed"),
        (["matching", "--over", "soil=1"], "over = 'soil' is not allowed"),
        (
            ["matching", "--over", "karma_mean=5,30"],
            "trial 1 (karma_mean=30): karma_mean = 30 is not allowed",
        ),
        (["matching", "--over", "seed=1,2", "--jobs", "-1"], "jobs = -1 is not allowed"),
        (["no-such.yaml", "--over", "seed=1,2"], "no-such.yaml: "),
        (["nameless.yaml", "--over", "seed=1,2"], "nameless.yaml: the field game is missing"),
        (["named.yaml", "--config", "x.yaml", "--over", "seed=1,2"], "named.yaml stands for --config"),
        (["--resume", ".", "matching"], "leave out matching"),
        (["--resume", "."], "holds no sweep"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nameless.yaml").write_text("seed: 3")
    (tmp_path / "named.yaml").write_text("game: matching")
    folder = [] if "--resume" in arguments else ["--folder", "sweep", "--quiet"]
    assert main(["sweep", *arguments, *folder]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "sweep").exists()


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["sweep", "--help"], ["sweep", "city", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        out = capsys.readouterr().out
        assert "karma-envs sweep matching --n-steps 1e6" in out
        assert "--backend {threads,joblib,ray}" in out
    assert "--learning-rate VALUE" in out
    assert "--over FIELD=VALUES" in out
    with pytest.raises(SystemExit) as caught:
        main(["sweep"])
    assert caught.value.code == 2
    assert "required: GAME" in capsys.readouterr().err


# --- figures ----------------------------------------------------------------------------------------


def with_results(tiny: Tiny, over: dict[str, list[Any]], folder: Path) -> Sweep:
    """A sweep as if it had been run; the second trial failed."""
    config = SweepConfig(tiny(), over)
    rows = []
    for trial in config.trials():
        value = -1 - 0.01 * trial.number
        metrics = {"efficiency": value, "access_fairness": value / 10, "reward_fairness": value / 5}
        errors = {f"{name}_se": float("nan") if trial.number else 0.01 for name in metrics}
        status = "failed" if trial.number == 1 else "finished"
        row = {"trial": trial.number, **trial.values, "status": status, **metrics, **errors, "error": None}
        rows.append(row)
    folder.mkdir()
    return Sweep(folder, config, config.trials(), tuple(rows))


TYPES = [[{"share": 1, "discount": 0.7}], [{"share": 1, "discount": 0.9}]]


@pytest.mark.parametrize(
    ("over", "axes"),
    [
        ({"learning_rate": [0.001, 0.01, 0.1]}, ["learning_rate"]),
        ({"karma_mean": [5, 7], "payment": ["pbp", "pbs"], "seed": [1, 2, 3]}, ["karma_mean"]),
        ({"payment": ["pbp", "pbs"], "karma_mean": [5, 7]}, ["karma_mean"]),
        ({"karma_mean": [5, 7, 9], "learning_rate": [0.1, 0.2]}, ["karma_mean", "learning_rate"]),
        (
            {"karma_mean": [5, 7], "learning_rate": [0.1, 0.2], "payment": ["pbp", "pbs"]},
            ["karma_mean", "learning_rate"],
        ),
        (
            {"karma_mean": [5, 7], "learning_rate": [0.1, 0.2], "discount": [0.7, 0.9, 0.98]},
            ["karma_mean", "discount"],
        ),
        ({"payment": ["pbp", "pbs"], "redistribution": ["uniform", "none"]}, ["payment"]),
        ({"types": TYPES}, ["types"]),
    ],
)
def test_what_was_swept_is_drawn(
    over: dict[str, list[Any]], axes: list[str], tiny: Tiny, tmp_path: Path
) -> None:
    """Over one field, numbers first, or over the two that have most values."""
    found = with_results(tiny, over, tmp_path / "sweep")
    assert axes_of(found) == axes
    names = ("efficiency.svg", "access_fairness.svg", "reward_fairness.svg")
    expected = [found.folder / "figures" / name for name in names]
    assert plot_sweep(found, ("svg",)) == expected
    assert all(path.stat().st_size > 3000 for path in expected)


def test_rules_stand_side_by_side_in_the_order_given(tiny: Tiny, tmp_path: Path) -> None:
    """The second of four trials failed; with the efficiencies -1, -1.02 and -1.03 of the others."""
    over = {"payment": ["pbs", "pbp"], "redistribution": ["uniform", "none"]}
    found = with_results(tiny, over, tmp_path / "sweep")
    (panel,) = lines(found, ["payment"], EFFICIENCY).axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["pbs", "pbp"]
    points = {container.get_label(): [*zip(*container.lines[0].get_data())] for container in panel.containers}
    assert points["redistribution=uniform"] == [(pytest.approx(-0.15), -1.0), (pytest.approx(0.85), -1.02)]
    assert points["redistribution=none"] == [(pytest.approx(1.15), -1.03)]
    (panel,) = lines(found, ["payment"], ACCESS_FAIRNESS).axes
    assert panel.get_ylabel() == "access fairness over 10000 steps"


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"seed": [1, 2]}, "only the seed was swept"),
        ({"payment": ["pbp"]}, "one trial"),
        (
            {
                "karma_mean": [5, 7],
                "learning_rate": [0.1, 0.2],
                "discount": [0.7, 0.9, 0.98],
                "payment": ["pbp", "pbs"],
                "redistribution": ["uniform", "none"],
            },
            "8 combinations of the fields besides karma_mean and discount are too many to draw",
        ),
    ],
)
def test_what_is_not_drawn_has_a_reason(
    over: dict[str, list[Any]], reason: str, tiny: Tiny, tmp_path: Path
) -> None:
    found = with_results(tiny, over, tmp_path / "sweep")
    with pytest.raises(NothingToDrawError, match=reason):
        plot_sweep(found)
    none = Sweep(found.folder, found.config, found.trials, ())
    if "payment" in over and len(over) > 1:
        with pytest.raises(NothingToDrawError, match="no trial has finished"):
            plot_sweep(none)
    assert not (found.folder / "figures").exists()


def test_a_log_of_80_columns_cuts_no_number(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    over: dict[str, list[Any]] = {
        "karma_mean": [5, 7],
        "payment": ["pbp", "pbs"],
        "learning_rate": [0.01, 0.05],
        "redistribution": ["uniform", "none"],
        "types": TYPES,
    }
    report(with_results(tiny, over, tmp_path / "sweep"))
    out = capsys.readouterr().out
    assert "…" not in out
    first = next(line for line in out.splitlines() if line.startswith("     0 "))
    assert first.split() == [
        "0", "5", "pbp", "0.01", "uniform", '[{"share":', "1,", '"discount":', "0.7}]",
        "-1.0000(100)", "-0.1000(100)", "-0.2000(100)",
    ]  # fmt: skip
    assert "over 10000 steps" in out
