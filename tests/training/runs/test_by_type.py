"""What each type of agents gets: named by number from 0, in the evaluation, its table and its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from agents.solvers.continuation.search import Found
from karma_envs import make
from karma_envs.finite import as_finite
from karma_envs.karma.config import type_names
from karma_envs.karma.urgency import AgentType
from karma_envs.outcome import as_columns, summarise
from training import Run, TrainConfig, train
from training.common.tables import read_table
from training.evaluation.play import over_seeds, play
from training.runs.evaluate import evaluate
from training.runs.evaluate_command import keep_evaluation, report
from training.solving.figures import distribution, mean_feature, policy_heat_maps
from training.solving.search import means_on_lines
from training.solving.solution import SolveConfig, solve_to_folder

NAMES = ("type 0 (discount 0.7)", "type 1 (discount 0.9)", "type 2 (discount 0.5)")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Five agents of one type, fourteen of another and a single one of a third, two replicas."""
    types = (AgentType(5, 0.7), AgentType(14, 0.9), AgentType(1, 0.5))
    config = TrainConfig(
        game_config={"n_agents": 20, "types": types}, n_steps=200, epoch_length=50, records=4, replicas=2
    )
    return train(config, tmp_path_factory.mktemp("three-types") / "run")


@pytest.mark.parametrize(
    ("types", "names"),
    [
        ([AgentType(1)], ("type 0",)),
        ([AgentType(1), AgentType(2)], ("type 0", "type 1")),
        ([AgentType(1, 0.7), AgentType(3, 0.9)], NAMES[:2]),
        (
            [AgentType(1, 0.7), AgentType(3, 0.9, (1, 2, 9))],
            ("type 0 (discount 0.7; urgencies 1, 5)", "type 1 (discount 0.9; urgencies 1, 2, 9)"),
        ),
        (
            [AgentType(1), AgentType(1, urgency_transition=(0.75, 0.25))],
            ("type 0 (mean urgency 3)", "type 1 (mean urgency 2)"),
        ),
        (
            [AgentType(1), AgentType(1, urgencies=(1, 2, 3, 4, 5))],
            ("type 0 (urgencies 1, 5)", "type 1 (5 urgencies, mean 3)"),
        ),
    ],
)
def test_types_are_named_by_number_and_by_what_differs(types: list[AgentType], names: tuple[str]) -> None:
    assert type_names(types) == names
    assert make("matching", types=types).type_names == names


def test_what_a_type_gets_is_what_its_agents_get(run: Run) -> None:
    learned = evaluate(run, n_steps=200, burn_in=0)[0]
    game = make("matching", n_agents=20, types=run.config.game_config.types)
    outcomes = [
        play(game, policy, n_steps=200, burn_in=0, seed=[1, n]) for n, policy in enumerate(run.policies)
    ]
    assert tuple(learned.by_type) == NAMES
    for number, summary in enumerate(learned.by_type.values()):
        agents = np.flatnonzero(game.type_of_agent == number)
        stretches = [[stretch.of_agents(agents) for stretch in each] for each in outcomes]
        expected = over_seeds([summarise(each, game.metrics) for each in stretches])
        assert {name: value for name, value in as_columns(summary).items() if np.isfinite(value)} == {
            name: value for name, value in as_columns(expected).items() if np.isfinite(value)
        }
    mean = [summary["efficiency"].value for summary in learned.by_type.values()]
    assert learned.summary["efficiency"].value == pytest.approx(np.average(mean, weights=[5, 14, 1]))


def test_fairness_of_a_type_is_among_its_agents(run: Run) -> None:
    """A single agent is as well off as itself; of it no inequality can be estimated."""
    learned, *_ = evaluate(run, n_steps=100, burn_in=0)
    alone = learned.by_type[NAMES[2]]
    assert alone["access_fairness"].value == alone["reward_fairness"].value == 0
    assert np.isnan(summarise_alone()["access_gini"].standard_error)
    assert learned.by_type[NAMES[1]]["access_fairness"].value < 0


def summarise_alone() -> Any:
    game = make("matching", n_agents=2)
    game.reset(np.random.default_rng(0))
    game.step(np.zeros(2, np.int64))
    return summarise([game.outcome().of_agents(np.array([0]))], game.metrics)


def test_the_table_and_a_file_tell_of_types(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a terminal that is narrower than the table."""
    monkeypatch.setenv("COLUMNS", "50")
    found = evaluate(run, n_steps=100, burn_in=0)
    keep_evaluation(run, found, {})
    report(run, found)
    out = capsys.readouterr().out
    assert "100 steps, 2 seed(s); fairness depends on how many steps" in " ".join(out.split())
    assert "…" not in out
    for name, summary in found[0].by_type.items():
        line = next(line for line in out.splitlines() if line.strip().startswith(name))
        assert line.split("  ")[-2].strip() == summary["reward_fairness"].concise()
    rows = read_table(run.folder / "evaluation-types.csv")
    assert len(rows) == 3 * len(found)
    assert rows[1]["type"] == 1
    assert rows[1]["type_name"] == NAMES[1]
    assert rows[1]["efficiency"] == found[0].by_type[NAMES[1]]["efficiency"].value


def test_one_type_is_the_whole_population(finished_folder: Path) -> None:
    found = evaluate(Run.open(finished_folder), n_steps=100, burn_in=0)
    assert {len(item.by_type) for item in found} == {0}
    assert [row for item in found for row in item.type_rows()] == []


def test_figures_and_tables_of_a_solution_count_as_these_do(tmp_path: Path) -> None:
    types = [{"share": 1, "discount": 0.7}, {"share": 3, "discount": 0.9}]
    config = SolveConfig(game_config={"karma_max": 4, "karma_mean": 2, "types": types}, rationality=2)
    solution, found = solve_to_folder(config, tmp_path / "solution")
    titles = [panel.get_title() for panel in policy_heat_maps(solution).axes if panel.get_title()]
    assert titles == [f"{name}\nurgency {urgency}" for name in NAMES[:2] for urgency in (1, 5)]
    assert [panel.get_title() for panel in mean_feature(solution, "bid").axes] == [*NAMES[:2]]
    (panel,) = distribution(solution, "karma").axes
    labels = panel.get_legend_handles_labels()[1]
    assert labels == ["mean", *NAMES[:2]]
    columns = means_on_lines(as_finite(solution.game()), cast(Found, found))
    assert list(columns) == [
        f"mean_bid_type_{kind}_urgency_{urgency}" for kind in (0, 1) for urgency in (1, 5)
    ]
