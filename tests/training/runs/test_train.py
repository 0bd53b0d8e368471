"""Training: a run is what its parts do by hand, the same to the bit, with rules of the user's too."""

from __future__ import annotations

import importlib
import json
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from agents.learners import TabularConfig, TabularLearner
from karma_envs import make, metrics
from karma_envs.config import ConfigError
from tests.training.runs.run_results import Tiny, assert_same_policy, assert_same_results, contents, status
from training import Run, train
from training.common.config import to_yaml
from training.common.tables import read_table
from training.runs.replica import Replica

train_module = sys.modules[Replica.__module__]  # `training.runs.train` is the function


# --- what a run leaves ------------------------------------------------------------------------------


def test_a_run_is_what_its_parts_do_by_hand(tiny: Tiny, tmp_path: Path) -> None:
    run = train(tiny(), tmp_path / "run")
    assert set(contents(run.folder)) == {
        *("config.yaml", "run.json", "metrics.csv", "karma.csv", "policy-0.npz", "checkpoint-0.npz"),
        *("digests.json", ".lock"),
    }  # fmt: skip
    assert Run.open(run.folder) == run
    assert status(run.folder) == "finished"

    game = make("matching", n_agents=20)
    game.reset(np.random.default_rng([3, 0, 0]))
    learner = TabularLearner(game, TabularConfig(initial_q=-50), np.random.default_rng([3, 0, 1]))
    before, rows, means = game.outcome(), [], []
    for epoch in range(1, 9):
        learner.update(game.rollout(learner.policy, 50))
        means.append(learner.policy_change.mean())
        if epoch % 2 == 0:
            window = game.outcome().since(before)
            before = game.outcome()
            rows.append(
                {
                    "replica": 0,
                    "step": 50 * epoch,
                    "window": 100,
                    "efficiency": window.efficiency,
                    "access_fairness": metrics.access_fairness(window.accesses, 100),
                    "reward_fairness": metrics.reward_fairness(window.rewards, 100),
                    "access_gini": metrics.gini(window.accesses / 100),
                    "karma_gini": metrics.gini(window.karma),
                    "nash_welfare": metrics.nash_welfare((window.rewards - window.losses_if_never) / 100),
                    "policy_change_mean": sum(means[-2:]) / 2,
                }
            )
    found = run.metrics
    changes = [row.pop("policy_change_max") for row in found]
    assert found == rows
    assert min(changes) > 0
    np.testing.assert_array_equal(run.policy.thresholds, learner.learned_policy().thresholds)
    assert run.policy.row_of_agent.tolist() == list(range(20))


def test_karma_is_recorded_with_the_metrics(finished_folder: Path) -> None:
    rows = read_table(finished_folder / "karma.csv")
    assert [*rows[0]] == ["replica", "step", "karma", "share"]
    for replica in (0, 1):
        for step in (100, 200, 300, 400):
            here = [row for row in rows if row["replica"] == replica and row["step"] == step]
            assert sum(row["share"] for row in here) == pytest.approx(1)
            assert sum(row["share"] * row["karma"] for row in here) == pytest.approx(10)
            assert all(0 <= row["karma"] <= 20 for row in here)


def test_the_last_record_takes_in_what_is_left(tiny: Tiny, tmp_path: Path) -> None:
    """7 epochs, 3 records asked for: one every 2 epochs, and one at the end."""
    rows = train(tiny(n_steps=350, records=3), tmp_path / "run").metrics
    assert [row["step"] for row in rows] == [100, 200, 300, 350]
    assert [row["window"] for row in rows] == [100, 100, 100, 50]


def test_the_largest_policy_change_is_over_agents_and_epochs(tiny: Tiny, tmp_path: Path) -> None:
    changes: list[float] = []

    def observer(replica: Replica, rate: float) -> None:
        changes.append(replica.learner.policy_change.max())

    run = train(tiny(), tmp_path / "run", observer=observer)
    assert [row["policy_change_max"] for row in run.metrics] == [
        max(changes[start : start + 2]) for start in (0, 2, 4, 6)
    ]


