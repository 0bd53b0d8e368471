"""Training runs: the same to the bit however they are cut up, killed and resumed; nothing lost silently."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from agents.learners import LearnerConfig, TabularLearner
from karma_envs import make, metrics
from karma_envs.config import ConfigError
from karma_envs.files import read_npz, write_npz
from training import ResultsError, Run, TrainConfig, train
from training.common.config import to_yaml
from training.common.tables import read_table
from training.runs.replica import Replica

train_module = sys.modules[Replica.__module__]  # `training.runs.train` is the function
Tiny = Callable[..., TrainConfig]


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same_results(one: Path, other: Path, replicas: int = 1) -> None:
    """Metrics, karma distributions and policies, bit for bit."""
    for name in ("metrics.csv", "karma.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    for number in range(replicas):
        assert_same_policy(one, other, number, number)


def assert_same_policy(one: Path, other: Path, number: int, other_number: int) -> None:
    first = read_npz(one / f"policy-{number}.npz")
    second = read_npz(other / f"policy-{other_number}.npz")
    assert first.keys() == second.keys()
    for name in first.keys() - {"run"}:  # which says whose they are
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def status(folder: Path) -> str:
    return str(json.loads((folder / "run.json").read_text())["status"])


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
    learner = TabularLearner(game, LearnerConfig(initial_q=-50), np.random.default_rng([3, 0, 1]))
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
                    "karma_gini": metrics.gini(window.karma),
                    "policy_change_mean": sum(means[-2:]) / 2,
                }
            )
    found = run.metrics
    changes = [row.pop("policy_change_max") for row in found]
    assert found == rows
    assert min(changes) > 0
    np.testing.assert_array_equal(run.policy.thresholds, learner.greedy_policy().thresholds)
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


# --- interrupted and resumed ------------------------------------------------------------------------


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_killed_run_is_resumed_to_the_same_bits(tiny: Tiny, tmp_path: Path, finished_folder: Path) -> None:
    """SIGKILL in the fifth epoch of the second replica; the first one is wherever it is."""
    config = tiny(replicas=2, threads=2, checkpoint_seconds=0)
    code = """
        import os, signal, sys
        from training import TrainConfig, train
        from training.common.config import load_layer

        def kill(replica, rate):
            if (replica.number, replica.epoch) == (1, 5):
                os.kill(os.getpid(), signal.SIGKILL)

        train(TrainConfig.from_dict(load_layer(sys.argv[1])), sys.argv[2], observer=kill)
    """
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    folder = tmp_path / "run"
    done = python(code, str(tmp_path / "config.yaml"), str(folder))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert status(folder) == "running"
    assert not (folder / "metrics.csv").exists()
    assert not (folder / "policy-1.npz").exists()
    metadata = json.loads(read_npz(folder / "checkpoint-1.npz")["metadata"].tobytes())
    assert metadata["progress"]["epoch"] == 4

    seen: list[int] = []
    train(
        config,
        folder,
        resume=True,
        observer=lambda replica, _: seen.append(replica.epoch) if replica.number else None,
    )
    assert seen == [5, 6, 7, 8]
    assert status(folder) == "finished"
    assert_same_results(folder, finished_folder, replicas=2)


INTERRUPTED = """
    import os, signal, sys, time
    from training.cli import main
    from training.runs.train import Replica

    run_epoch = Replica.run_epoch

    def interrupting(self):
        run_epoch(self)
        if self.epoch == 3:
            os.kill(os.getpid(), signal.Signals[sys.argv[1]])
            time.sleep(1)  # the main thread handles the signal

    Replica.run_epoch = interrupting
    sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_finishes_the_epoch_and_says_how_to_go_on(name: str, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny()
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    folder = tmp_path / "run"
    done = python(
        INTERRUPTED, name, "train", "matching", "--quiet",
        "--config", str(tmp_path / "config.yaml"), "--folder", str(folder),
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert done.stderr == ""
    assert done.stdout == f"stopped; go on with: karma-envs train matching --resume {folder}\n"
    assert set(contents(folder)) == {
        "config.yaml", "run.json", "metrics.csv", "karma.csv", "checkpoint-0.npz", "digests.json", ".lock",
    }  # fmt: skip
    assert status(folder) == "interrupted"
    assert [row["step"] for row in Run.open(folder).metrics] == [100]
    with pytest.raises(ResultsError, match=r"has not finished, policy-0\.npz is missing"):
        _ = Run.open(folder).policies

    train(config, folder, resume=True)
    train(config, tmp_path / "whole")
    assert_same_results(folder, tmp_path / "whole")


@pytest.mark.parametrize(
    "learner",
    [
        {"algorithm": "sarsa", "update_probability": 0.5},
        {"algorithm": "expected_sarsa", "grouping": "pooled"},
        {
            "algorithm": "q_learning",
            "learning_rate_schedule": "inverse",
            "learning_rate_final": 0.001,
            "grouping": "per_type",
        },
    ],
    ids=lambda learner: learner["algorithm"],
)
def test_every_learner_resumes_to_the_same_bits(learner: dict[str, Any], tiny: Tiny, tmp_path: Path) -> None:
    """Broken off twice, the second time between two records."""
    config = tiny(learner=learner, checkpoint_seconds=0)
    train(config, tmp_path / "whole")

    def break_off_at(epoch: int) -> Callable[[Replica, float], None]:
        def observer(replica: Replica, rate: float) -> None:
            if replica.epoch == epoch:
                raise ConnectionAbortedError

        return observer

    folder = tmp_path / "broken"
    for epoch, resume in ((3, False), (6, True)):
        with pytest.raises(ConnectionAbortedError):
            train(config, folder, resume=resume, observer=break_off_at(epoch))
    train(config, folder, resume=True)
    assert_same_results(folder, tmp_path / "whole")


def test_a_run_without_a_checkpoint_is_resumed_from_the_start(
    tiny: Tiny, tmp_path: Path, unfinished_folder: Path
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    (folder / "checkpoint-0.npz").unlink()
    config = Run.open(folder).config
    train(config, folder, resume=True)
    train(config, tmp_path / "whole")
    assert_same_results(folder, tmp_path / "whole")


def test_resuming_a_finished_run_changes_no_result(tmp_path: Path, finished_folder: Path) -> None:
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    before = contents(folder)
    train(Run.open(folder).config, folder, resume=True)
    after = contents(folder)
    for results in (before, after):
        results.pop("run.json")  # when it was written
    assert after == before


def test_only_a_run_can_be_resumed_and_only_as_it_was(
    tiny: Tiny, tmp_path: Path, unfinished_folder: Path
) -> None:
    with pytest.raises(ResultsError, match=r"run holds no run: there is no config\.yaml"):
        train(tiny(), tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ResultsError, match="name the folder of the run to resume"):
        train(tiny(), resume=True)
    before = contents(unfinished_folder)
    with pytest.raises(ResultsError, match=f"{unfinished_folder} holds a run of another configuration"):
        train(Run.open(unfinished_folder).config.replace(seed=4), unfinished_folder, resume=True)
    assert contents(unfinished_folder) == before


# --- damaged, foreign, unwritable -------------------------------------------------------------------


def truncated(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def edited(path: Path, **changes: Any) -> None:
    """A checkpoint with other metadata."""
    arrays = read_npz(path)
    metadata = {**json.loads(arrays["metadata"].tobytes()), **changes}
    arrays["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    write_npz(path, arrays)


def without(path: Path, name: str) -> None:
    arrays = read_npz(path)
    del arrays[name]
    write_npz(path, arrays)


def with_fewer_agents(path: Path) -> None:
    arrays = read_npz(path)
    arrays["learner/q"] = arrays["learner/q"][:-1]
    write_npz(path, arrays)


def as_pickle(path: Path) -> None:
    arrays = {**read_npz(path), "game/karma": np.array([{"not": "numbers"}], object)}
    np.savez(path, allow_pickle=True, **arrays)


def as_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: truncated(path, 0),
    "truncated at the start": lambda path: truncated(path, 0.1),
    "truncated in the middle": lambda path: truncated(path, 0.5),
    "truncated at the end": lambda path: truncated(path, 0.99),
    "text": lambda path: path.write_text("epoch: 5"),
    "npy": as_npy,
    "pickle": as_pickle,
    "foreign npz": lambda path: np.savez(path, weights=np.zeros(3)),
    "a policy": lambda path: TabularPolicy(np.ones((1, 2, 1))).save(path),
    "another format": lambda path: edited(path, format="somebody else's checkpoint"),
    "a later version": lambda path: edited(path, version=2),
    "another run's": lambda path: edited(path, config="seed: 7\n"),
    "another replica's": lambda path: edited(path, replica=1),
    "no progress": lambda path: edited(path, progress=None),
    "progress without epoch": lambda path: edited(path, progress={"rows": []}),
    "without karma": lambda path: without(path, "game/karma"),
    "without Q": lambda path: without(path, "learner/q"),
    "without the window": lambda path: without(path, "window/rewards"),
    "of fewer agents": with_fewer_agents,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_checkpoint_is_refused(
    damage: str, tmp_path: Path, unfinished_folder: Path
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    path = folder / "checkpoint-0.npz"
    DAMAGE[damage](path)
    before = contents(folder)
    with pytest.raises(ResultsError, match=r"checkpoint-0\.npz is (not a usable|the) checkpoint") as caught:
        train(Run.open(folder).config, folder, resume=True)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(folder) == before


def test_flipped_bits_never_pass_unnoticed(tmp_path: Path, unfinished_folder: Path) -> None:
    """In 200 random places (seed 20): refused, or the damage is in bytes that carry nothing."""
    config = Run.open(unfinished_folder).config
    path = tmp_path / "checkpoint-0.npz"
    content = (unfinished_folder / "checkpoint-0.npz").read_bytes()
    path.write_bytes(content)
    whole = Replica(config, 0)
    whole.load(path)
    rng = np.random.default_rng(20)
    refused = 0
    replica = Replica(config, 0)
    # Half of the places in the zip file's directory and the metadata, which are few bytes but brittle.
    places = [*rng.integers(len(content), size=100), *(len(content) - rng.integers(1, 2000, size=100))]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            replica.load(path)
        except ResultsError:
            refused += 1
            continue
        for name, array in whole.learner.state_dict().items():
            np.testing.assert_array_equal(replica.learner.state_dict()[name], array, err_msg=name)
        for name, array in whole.game.state_dict().items():
            np.testing.assert_array_equal(replica.game.state_dict()[name], array, err_msg=name)
        assert (replica.epoch, replica.rows) == (whole.epoch, whole.rows)
    assert refused > 100


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that begins fails the test."""

    def work(self: Replica) -> None:
        raise AssertionError("the run has begun")

    monkeypatch.setattr(Replica, "run_epoch", work)


@pytest.mark.usefixtures("no_work")
def test_a_folder_that_cannot_be_is_refused_before_any_work(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ResultsError, match=f"cannot write results to {tmp_path / 'file' / 'run'}: "):
        train(tiny(), tmp_path / "file" / "run")
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("function", ["os.replace", "os.fsync"])
def test_a_folder_that_takes_no_files_is_refused_before_any_work(
    function: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(function, refuse)
    with pytest.raises(ResultsError, match=f"cannot write results to {tmp_path}: Read-only file system"):
        train(tiny(), tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.usefixtures("no_work")
def test_resuming_in_a_folder_that_takes_no_files_is_refused_before_any_work(
    tmp_path: Path, unfinished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    before = contents(folder)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ResultsError, match=f"cannot write results to {folder}: Read-only file system"):
        train(Run.open(folder).config, folder, resume=True)
    assert contents(folder) == before


def test_a_disk_that_fills_up_is_one_clear_error(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Replica, *_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Replica, "save", full)
    with pytest.raises(ResultsError, match=f"cannot write results to {tmp_path}: No space left on device"):
        train(tiny(), tmp_path)


@pytest.mark.usefixtures("no_work")
def test_a_run_is_not_overwritten(tiny: Tiny, finished_folder: Path) -> None:
    before = contents(finished_folder)
    with pytest.raises(ResultsError, match=rf"holds a run already; .* \(--resume {finished_folder}\)"):
        train(tiny(), finished_folder)
    assert contents(finished_folder) == before


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
