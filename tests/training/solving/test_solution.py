"""Solving to a folder, and the solve command."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import agents
from agents.solvers import Step, methods
from karma_envs.config import ConfigError
from training.cli import main
from training.common.config import load_layer
from training.common.errors import ResultsError
from training.solving.search import has_equilibria, read_equilibria, search_to_folder
from training.solving.solution import Solution, SolveConfig, solve_to_folder

SMALL = {"karma_max": 6, "karma_mean": 3}


def test_a_solution_comes_back_from_its_folder(tmp_path: Path) -> None:
    steps: list[int] = []
    config = SolveConfig(game_config=SMALL)
    solution, found = solve_to_folder(config, tmp_path / "eq", lambda step: steps.append(step.iteration))
    again = Solution.open(tmp_path / "eq")
    assert again == solution
    assert found.converged
    assert again.numbers["exploitability_normalised"] <= 1e-10
    assert steps == [step["iteration"] for step in again.numbers["history"]]
    np.testing.assert_array_equal(again.policy.probabilities, found.policy.probabilities)
    np.testing.assert_array_equal(again.mean_field, found.mean_field)
    assert agents.exploitability(config.model(), again.policy).normalised <= 1e-10
    assert SolveConfig.from_dict(load_layer(tmp_path / "eq" / "config.yaml")) == config


def test_a_folder_is_not_solved_over(tmp_path: Path) -> None:
    solve_to_folder(SolveConfig(game_config=SMALL, rationality=2), tmp_path / "eq")
    with pytest.raises(ResultsError, match="holds results already"):
        solve_to_folder(SolveConfig(game_config=SMALL), tmp_path / "eq")


def test_a_solver_that_is_interrupted_before_it_has_anything_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.solving.solution.solve", stop)
    with pytest.raises(KeyboardInterrupt):
        solve_to_folder(SolveConfig(game_config=SMALL), tmp_path / "eq")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["homotopy", "fictitious_play"])
def test_an_interrupted_solver_keeps_the_best_policy_until_then(method: str, tmp_path: Path) -> None:
    seen: list[Step] = []

    def stop(step: Step) -> None:
        seen.append(step)
        if len(seen) == 3:
            raise KeyboardInterrupt

    config = SolveConfig(game_config=SMALL, method=method)
    solution, found = solve_to_folder(config, tmp_path / "eq", stop)
    assert found.interrupted
    assert not found.converged
    assert solution.numbers["interrupted"]
    assert len(found.history) == 3
    assert found.exploitability_normalised <= seen[0].exploitability_normalised
    again = agents.exploitability(config.model(), Solution.open(tmp_path / "eq").policy)
    assert again.normalised == pytest.approx(found.exploitability_normalised, abs=1e-9)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"method": "newtonn"}, "method = 'newtonn'"),
        ({"tolerance": 0}, "tolerance = 0"),
        ({"rationality": -1}, "rationality = -1"),
        ({"exploration": 2}, "exploration = 2"),
        ({"options": {"speed": 3}}, "speed of method auto = 3"),
        ({"options": 3}, "options = 3"),
        ({"search": -1}, "search = -1"),
        ({"search": 1.5}, "search = 1.5"),
        ({"search_seed": -1}, "search_seed = -1"),
        ({"search": 3, "rationality": 5}, "search = 3"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        SolveConfig(**fields)  # type: ignore[arg-type]


def test_options_of_a_method_are_named_in_its_order() -> None:
    with pytest.raises(ConfigError) as refused:
        SolveConfig(game="malware", method="sfsa", options={"size": 0.1})
    shown = str(refused.value).partition("allowed: ")[2].split(", ")
    known = [name for name in inspect.signature(methods()["sfsa"]).parameters if name in shown]
    assert shown == known
    assert "perturbation" in shown
    assert not {"game", "tolerance", "observer"} & set(shown)


def test_allocations_without_bids_have_no_model() -> None:
    with pytest.raises(ConfigError, match="mean-field model"):
        SolveConfig(game_config={"allocation": "dict"}).model()


def test_the_command_solves_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "eq")
    flags = ["--karma-max", "6", "--karma-mean", "3", "--folder", folder]
    assert main(["solve", "matching", *flags]) == 0
    said = capsys.readouterr().out
    assert "equilibrium found by homotopy" in said
    assert "exact" in said
    drawn = {path.name for path in (tmp_path / "eq" / "figures").iterdir()}
    assert drawn == {
        f"{name}.{ending}"
        for name in (
            *("policy_heat_maps", "mean_bid", "urgency_distribution", "karma_distribution"),
            "exploitability_history",
        )
        for ending in ("png", "pdf")
    }
    assert main(["plot", folder, "--formats", "svg"]) == 0
    assert (tmp_path / "eq" / "figures" / "mean_bid.svg").stat().st_size > 1000
    assert main(["solve", "matching", *flags]) == 1
    assert "holds results already" in capsys.readouterr().err


def test_the_command_says_when_nothing_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--karma-max", "6", "--karma-mean", "3", "--folder", str(tmp_path / "eq"), "--no-figures"]
    options = ["--tolerance", "1e-300", "--discount", "0.9"]
    assert (
        main(["solve", "matching", *flags, *options, "--method", "logit_dynamics", "--rationality", "5"]) == 3
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "no logit equilibrium within the tolerance" in said
    assert (tmp_path / "eq" / "policy.csv").is_file()


TINY = {"karma_max": 6, "karma_mean": 3, "discount": 0.9}


def test_a_search_keeps_what_it_finds_in_the_folder(tmp_path: Path) -> None:
    config = SolveConfig(game_config=TINY, search=2)
    solution, main_one = solve_to_folder(config, tmp_path / "eq")
    before = (tmp_path / "eq" / "policy.npz").read_bytes()
    report = search_to_folder(solution)
    assert report.attempts == 3
    assert (tmp_path / "eq" / "policy.npz").read_bytes() == before
    rows, policies, mean_fields = read_equilibria(Solution.open(tmp_path / "eq"))
    assert len(rows) == len(policies) == len(mean_fields) == len(report.found) >= 1
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0]["distance_to_first"] == 0
    for row, policy, mean_field in zip(rows, policies, mean_fields):
        assert row["exploitability_normalised"] <= 1e-10
        found = agents.exploitability(config.model(), policy, mean_field)
        assert found.normalised <= 1e-10
        flow = mean_field[0, :, None] * policy.probabilities[0]
        bids = (flow * np.arange(7)).sum(axis=1).reshape(2, 7).sum(axis=1) / 0.5  # each urgency: half
        assert row["mean_bid_urgency_1"] == pytest.approx(bids[0], abs=1e-9)
        assert row["mean_bid_urgency_5"] == pytest.approx(bids[1], abs=1e-9)
        karma = mean_field.reshape(2, 7).sum(axis=0)
        assert row["karma_std"] == pytest.approx(np.sqrt(karma @ (np.arange(7) - 3) ** 2), abs=1e-9)
    homotopys = [row["efficiency"] for row in rows if row["first_found_by"] == "homotopy"]
    assert homotopys == [pytest.approx(main_one.efficiency, abs=1e-9)]


def test_a_search_that_is_interrupted_keeps_what_it_found(tmp_path: Path) -> None:
    def stop(origin: str, found: object) -> None:
        raise KeyboardInterrupt

    solution, _ = solve_to_folder(SolveConfig(game_config=TINY, search=1000), tmp_path / "eq")
    report = search_to_folder(solution, stop)
    assert report.interrupted
    assert len(read_equilibria(solution)[0]) == 1


def test_a_search_of_no_starts_is_refused(tmp_path: Path) -> None:
    solution, _ = solve_to_folder(SolveConfig(game_config=TINY), tmp_path / "eq")
    with pytest.raises(ConfigError, match="search = 0"):
        search_to_folder(solution)
    assert not has_equilibria(solution)


def test_the_command_searches_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "eq"
    flags = ["--karma-max", "6", "--karma-mean", "3", "--discount", "0.9", "--folder", str(folder)]
    assert main(["solve", "matching", *flags, "--search", "1", "--search-seed", "3"]) == 0
    said = capsys.readouterr().out
    assert "search of 2 attempts" in said
    assert "homotopy" in said
    assert str(folder / "equilibria.csv") in said.replace("\n", "")
    assert (folder / "policy-1.npz").is_file()
    figure = folder / "figures" / "several_equilibria.png"
    assert figure.stat().st_size > 3000
    figure.unlink()
    assert main(["plot", str(folder), "--formats", "png"]) == 0
    assert figure.is_file()
    (folder / "policy-1.npz").unlink()
    assert main(["plot", str(folder), "--formats", "png"]) == 1
    assert "the equilibria cannot be read" in capsys.readouterr().err
