"""What is looked at while training: what it says, and that it leaves the training alone."""

from __future__ import annotations

import filecmp
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
from agents.evaluators import exploitability_by_agent, payoff_estimates
from karma_envs.config import ConfigError
from karma_envs.registry import make
from training import TrainConfig, train
from training.common.tables import read_table
from training.runs.figures import plot
from training.runs.folder import Run
from training.runs.replica import Replica

Tiny = Callable[..., TrainConfig]
GAME: dict[str, Any] = {"n_agents": 20, "karma_max": 6, "karma_mean": 3, "discount": 0.9}


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two replicas of 8 epochs, looked at four times; not to be changed."""
    config = TrainConfig(
        game_config=GAME, n_steps=400, epoch_length=50, replicas=2, monitor="exact", monitors=4
    )
    return train(config, tmp_path_factory.mktemp("monitored") / "run")


def test_what_is_said_is_what_the_evaluator_says(monitored: Run) -> None:
    rows = read_table(monitored.folder / "monitor.csv")
    assert [(row["replica"], row["step"]) for row in rows] == [
        (replica, step) for replica in (0, 1) for step in (100, 200, 300, 400)
    ]
    replica = Replica(monitored.config, 1)
    while not replica.finished:
        replica.run_epoch()
    model = replica.game.mean_field()
    assert model is not None
    target = agents.solve(model).policy.for_agents(replica.game.type_of_agent)
    expected = exploitability_by_agent(replica.game, replica.learner.policy, targets=[target])
    last = rows[-1]
    assert last["payoff"] == pytest.approx(expected.payoff)
    assert last["exploitability"] == pytest.approx(expected.absolute)
    assert last["exploitability_normalised"] == pytest.approx(expected.normalised)
    assert last["equilibrium_gain"] == pytest.approx(expected.to_targets.mean())
    assert last["equilibrium_gain"] <= last["exploitability"]
    assert last["equilibrium_gain_normalised"] == pytest.approx(
        expected.to_targets.mean() / abs(expected.payoff)
    )


def test_looking_changes_nothing(monitored: Run, tmp_path: Path) -> None:
    plain = train(monitored.config.replace(monitor="none"), tmp_path / "plain")
    assert not (plain.folder / "monitor.csv").exists()
    for name in ("metrics.csv", "karma.csv"):
        assert filecmp.cmp(plain.folder / name, monitored.folder / name, shallow=False)
    for policy, monitored_policy in zip(plain.policies, monitored.policies, strict=True):
        assert np.array_equal(policy.thresholds, monitored_policy.thresholds)


def test_a_run_that_broke_off_is_resumed_to_the_same_rows(monitored: Run, tmp_path: Path) -> None:
    def break_off(replica: Replica, rate: float) -> None:
        if replica.epoch == 6:
            raise ConnectionAbortedError

    config = monitored.config.replace(checkpoint_seconds=0)
    with pytest.raises(ConnectionAbortedError):
        train(config, tmp_path / "run", observer=break_off)
    resumed = train(config, tmp_path / "run", resume=True)
    assert filecmp.cmp(resumed.folder / "monitor.csv", monitored.folder / "monitor.csv", shallow=False)


def test_algorithm_3_says_nearly_the_same(monitored: Run, tmp_path: Path) -> None:
    """20 agents, values with noise; measured within 2 %, with more exploration too."""
    config = monitored.config.replace(monitor="parallel", replicas=1, monitors=1)
    (row,) = read_table(train(config, tmp_path / "run").folder / "monitor.csv")
    exact = read_table(monitored.folder / "monitor.csv")[3]
    for name in ("payoff", "exploitability", "equilibrium_gain"):
        assert row[name] == pytest.approx(exact[name], rel=0.06)
    assert np.isfinite([value for name, value in row.items() if name != "meaning"]).all()
    assert row["meaning"] == "20 agents, estimate; any stationary deviation of one agent"
    assert exact["meaning"] == "mean field, exact; any stationary deviation of one agent"


def test_payoff_changes_are_those_of_the_evaluator(monitored: Run, tmp_path: Path) -> None:
    """Of the last epoch, with the same random draws before and after; and training is as it was."""
    config = monitored.config.replace(monitor="payoff")
    run = train(config, tmp_path / "run")
    rows = read_table(run.folder / "monitor.csv")
    assert [row["step"] for row in rows] == [100, 200, 300, 400] * 2
    replica, game = Replica(config, 1), make("matching", **GAME)
    payoffs = []
    for _ in range(2):
        while replica.epoch < config.n_epochs - 1 + len(payoffs):
            replica.run_epoch()
        learner = replica.learner
        payoffs.append(payoff_estimates(game, learner.policy.copy(), learner.q, seed=[config.seed, 1, 2]))
    assert rows[-1]["payoff"] == pytest.approx(payoffs[1].values.mean())
    assert rows[-1]["payoff_change_max"] == pytest.approx(payoffs[0].largest_change(payoffs[1]))
    assert rows[-1]["payoff_change_max"] > 0
    assert np.array_equal(run.policies[1].thresholds, monitored.policies[1].thresholds)
    (figure,) = [path for path in plot(run, ("png",)) if path.name == "payoff_change.png"]
    assert figure.stat().st_size > 5000


def test_the_figure_is_drawn(monitored: Run) -> None:
    paths = plot(monitored, ("png",))
    (figure,) = [path for path in paths if path.name == "exploitability.png"]
    assert figure.stat().st_size > 5000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"monitor": "often"}, "monitor = 'often' is not allowed; allowed: none, exact, parallel"),
        ({"monitor": "exact", "monitors": 0}, "monitors = 0"),
        ({"monitor": "exact", "game_config": {"allocation": "coin"}}, "mean-field model"),
        ({"monitor": "exact", "game_config": {"n_agents": 10**6}}, "n_agents = 1000000"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    changes: dict[str, Any], message: str, tiny: Tiny, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(tiny(**changes), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
