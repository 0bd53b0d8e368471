"""Figures: there for every kind of run, and showing its numbers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle

import karma_envs
from agents import TabularPolicy
from karma_envs.baselines import random as random_bids
from karma_envs.config import ConfigError
from karma_envs.finite import as_finite
from karma_envs.game import PolicyError
from karma_envs.karma.outcome import ACCESS_FAIRNESS, KARMA_METRICS
from karma_envs.karma.urgency import AgentType
from karma_envs.outcome import Metric
from training import ResultsError, Run, TrainConfig, train
from training.common.policy_figures import policies_beside
from training.evaluation.references import reference_outcomes
from training.runs import figures as training_plots


@pytest.fixture(scope="module")
def two_types(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two types with two and three urgencies, two replicas, one policy per type."""
    types = (AgentType(1, 0.7), AgentType(3, 0.9, (1, 2, 9)))
    config = TrainConfig(
        game_config={"n_agents": 20, "types": types},
        learner={"grouping": "per_type", "initial_q": -10},
        n_steps=400,
        epoch_length=50,
        records=4,
        replicas=2,
    )
    return train(config, tmp_path_factory.mktemp("two-types") / "run")


@pytest.fixture(scope="module")
def one_type(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One type, two replicas, one policy per agent."""
    return Run.open(shutil.copytree(finished_folder, tmp_path_factory.mktemp("one-type") / "run"))


NAMES = [
    "mean_bid", "efficiency", "access_fairness", "reward_fairness", "karma_distribution", "policy_change",
]  # fmt: skip


@pytest.mark.parametrize("which", ["one_type", "two_types"])
def test_all_figures_are_drawn(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    written = training_plots.plot(run, ("png", "pdf"))
    assert written == [
        run.folder / "figures" / f"{name}.{ending}" for name in NAMES for ending in ("png", "pdf")
    ]
    assert sorted((run.folder / "figures").iterdir()) == sorted(written)
    for path in written:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n" if path.suffix == ".png" else b"%PDF-")
        assert len(content) > 3000


def test_figures_are_drawn_anew(one_type: Run) -> None:
    path = one_type.folder / "figures" / "efficiency.png"
    training_plots.plot(one_type, ("png",))
    first = path.read_bytes()
    path.write_bytes(b"old")
    training_plots.plot(one_type, ("png",))
    assert path.read_bytes() == first


def lines_of(panel: Any) -> dict[str, Any]:
    return {str(line.get_label()): line for line in panel.lines}


def test_mean_bids_are_the_policies(two_types: Run) -> None:
    """A panel per type, a line per urgency: the mean over agents (here the type's one policy) and runs."""
    panels = training_plots.mean_feature(two_types, as_finite(two_types.game()), "bid").axes
    assert len(panels) == 2
    for index, (panel, urgencies) in enumerate(zip(panels, ((1, 5), (1, 2, 9)))):
        bids = np.mean([policy.mean_actions()[index] for policy in two_types.policies], axis=0)
        lines = lines_of(panel)
        for number, urgency in enumerate(urgencies):
            line = lines[f"urgency {urgency}"]
            np.testing.assert_array_equal(line.get_xdata(), np.arange(21))
            np.testing.assert_allclose(line.get_ydata(), bids.reshape(3, 21)[number])
        assert sum(label.startswith("urgency") for label in lines) == len(urgencies)
    assert [panel.get_title().replace("\n", " ") for panel in panels] == [
        "type 0 (discount 0.7; urgencies 1, 5)",
        "type 1 (discount 0.9; urgencies 1, 2, 9)",
    ]


@pytest.mark.parametrize("metric", KARMA_METRICS[:4], ids=lambda metric: metric.name)
def test_a_metric_has_a_line_per_replica_beside_the_references(metric: Metric, one_type: Run) -> None:
    references = reference_outcomes(one_type.game(), window=100)
    (panel,) = training_plots.over_time(one_type, metric, {100: references}).axes
    rows = one_type.metrics
    for number in range(2):
        line = panel.lines[number]
        mine = [row for row in rows if row["replica"] == number]
        np.testing.assert_array_equal(line.get_xdata(), [row["step"] for row in mine])
        np.testing.assert_array_equal(line.get_ydata(), [row[metric.name] for row in mine])
    lines = lines_of(panel)
    for name in ("DICT", "COIN", "TURN"):
        assert set(lines[name].get_ydata()) == {metric.value(references[name])}
    assert len(panel.lines) == 5
    assert panel.get_ylabel() == f"{metric.title} over 100 steps"


def test_fairness_is_beside_fairness_over_as_many_steps(tmp_path: Path) -> None:
    """Five epochs in two records of two, and one of one: the last is over half the steps.

    COIN's fairness is about -sqrt(1/4T): -.05 over 100 steps, -.07 over 50.
    """
    config = TrainConfig(game_config={"n_agents": 20}, n_steps=250, epoch_length=50, records=2)
    run = train(config, tmp_path / "run")
    assert [row["window"] for row in run.metrics] == [100, 100, 50]
    (panel,) = training_plots.figures(run)["access_fairness"]().axes
    assert panel.get_ylabel() == "access fairness over 50 to 100 steps"
    coin = lines_of(panel)["COIN"]
    assert coin.get_drawstyle() == "steps-pre"
    np.testing.assert_array_equal(coin.get_xdata(), [100, 200, 250])
    over = {
        window: ACCESS_FAIRNESS.value(reference_outcomes(run.game(), window)["COIN"]) for window in (50, 100)
    }
    np.testing.assert_array_equal(coin.get_ydata(), [over[100], over[100], over[50]])
    assert over[50] == pytest.approx(-0.07, abs=0.03)
    assert over[50] < over[100]


def test_the_window_of_equal_records_is_named(one_type: Run) -> None:
    for name in ("efficiency", "access_fairness", "reward_fairness"):
        (panel,) = training_plots.figures(one_type)[name]().axes
        assert panel.get_ylabel() == f"{name.replace('_', ' ')} over 100 steps"


def test_the_karma_distribution_has_mass_one(two_types: Run) -> None:
    (panel,) = training_plots.distribution(two_types, "karma").axes
    bars = [bar for bar in panel.patches if isinstance(bar, Rectangle)]
    heights = np.array([bar.get_height() for bar in bars])
    karma = np.array([bar.get_x() + bar.get_width() / 2 for bar in bars])
    assert heights.sum() == pytest.approx(1)
    assert heights @ karma == pytest.approx(10)
    assert set(karma.round(6)) <= set(range(21))
    assert lines_of(panel)["mean"].get_xdata()[0] == pytest.approx(10)


def test_policy_change_shows_mean_and_largest(one_type: Run) -> None:
    (panel,) = training_plots.policy_change(one_type).axes
    assert len(panel.lines) == 4
    values = [line.get_ydata() for line in panel.lines]
    rows = [row for row in one_type.metrics if row["replica"] == 0]
    np.testing.assert_array_equal(values[0], [row["policy_change_max"] for row in rows])
    np.testing.assert_array_equal(values[2], [row["policy_change_mean"] for row in rows])


def test_what_cannot_be_drawn_is_refused(one_type: Run, unfinished_folder: Path) -> None:
    with pytest.raises(ResultsError, match=r"metrics\.csv is missing"):
        training_plots.plot(Run.open(unfinished_folder))
    assert not (unfinished_folder / "figures").exists()
    with pytest.raises(ConfigError, match="formats = 'xyz' is not allowed; allowed: "):
        training_plots.plot(one_type, ("xyz",))


def test_policies_beside_one_another() -> None:
    """Each line is the mean over a type's agents, by urgency and karma."""
    types = (AgentType(1, 0.7), AgentType(3, 0.9, (1, 2, 9)))
    game = karma_envs.make("matching", n_agents=8, karma_max=4, karma_mean=2, types=types)
    everything = np.zeros((2, game.n_observations, game.n_actions))
    karma = np.tile(np.arange(5), game.n_observations // 5)
    everything[0, np.arange(game.n_observations), karma] = 1
    everything[1, :, 0] = 1  # the second type bids nothing
    policies = {"by type": TabularPolicy(everything), "random": TabularPolicy(random_bids(game))}
    types_said = ("type 0 (discount 0.7; urgencies 1, 5)", "type 1 (discount 0.9; urgencies 1, 2, 9)")
    figure = policies_beside(game, policies)
    assert [panel.get_title().replace("\n", " ") for panel in figure.axes] == [
        f"{types_said[kind]} urgency {urgency}" for kind, urgency in ((0, 1), (0, 5), (1, 1), (1, 2), (1, 9))
    ]  # fmt: skip
    for number, panel in enumerate(figure.axes):
        by_type, random, bound = [np.asarray(line.get_ydata()) for line in panel.lines]
        np.testing.assert_allclose(by_type, np.arange(5) if number < 2 else np.zeros(5))
        np.testing.assert_allclose(random, np.arange(5) / 2)
        np.testing.assert_allclose(bound, np.arange(5))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["by type", "random", "all karma"]
    other = karma_envs.make("matching", n_agents=8, karma_max=5, karma_mean=2)
    with pytest.raises(PolicyError):
        policies_beside(other, policies)