def test_the_observer_sees_every_epoch(tiny: Tiny, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def observer(replica: Replica, rate: float) -> None:
        assert rate > 0
        seen.append((replica.number, replica.epoch))

    train(tiny(replicas=2), tmp_path / "run", observer=observer)
    assert sorted(seen) == [(number, epoch) for number in range(2) for epoch in range(1, 9)]


def test_where_results_come_from_is_kept(finished_folder: Path) -> None:
    known = json.loads((finished_folder / "run.json").read_text())
    assert {"written", "python", "versions", "commit", "status"} <= known.keys()
    assert known["versions"]["numpy"] == np.__version__
    assert known["status"] == "finished"


def test_folders_are_numbered(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = tiny(n_steps=50)
    assert [train(config).folder for _ in range(2)] == [
        Path("runs/matching-001"),
        Path("runs/matching-002"),
    ]
    assert Run.open(tmp_path / "runs" / "matching-002").config == config


# --- the same to the bit ----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sarsa", "q_learning", "expected_sarsa"])
def test_the_same_seed_gives_the_same_bits(algorithm: str, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(learner={"algorithm": algorithm, "update_probability": 0.5})
    for name in ("one", "two"):
        train(config, tmp_path / name)
    assert_same_results(tmp_path / "one", tmp_path / "two")
    train(config.replace(seed=4), tmp_path / "other")
    assert (tmp_path / "one" / "metrics.csv").read_bytes() != (
        tmp_path / "other" / "metrics.csv"
    ).read_bytes()


def test_replicas_do_not_see_each_other(tiny: Tiny, tmp_path: Path, finished_folder: Path) -> None:
    """Two at once, one after the other, and the first one alone."""
    train(tiny(replicas=2, threads=2), tmp_path / "threads")
    assert_same_results(tmp_path / "threads", finished_folder, replicas=2)
    alone = train(tiny(), tmp_path / "alone")
    assert_same_policy(alone.folder, finished_folder, 0, 0)
    rows = Run.open(finished_folder).metrics
    assert rows[:4] == alone.metrics
    assert [row["replica"] for row in rows] == [0] * 4 + [1] * 4
    assert rows[0]["efficiency"] != rows[4]["efficiency"]


@pytest.mark.parametrize("grouping", ["independent", "per_type", "pooled"])
def test_the_length_of_chunks_changes_nothing(
    grouping: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(learner={"grouping": grouping})
    train(config, tmp_path / "whole")
    monkeypatch.setattr(train_module, "_CHUNK_BYTES", 1)
    monkeypatch.setattr(train_module, "_CHUNK_STEPS", 7)
    chunks: list[int] = []
    update = TabularLearner.update

    def counted(self: TabularLearner, transitions: Any, **kwargs: Any) -> TabularPolicy:
        chunks.append(len(transitions))
        return update(self, transitions, **kwargs)

    monkeypatch.setattr(TabularLearner, "update", counted)
    train(config, tmp_path / "chunked")
    assert chunks == [7, 7, 7, 7, 7, 7, 7, 1] * 8
    assert_same_results(tmp_path / "whole", tmp_path / "chunked")


def test_learning_rates_follow_the_progress_of_the_run(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    update = TabularLearner.update

    def watched(self: TabularLearner, transitions: Any, **kwargs: Any) -> TabularPolicy:
        seen.append(kwargs["progress"])
        return update(self, transitions, **kwargs)

    monkeypatch.setattr(TabularLearner, "update", watched)
    train(tiny(), tmp_path / "run")
    assert seen == [epoch / 8 for epoch in range(8)]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_replica_that_fails_stops_the_others(failing: int, tiny: Tiny, tmp_path: Path) -> None:
    """The other one would take 3 seconds; it stops early, and keeps what it did."""
    begun, failed = threading.Event(), threading.Event()

    def observer(replica: Replica, rate: float) -> None:
        if replica.number == failing:
            begun.wait(60)  # or a busy machine has it fail before the other one starts
            failed.set()
            raise ConnectionAbortedError
        begun.set()
        failed.wait(60)
        time.sleep(0.01)

    config = tiny(n_steps=300, epoch_length=1, replicas=2, threads=2)
    with pytest.raises(ConnectionAbortedError):
        train(config, tmp_path, observer=observer)
    other = Replica(config, 1 - failing)
    other.load(tmp_path / f"checkpoint-{1 - failing}.npz")
    assert 1 <= other.epoch < 300
    assert not (tmp_path / f"policy-{1 - failing}.npz").exists()


def test_training_works_in_any_thread(tiny: Tiny, tmp_path: Path) -> None:
    """Only the main thread can listen to Ctrl-C."""
    train(tiny(), tmp_path / "main")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(train, tiny(), tmp_path / "thread").result()
    assert_same_results(tmp_path / "main", tmp_path / "thread")


def test_signal_handlers_are_put_back(tiny: Tiny, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(tiny(n_steps=50), tmp_path / "run")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# --- rules of the user's ----------------------------------------------------------------------------

RULES = """
def pay_half(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    to_loser = min(winner_bid // 2, karma_max - loser_karma)
    return to_loser, winner_bid - to_loser


def print_karma(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return winner_bid + 1, 0
"""


@pytest.fixture
def my_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of rules, which other processes do not have."""
    (tmp_path / "rules_of_a_user.py").write_text(RULES)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("rules_of_a_user")
    del sys.modules["rules_of_a_user"]


def test_a_rule_of_ones_own_survives_the_file(my_rules: Any, tiny: Tiny, tmp_path: Path) -> None:
    """As a function or by its name, the run is the same, and can be opened again."""
    by_name = tiny(game_config={"n_agents": 20, "payment": "rules_of_a_user:pay_half"})
    by_function = tiny(game_config={"n_agents": 20, "payment": my_rules.pay_half})
    assert to_yaml(by_function) == to_yaml(by_name)
    assert "payment: rules_of_a_user:pay_half\n" in to_yaml(by_name)
    first, second = train(by_name, tmp_path / "name"), train(by_function, tmp_path / "function")
    assert_same_results(first.folder, second.folder)
    opened = Run.open(second.folder, trust=True).config
    assert opened == by_name
    train(opened, second.folder, resume=True)
    other = train(tiny(), tmp_path / "other")
    assert other.metrics[0]["efficiency"] != first.metrics[0]["efficiency"]


def test_a_rule_that_no_file_can_name_is_refused_before_anything_is_written(
    my_rules: Any, tiny: Tiny, tmp_path: Path
) -> None:
    unnamed = lambda winner_bid, loser_bid, loser_karma, karma_max, parameters: (0, winner_bid)  # noqa: E731
    my_rules.pay_half.__module__ = "__main__"
    for rule in (unnamed, my_rules.pay_half):
        config = tiny(game_config={"n_agents": 20, "payment": rule})
        with pytest.raises(ConfigError, match="define the rule in a module that can be imported"):
            train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_rule_that_breaks_the_game_leaves_no_run_behind(my_rules: Any, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(game_config={"n_agents": 20, "payment": my_rules.print_karma})
    with pytest.raises(ConfigError, match=r"payment = .* is not allowed; .* it gives \(1, 0\)"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
