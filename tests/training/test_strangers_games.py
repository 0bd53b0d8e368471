"""Games that stand in modules of a user's working folder go through every command by ``module:Class``."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training import ResultsError, Run, TrainConfig, train
from training.cli import main
from training.solving.solution import Solution

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


@pytest.mark.parametrize(("game", "columns"), [("beach:BeachGame", ()), ("sail:SailGame", ("mean_place",))])
def test_a_game_with_boxes_is_trained_in_cells(game: str, columns: tuple[str, ...], command: Command) -> None:
    """Of one step, and of three: it is measured beside its references, and drawn."""
    command("train", game, *TINY, "--cells", "4")
    folder = f"runs/{game.replace(':', '.')}-001"
    assert {"efficiency", *columns} <= set(table(f"{folder}/metrics.csv")[0])
    printed = command("evaluate", folder, "--n-steps", "120", "--burn-in", "12", "--trust")
    assert all(name in printed for name in ("learned", "random"))
    assert {"beach:BeachGame": "equilibrium", "sail:SailGame": "full_sail"}[game] in printed
    assert (
        f"{folder}/figures/efficiency.svg" in command("plot", folder, "--formats", "svg", "--trust").split()
    )
    refused = command("animate", folder, "--trust", status=1)
    assert "allowed: a game with pictures" in refused
    arguments = "--algo", "pooled", "--seeds", "1", "--budget", "1200", "--folder", "bench", "--quiet"
    assert game in command("benchmark", "run", "--tasks", game, *arguments)


def test_a_game_without_tables_is_solved_by_its_model(command: Command) -> None:
    """The equilibrium of the beach: the mean spot is 1/2, an agent gets -c/(12 (1 + c)) = -1/16 for c = 3."""
    printed = command("solve", "beach:BeachGame", "--company", "3", "--no-figures", "--quiet")
    assert "equilibrium found by fixed_point" in printed
    solution = Solution.open("runs/beach.BeachGame-equilibrium-001", trust=True)
    assert solution.numbers["statistic"]["mean_spot"] == pytest.approx(0.5, abs=1e-9)
    assert solution.numbers["efficiency"] == pytest.approx(-1 / 16, abs=1e-6)  # quadrature in 1000 points
    assert solution.policy.share == 0.25
    with pytest.raises(ResultsError, match="names code to be run: 'beach:BeachGame'"):
        Solution.open(solution.folder)
    said = command("theory", "beach:BeachGame", status=1)
    assert "allowed: a mean-field model with finite states and actions" in said


def test_a_game_with_tables_that_ends_is_solved_with_a_policy_for_each_step(command: Command) -> None:
    """In the last step nobody moves, which would cost an effort for nothing."""
    printed = command("solve", "beach_bar:BeachBarGame", "--duration", "3", "--n-places", "3", "--quiet")
    assert "equilibrium found by homotopy" in printed
    assert "any deviation of one agent" in printed
    solution = Solution.open("runs/beach_bar.BeachBarGame-equilibrium-001", trust=True)
    assert solution.numbers["exploitability_normalised"] < 1e-10
    assert solution.numbers["payoff"] == pytest.approx(3 * solution.numbers["efficiency"])
    rows = table(f"{solution.folder}/policy.csv")
    assert len(rows) == 3 * 3 * 3
    last = [row for row in rows if row["step"] == "2" and row["move"] == "0"]
    assert [float(row["probability"]) for row in last] == [1.0] * 3
    flow = table(f"{solution.folder}/statistic.csv")
    assert [float(flow[0][name]) for name in ("step", "z 0", "z 1", "z 2")] == [0, 1, 0, 0]
    figures = {path.stem for path in (solution.folder / "figures").iterdir()}
    assert figures == {
        "policy_heat_maps",
        "mean_move",
        "place_distribution",
        "statistic",
        "exploitability_history",
    }
    game = solution.game()
    assert solution.policy.fitted_to(game).n_observations == 9


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
