"""Sweeps: each trial is the run it says, on every backend, however it is stopped, and errors are clear."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from karma_envs.config import ConfigError
from karma_envs.files import read_npz
from karma_envs.mechanisms import resolve
from training import Interrupted, ResultsError, Run, TrainConfig, train
from training.cli import main
from training.common.config import load_layer, to_yaml
from training.common.tables import read_table
from training.runs.evaluate import evaluate
from training.runs.replica import Replica
from training.sweeps import backends
from training.sweeps.backends import StopFile
from training.sweeps.command import _field_and_values, report
from training.sweeps.config import SweepConfig
from training.sweeps.figures import NothingToDrawError, axes_of, lines, plot_sweep
from training.sweeps.sweep import Progress, Sweep, sweep

Tiny = Callable[..., TrainConfig]
RATES = [0.01, 0.05, 0.1]
BASE = TrainConfig(  # that of the fixture tiny
    game_config={"n_agents": 20}, learner={"initial_q": -50}, n_steps=400, epoch_length=50, records=4, seed=3
)


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs see the file that stops them at their next epoch."""
    monkeypatch.setattr(backends, "_LOOK_SECONDS", 0.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep over three step sizes that was never interrupted; not to be changed."""

    return sweep(BASE, {"learning_rate": RATES}, tmp_path_factory.mktemp("sweeps") / "whole")


def assert_same_results(one: Path, other: Path, trials: int = 3) -> None:
    """Rows but for their seconds, and what the runs have left, bit for bit."""

    def rows(folder: Path) -> list[dict[str, Any]]:
        return [{**row, "seconds": None} for row in read_table(folder / "trials.csv")]

    assert rows(one) == rows(other)
    assert all(row["status"] == "finished" for row in rows(one))
    for number in range(trials):
        folders = one / f"trial-{number:03d}", other / f"trial-{number:03d}"
        for name in ("config.yaml", "metrics.csv", "karma.csv"):
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
        first, second = (read_npz(folder / "policy-0.npz") for folder in folders)
        assert first.keys() == second.keys()
        for name in first.keys() - {"run"}:  # which says whose they are
            np.testing.assert_array_equal(first[name], second[name])


def on_epoch(monkeypatch: pytest.MonkeyPatch, action: Callable[[Replica], None]) -> None:
    """Do something after every epoch of every trial."""
    run_epoch = Replica.run_epoch

    def and_then(self: Replica) -> None:
        run_epoch(self)
        action(self)

    monkeypatch.setattr(Replica, "run_epoch", and_then)


# --- which trials -----------------------------------------------------------------------------------


def test_every_combination_is_a_trial_and_the_last_field_varies_fastest(tiny: Tiny) -> None:
    over = {"karma_mean": np.array([5, 7]), "learning_rate": (0.1, 0.2), "seed": range(2)}
    trials = SweepConfig(tiny(), over).trials()
    assert [tuple(trial.values.values()) for trial in trials] == [
        (5, 0.1, 0), (5, 0.1, 1), (5, 0.2, 0), (5, 0.2, 1),
        (7, 0.1, 0), (7, 0.1, 1), (7, 0.2, 0), (7, 0.2, 1),
    ]  # fmt: skip
    assert [trial.name for trial in trials] == [f"trial-00{number}" for number in range(8)]
    assert trials[5].config == tiny(
        game_config={"n_agents": 20, "karma_mean": 7},
        learner={"initial_q": -50, "learning_rate": 0.1},
        seed=1,
    )


def test_a_rule_of_the_users_is_swept_by_its_name(tiny: Tiny) -> None:
    rule = resolve("payment", "pbs").function
    config = SweepConfig(tiny(), {"payment": ["pbp", rule]})
    name = config.over["payment"][1]
    assert re.fullmatch(r"karma_envs\.mechanisms\.payment\.\w+:\w+", name)
    assert config.trials()[1].config.game_config.payment == name
    assert SweepConfig.from_dict(yaml.safe_load(to_yaml(config))) == config


def test_only_together_need_the_fields_be_allowed() -> None:
    """A mean of 30 is above the default maximum of 20, but not above those that are swept."""
    over = {"karma_max": [60, 80]}
    config = SweepConfig.from_flat("matching", None, {"karma_mean": 30}, over=over)
    assert [trial.config.game_config.karma_max for trial in config.trials()] == [60, 80]
    with pytest.raises(ConfigError, match=r"trial 0 \(karma_max=25\): karma_mean = 30 is not allowed"):
        SweepConfig.from_flat("matching", None, {"karma_mean": 30}, over={"karma_max": [25, 60]})


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({}, "over = {} is not allowed; allowed: a mapping of at least one field"),
        ({"karma_meen": [5]}, r"over = 'karma_meen' is not allowed; .*\(did you mean karma_mean\?\)"),
        ({"learner": [{"algorithm": "sarsa"}]}, "over = 'learner' is not allowed"),
        ({"game": ["matching"]}, "over = 'game' is not allowed"),
        ({"karma_mean": []}, r"over karma_mean = \[\] is not allowed; allowed: a list of at least one value"),
        ({"payment": "pbp"}, "over payment = 'pbp' is not allowed; allowed: a list"),
        ({"karma_mean": 5}, "over karma_mean = 5 is not allowed; allowed: a list"),
        (
            {"karma_mean": [5, 30], "payment": ["pbp", "pbs"]},
            r"trial 2 \(karma_mean=30, payment=pbp\): karma_mean = 30 is not allowed",
        ),
        ({"epoch_length": [50, 60]}, r"trial 1 \(epoch_length=60\): n_steps = 400 is not allowed"),
        ({"urgencies": [[1, 5], [1, -1]]}, r"trial 1 \(urgencies=\[1, -1\]\): urgencies"),
        ({"karma_mean": [5, 5.0]}, r"trials 0 \(karma_mean=5\) and 1 \(karma_mean=5.0\) are equal"),
        ({"payment": ["pbp", "pay_bid_to_peer"]}, "trials 0 .* and 1 .* are equal"),
        (
            {"allocation": ["coin", "highest_bid"], "monitor": ["none", "exact"]},
            r"trial 1 \(allocation=coin, monitor=exact\): game = ",
        ),
    ],
)
def test_a_mistake_is_found_before_any_work(over: Any, message: str, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep(tiny(), over, tmp_path / "sweep")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("karma_mean=5,7,9", [5, 7, 9]),
        ("karma_mean=5", [5]),
        ("karma_mean=[5, 7]", [5, 7]),
        ("n-steps=1e5,2e5", [100_000, 200_000]),
        ("payment=pbp,pbs", ["pbp", "pbs"]),
        ("redistribution='tax(a=1, b=2)',none", ["tax(a=1, b=2)", "none"]),
        ("redistribution=tax(rate=0.1)", ["tax(rate=0.1)"]),
        ("urgencies=[1,5],[1,9]", [[1, 5], [1, 9]]),
        ("urgencies=[[1,5]]", [[1, 5]]),
        ("learning_rate_final=null,.1", [None, 0.1]),
        ("karma_mean=", []),
    ],
)
def test_values_on_the_command_line(text: str, expected: list[Any]) -> None:
    assert _field_and_values(text) == (text.partition("=")[0].replace("-", "_"), expected)


# --- what a sweep leaves ----------------------------------------------------------------------------


def test_a_trial_is_the_run_that_train_makes(tiny: Tiny, tmp_path: Path) -> None:
    """And its row is of that run: the last of its four records, and its evaluation, over two replicas."""
    base = tiny(replicas=2)
    found = sweep(base, {"payment": ["pbs"], "seed": [3, 4]}, tmp_path / "sweep", jobs=2)
    assert found.failed == ()
    assert [row["seed"] for row in found.rows] == [3, 4]
    run = train(base.replace(game_config={"n_agents": 20, "payment": "pbs"}, seed=4), tmp_path / "run")
    trial = Run.open(tmp_path / "sweep" / "trial-001")
    assert trial.config == run.config
    assert (trial.folder / "metrics.csv").read_bytes() == (run.folder / "metrics.csv").read_bytes()
    row, last = found.rows[1], [each for each in run.metrics if each["step"] == 400]
    assert len(last) == 2
    assert row["train_efficiency"] == pytest.approx(sum(each["efficiency"] for each in last) / 2)
    assert row["train_karma_gini"] == pytest.approx(sum(each["karma_gini"] for each in last) / 2)
    learned = evaluate(run)[0].summary.to_dict()
    assert {name: row[name] for name in learned} == learned
    assert row["status"] == "finished"
    assert row["seconds"] > 0
    assert row["error"] is None


def test_the_folder_says_what_was_done(whole: Sweep) -> None:
    values = load_layer(whole.folder / "sweep.yaml")
    assert values["over"] == {"learning_rate": RATES}
    assert TrainConfig.from_dict(values["base"]) == whole.trials[0].config
    assert values["versions"]["numpy"] == np.__version__
    assert Sweep.open(whole.folder) == whole
    assert {path.name for path in whole.folder.iterdir()} == {
        "sweep.yaml", "trials.csv", "trial-000", "trial-001", "trial-002", "digests.json", ".lock",
    }  # fmt: skip
    efficiencies = [row["efficiency"] for row in whole.best_first]
    assert efficiencies == sorted(efficiencies, reverse=True)
    assert len(set(efficiencies)) == 3


def test_the_observer_hears_of_every_trial(tiny: Tiny, tmp_path: Path) -> None:
    seen: list[Progress] = []
    sweep(tiny(), {"learning_rate": RATES}, tmp_path / "sweep", jobs=1, observer=seen.append)
    assert [(each.trials, each.ended, each.running) for each in seen] == [
        (3, 0, 1), (3, 1, 0), (3, 2, 0), (3, 3, 0),
    ]  # fmt: skip
    assert [each.last["trial"] for each in seen if each.last] == [0, 1, 2]


# --- interrupted and resumed ------------------------------------------------------------------------


def test_a_stopped_sweep_goes_on_to_the_same_bits(
    tiny: Tiny, tmp_path: Path, whole: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the fifth epoch of the second of three trials, by the file that stops all machines."""
    folder, over, seen = tmp_path / "sweep", {"learning_rate": RATES}, []

    def stop(replica: Replica) -> None:
        seen.append((replica.config.learner.learning_rate, replica.epoch))
        if seen[-1] == (0.05, 5) and len(seen) == 13:
            (folder / "stop").touch()

    on_epoch(monkeypatch, stop)
    with pytest.raises(Interrupted) as caught:
        sweep(tiny(), over, folder, jobs=1)
    assert str(caught.value) == (
        f"stopped, 1 of 3 trials are finished; go on with: karma-envs sweep --resume {folder}"
    )
    assert [row["status"] for row in Sweep.open(folder).rows] == ["finished", "missing", "missing"]
    assert not (folder / "stop").exists()
    before = (folder / "trial-000" / "run.json").read_bytes()
    seen.clear()
    sweep(tiny(), over, folder, jobs=1)
    assert seen == [(0.05, 6), (0.05, 7), (0.05, 8), *((0.1, epoch) for epoch in range(1, 9))]
    assert (folder / "trial-000" / "run.json").read_bytes() == before
    assert_same_results(folder, whole.folder)
    seen.clear()
    assert sweep(tiny(), over, folder) == Sweep.open(folder)
    assert seen == []


def test_an_observers_error_stops_the_trials_that_run(
    tiny: Tiny, tmp_path: Path, whole: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second trial waits in its first epoch until the first one's end has led to the error."""
    folder, over, raised = tmp_path / "sweep", {"learning_rate": RATES}, threading.Event()
    tell = StopFile.set

    def tell_and_note(self: StopFile) -> None:
        tell(self)
        raised.set()

    def hold(replica: Replica) -> None:
        if replica.config.learner.learning_rate == 0.05:
            assert raised.wait(60)

    monkeypatch.setattr(StopFile, "set", tell_and_note)
    on_epoch(monkeypatch, hold)

    def fail(progress: Progress) -> None:
        if progress.last is not None:
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        sweep(tiny(), over, folder, jobs=2, observer=fail)
    monkeypatch.undo()
    assert not (folder / "trial-001" / "policy-0.npz").exists()
    assert (folder / "trial-001" / "checkpoint-0.npz").exists()
    sweep(tiny(), over, folder)
    assert_same_results(folder, whole.folder)


INTERRUPTED = """
    import os, signal, sys, time
    from training.cli import main
    from training.runs.train import Replica

    run_epoch = Replica.run_epoch

    def interrupting(self):
        run_epoch(self)
        if self.config.learner.learning_rate == 0.05 and self.epoch == 3:
            os.kill(os.getpid(), signal.SIGINT)
            while not os.path.exists(sys.argv[1]):  # the main thread handles the signal
                time.sleep(0.01)
            time.sleep(0.3)  # and the trial looks

    Replica.run_epoch = interrupting
    sys.exit(main(sys.argv[2:]))
"""


def test_ctrl_c_finishes_the_epoch_and_says_how_to_go_on(
    tiny: Tiny, tmp_path: Path, whole: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(to_yaml(tiny()))
    folder = tmp_path / "sweep"
    arguments = [
        "sweep", str(tmp_path / "config.yaml"), "--over", "learning_rate=.01,.05,.1", "--folder", str(folder),
        "--jobs", "1", "--quiet", "--no-figures",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(INTERRUPTED), str(folder / "stop"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == ""
    assert done.stdout == (
        f"stopped, 1 of 3 trials are finished; go on with: karma-envs sweep --resume {folder}\n"
    )
    assert not (folder / "stop").exists()
    assert len(Run.open(folder / "trial-001").metrics) == 1  # of four; a record every two epochs
    assert not (folder / "trial-002").exists()

    assert main(["sweep", "--resume", str(folder), "--no-figures"]) == 0
    out = capsys.readouterr().out
    assert "3/3" in out
    assert out.endswith(f"all trials are in {folder / 'trials.csv'}\n")
    assert_same_results(folder, whole.folder)


def test_a_trial_whose_policy_is_gone_is_run_again(tiny: Tiny, tmp_path: Path) -> None:
    over, folder = {"learning_rate": RATES[:2]}, tmp_path / "sweep"
    sweep(tiny(), over, folder)
    policy = (folder / "trial-001" / "policy-0.npz").read_bytes()
    (folder / "trial-001" / "policy-0.npz").unlink()
    assert [row["status"] for row in Sweep.open(folder).rows] == ["finished", "missing"]
    sweep(tiny(), over, folder)
    assert (folder / "trial-001" / "policy-0.npz").read_bytes() == policy


def test_a_failing_trial_does_not_lose_the_others(
    tiny: Tiny, tmp_path: Path, whole: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is in the table; once the cause is gone, it alone is tried again."""

    def fail(replica: Replica) -> None:
        if replica.config.learner.learning_rate == 0.05 and replica.epoch == 6:
            raise FloatingPointError("not a number,\n  it seems")

    folder, over = tmp_path / "sweep", {"learning_rate": RATES}
    with monkeypatch.context() as patch:
        on_epoch(patch, fail)
        found = sweep(tiny(checkpoint_seconds=0), over, folder, jobs=2)
    assert [row["status"] for row in found.rows] == ["finished", "failed", "finished"]
    (failed,) = found.failed
    assert failed["error"] == "FloatingPointError: not a number, it seems"
    assert failed["efficiency"] is None
    assert Sweep.open(folder) == found
    seen: list[int] = []
    on_epoch(monkeypatch, lambda replica: seen.append(replica.epoch))
    assert sweep(tiny(checkpoint_seconds=0), over, folder).failed == ()
    assert seen == [6, 7, 8]
    for row, expected in zip(Sweep.open(folder).rows, whole.rows):
        assert {**row, "seconds": None} == {**expected, "seconds": None}


def test_another_sweep_is_refused(tiny: Tiny, tmp_path: Path, whole: Sweep, finished_folder: Path) -> None:
    before = (whole.folder / "sweep.yaml").read_bytes()
    for base, over in (
        (tiny(), {"learning_rate": RATES[:2]}),
        (tiny(seed=4), {"learning_rate": RATES}),
        (tiny(), {"learning_rate": RATES, "seed": [3]}),
    ):
        with pytest.raises(ResultsError, match="holds another sweep; choose another folder"):
            sweep(base, over, whole.folder)
    assert (whole.folder / "sweep.yaml").read_bytes() == before
    with pytest.raises(ResultsError, match="holds a run; choose another folder"):
        sweep(tiny(), {"learning_rate": RATES}, finished_folder)
    with pytest.raises(ResultsError, match=r"holds no sweep: there is no sweep\.yaml in it"):
        Sweep.open(finished_folder)
    (tmp_path / "sweep.yaml").write_text("base: 3")
    with pytest.raises(ResultsError, match=r"sweep\.yaml: TrainConfig = 3 is not allowed"):
        Sweep.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write results to"):
        sweep(tiny(), {"learning_rate": RATES}, tmp_path / "file" / "sweep")


# --- backends ---------------------------------------------------------------------------------------


def test_processes_give_the_same_bits(tiny: Tiny, tmp_path: Path, whole: Sweep) -> None:
    pytest.importorskip("joblib")
    sweep(tiny(), {"learning_rate": RATES}, tmp_path / "sweep", backend="joblib", jobs=2)
    assert_same_results(tmp_path / "sweep", whole.folder)


def test_ray_gives_the_same_bits(tiny: Tiny, tmp_path: Path, whole: Sweep) -> None:
    pytest.importorskip("ray")
    sweep(tiny(), {"learning_rate": RATES}, tmp_path / "sweep", backend="ray", jobs=2)
    assert_same_results(tmp_path / "sweep", whole.folder)


class FakeRay(types.ModuleType):
    """Runs a task when it is asked for; loses the task of the second job."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = types.SimpleNamespace(RayError=RuntimeError)
        self.calls: list[Any] = []
        self.most = 0

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: Any) -> None:
        self.calls.append(options)

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def remote(self, work: Callable[[Any], Any]) -> Any:
        return types.SimpleNamespace(remote=lambda job: (work, job))

    def wait(self, running: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(running))
        return running[-num_returns:], running[:-num_returns]

    def get(self, task: tuple[Callable[[Any], Any], Any]) -> Any:
        work, job = task
        if job == 1:
            raise RuntimeError("the node died")
        return work(job)


@pytest.mark.parametrize("address", ["", "10.0.0.1:6379"])
def test_ray_is_given_as_many_tasks_as_there_is_room_for(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("RAY_ADDRESS", address)
    ends = dict(backends.on_ray(lambda job: 10 * job, iter(range(5)), 0))
    assert str(ends.pop(1)) == "the node died"
    assert ends == {0: 0, 2: 20, 3: 30, 4: 40}
    assert ray.most == 2
    assert ray.calls[0].get("address") == ("auto" if address else None)
    assert ray.calls[1:] == ["shutdown"]


def test_threads_take_jobs_as_there_is_room() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(5):
            taken.append(job)
            yield job

    ends = backends.in_threads(lambda job: 10 * job, jobs(), 2)
    job, result = next(ends)
    assert result == 10 * job
    assert taken == [0, 1]
    assert {job, *(each for each, _ in ends)} == set(range(5))


class FakeJoblib(types.ModuleType):
    """Takes two jobs at first and loses their processes; then does what is left."""

    def __init__(self) -> None:
        super().__init__("joblib")
        self.lost = False
        self.options: dict[str, Any] = {}

    def Parallel(self, at_once: int, **options: Any) -> Any:  # noqa: N802
        self.options = options
        return self.run

    def delayed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (work, arguments)

    def run(self, calls: Iterator[Any]) -> Iterator[Any]:
        if not self.lost:
            self.lost = True
            next(calls), next(calls)
            raise BrokenProcessPool("killed")
        for work, arguments in calls:
            yield work(*arguments)


def test_lost_processes_do_not_lose_the_jobs_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    joblib = FakeJoblib()
    monkeypatch.setitem(sys.modules, "joblib", joblib)
    ends = list(backends.in_processes(lambda job: 10 * job, iter(range(4)), 2))
    assert [(job, str(result)) for job, result in ends] == [
        (0, "killed"), (1, "killed"), (2, "20"), (3, "30"),
    ]  # fmt: skip
    assert joblib.options["pre_dispatch"] == 2


def test_a_lost_task_is_a_failed_trial(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(work: Any, jobs: Iterator[Any], at_once: int) -> Any:
        for job in jobs:
            yield job, RuntimeError("the node died") if job.trial == 0 else work(job)

    monkeypatch.setitem(backends.BACKENDS, "threads", lose)  # type: ignore[arg-type]
    found = sweep(tiny(), {"seed": [1, 2]}, tmp_path / "sweep")
    assert [row["status"] for row in found.rows] == ["failed", "finished"]
    assert found.rows[0]["error"] == "RuntimeError: the node died"


@pytest.mark.parametrize("backend", ["joblib", "ray"])
def test_a_backend_that_is_not_installed(
    backend: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(ResultsError, match=r"needs \w+: pip install 'karma-envs\[distributed\]'"):
        sweep(tiny(), {"seed": [1, 2]}, tmp_path / "sweep", backend=backend)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="backend = 'slurm' is not allowed; allowed: threads, joblib, ray"):
        sweep(tiny(), {"seed": [1, 2]}, tmp_path / "sweep", backend="slurm")


def test_a_run_can_be_told_to_stop(tiny: Tiny, tmp_path: Path) -> None:
    """By an event that whoever gave it may share; signals are then not the run's business."""
    stop, handlers = threading.Event(), []

    def observer(replica: Replica, rate: float) -> None:
        handlers.append(signal.getsignal(signal.SIGINT))
        if replica.epoch == 3:
            stop.set()

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        train(tiny(), tmp_path / "run", observer=observer, stop=stop)
    assert handlers == [before] * 3

    def fail(replica: Replica, rate: float) -> None:
        raise ConnectionAbortedError

    stop.clear()
    with pytest.raises(ConnectionAbortedError):
        train(tiny(replicas=2), tmp_path / "failing", observer=fail, stop=stop)
    assert not stop.is_set()


# --- the command ------------------------------------------------------------------------------------


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
    (panel,) = lines(found, ["payment"], "efficiency").axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["pbs", "pbp"]
    points = {container.get_label(): [*zip(*container.lines[0].get_data())] for container in panel.containers}
    assert points["redistribution=uniform"] == [(pytest.approx(-0.15), -1.0), (pytest.approx(0.85), -1.02)]
    assert points["redistribution=none"] == [(pytest.approx(1.15), -1.03)]
    (panel,) = lines(found, ["payment"], "access_fairness").axes
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
