"""What a game of one's own wants measured, recorded and compared with is, in every file and figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from karma_envs.checks import check_game
from karma_envs.outcome import EFFICIENCY
from tests.training.runs.counted_roads import DELAY, CountedRoads, RoadsOutcome
from training import Run, TrainConfig, train
from training.cli import main
from training.common.tables import read_table
from training.evaluation.play import measure
from training.runs.evaluate import evaluate
from training.runs.figures import plot
from training.sweeps.figures import plot_sweep
from training.sweeps.sweep import sweep

NAME = "tests.training.runs.counted_roads:CountedRoads"
BASE = TrainConfig(game=NAME, n_steps=200, epoch_length=50, records=4, replicas=2, threads=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(BASE, tmp_path_factory.mktemp("roads") / "run")


def test_the_game_keeps_its_contract() -> None:
    check_game(CountedRoads())


def test_records_hold_metrics_and_what_else_the_game_records(run: Run) -> None:
    columns = [*run.metrics[0]]
    assert columns == [
        *("replica", "step", "window", "delay", "restless", "north"),
        *("policy_change_max", "policy_change_mean"),
    ]  # fmt: skip
    spread = read_table(run.folder / "roads.csv")
    assert [*spread[0]] == ["replica", "step", "road", "share"]
    for row in run.metrics:
        here = [each for each in spread if (each["replica"], each["step"]) == (row["replica"], row["step"])]
        assert sum(each["share"] for each in here) == pytest.approx(1)
        assert row["north"] == sum(each["share"] for each in here if each["road"] == 0)
    assert not (run.folder / "karma.csv").exists()


def test_a_run_is_resumed_with_its_own_totals(run: Run, tmp_path: Path) -> None:
    """In the third of four epochs, in the middle of the window of a record over two."""

    def break_off(replica: object, rate: float) -> None:
        if replica.epoch == 3:  # type: ignore[attr-defined]
            raise ConnectionAbortedError

    config = BASE.replace(replicas=1, records=2, checkpoint_seconds=0.0)
    with pytest.raises(ConnectionAbortedError):
        train(config, tmp_path / "run", observer=break_off)
    resumed = train(config, tmp_path / "run", resume=True)
    whole = train(config, tmp_path / "whole")
    assert resumed.metrics == whole.metrics


def test_an_evaluation_is_of_these_metrics_references_and_baselines(run: Run) -> None:
    found = evaluate(run, n_steps=100, burn_in=0)
    assert [item.name for item in found] == [
        "learned", "learned, exploring 0.05", "half", "random", "to the south",
    ]  # fmt: skip
    row = found[0].to_row()
    assert [*row][3:] == ["delay", "delay_se", "restless", "restless_se"]
    south = found[-1].summary
    assert south["delay"].value == pytest.approx(1.0, abs=0.01)  # but for who comes from another road
    assert repr(found[0]).startswith("Evaluation(learned: mean delay ")
    assert "restless" not in found._repr_html_()


def test_an_own_reference_is_played_as_it_says() -> None:
    """Half of them on a road of delay .2, half on one of .5: a quarter of the sum at least, and changes."""
    ((reference, policy),) = CountedRoads(n_agents=200).references().values()
    summary = measure(reference, policy, n_steps=200, burn_in=10, seed=3)
    assert summary["delay"].value == pytest.approx(0.5 * 0.2 * 0.5 + 0.5 * 0.5 * 0.5 + 0.05 / 2, abs=0.005)
    assert summary["restless"].value == 1


def test_figures_are_of_headlines_and_distributions(run: Run) -> None:
    names = {path.stem for path in plot(run, ("png",))}
    assert {"delay", "north", "roads_distribution", "policy_change"} <= names
    assert not {"restless", "efficiency", "karma_distribution"} & names


def test_a_sweep_ranks_by_the_first_metric(tmp_path: Path) -> None:
    found = sweep(BASE.replace(replicas=1), {"learning_rate": [0.1, 0.5, 0.9]}, tmp_path / "sweep")
    delays = [row["delay"] for row in found.best_first]
    assert delays == sorted(delays)
    assert "train_restless" in found.rows[0]
    assert [path.name for path in plot_sweep(found, ("png",))] == ["delay.png"]


def test_the_commands_show_them(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run.folder), "--n-steps", "100", "--burn-in", "0", "--trust"]) == 0
    out = capsys.readouterr().out
    assert "mean delay" in out
    assert "efficiency" not in out
    assert "to the south" in out
    rows = read_table(run.folder / "evaluation.csv")
    assert {"delay", "delay_se", "restless"} <= rows[0].keys()


def test_outcomes_of_ones_own_go_through_all_that_is_done_with_them() -> None:
    game = CountedRoads()
    game.reset(np.random.default_rng(0))
    start = game.outcome()
    assert type(start) is RoadsOutcome
    game.rollout(game.uniform_policy(), 10)
    stretch = game.outcome().since(start)
    assert stretch.steps == 10
    assert DELAY.value(stretch) == -EFFICIENCY.value(stretch)
