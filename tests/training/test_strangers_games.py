"""Games that stand in modules of a user's working folder go through every command by ``module:Class``."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training import Run, TrainConfig, train
from training.cli import main

STRANGERS = Path(__file__).parents[1] / "strangers"
TINY = ["--n-steps", "200", "--epoch-length", "50", "--records", "4", "--no-figures", "--quiet"]

Command = Callable[..., str]


@pytest.fixture
def command(working_folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in a working folder with the strangers' modules; gives what it prints."""
    shutil.copytree(STRANGERS, working_folder, dirs_exist_ok=True)

    def run(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        assert main(arguments) == status, capsys.readouterr().err
        out, err = capsys.readouterr()
        return err if status else out

    return run


def table(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("game", ["FerryGame", "LastFerryGame"])
def test_a_finite_game_without_karma_is_trained_measured_drawn_and_filmed(
    game: str, command: Command
) -> None:
    """Without an end, and with one: its metrics, its baselines, its records and its picture."""
    command("train", f"ferry:{game}", *TINY, "--impatience", ".5", "--exploration", ".1")
    folder = f"runs/ferry.{game}-001"
    (row, *_) = table(f"{folder}/metrics.csv")
    assert {"efficiency", "trips", "patience"} <= set(row)
    printed = command("evaluate", folder, "--n-steps", "100", "--burn-in", "10", "--trust")
    assert all(name in printed for name in ("learned", "random", "impatient", "trips"))
    assert float(table(f"{folder}/evaluation.csv")[0]["trips"]) > 0
    drawn = command("plot", folder, "--formats", "svg", "--trust").split()
    assert f"{folder}/figures/trips.svg" in drawn
    command("animate", folder, "--steps", "2", "--policy", "impatient", "--trust")
    assert Path(folder, "figures", "animation.gif").stat().st_size > 0
    assert "names code to be run: 'ferry:" in command("plot", folder, status=1)


def test_what_is_about_mean_fields_says_that_there_is_none(command: Command) -> None:
    for name in ("solve", "theory"):
        said = command(name, "ferry:FerryGame", status=1)
        assert said == (
            "karma-envs: game = 'ferry:FerryGame' is not allowed; allowed: a game that has a mean-field "
            "model as it is configured\n"
        )


def test_its_configuration_is_shown_and_swept(command: Command) -> None:
    assert command("list", "ferry:LastFerryGame").splitlines() == [
        "ferry:LastFerryGame  The same on a day with five ferries.",
        "  presets: calm",
        "  metrics: efficiency, trips",
        "  baselines: random, impatient",
    ]
    shown = command("show-config", "ferry:FerryGame", "--preset", "calm")
    assert "game: ferry:FerryGame" in shown
    assert "impatience: 0.1" in shown
    arguments = "--over", "impatience=.1,.9", "--folder", "swept", *TINY
    assert "impatience" in command("sweep", "ferry:FerryGame", *arguments)
    assert [row["status"] for row in table("swept/trials.csv")] == ["finished"] * 2


def test_it_is_a_task_of_the_benchmark(command: Command) -> None:
    arguments = "--algo", "sarsa", "--seeds", "1", "--budget", "1600", "--folder", "bench", "--quiet"
    assert "ferry:FerryGame" in command("benchmark", "run", "--tasks", "ferry:FerryGame", *arguments)
    assert "names code to be run: 'ferry:FerryGame'" in command("benchmark", "report", "bench", status=1)
    command("benchmark", "report", "bench", "--trust")
    page = Path("bench/README.md").read_text()
    assert "efficiency, as it is, in ferry:FerryGame" in page
    assert "| trips |" in page
    file = "bench/results/sarsa-ferry.FerryGame.json"
    assert "names code to be run" in command("benchmark", "add", file, "--leaderboard", ".", status=1)


def test_it_is_trained_from_python_by_its_class(working_folder: Path) -> None:
    shutil.copytree(STRANGERS, working_folder, dirs_exist_ok=True)
    from karma_envs.registry import game_class

    game = game_class("ferry:LastFerryGame")
    run = train(TrainConfig(game, {"n_agents": 4}, n_steps=40, epoch_length=20), working_folder / "run")
    again = Run.open(run.folder, trust=True)
    assert again.config.game == "ferry:LastFerryGame"
    assert type(again.game()) is game
