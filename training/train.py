"""Training: epochs of simulation and learning, recorded, checkpointed, resumable to the bit."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.by_agent import check_by_agent
from agents.learners import TabularLearner, check_returns
from karma_envs import metrics
from karma_envs.config import real, whole
from karma_envs.files import write_text
from karma_envs.game import Transitions
from karma_envs.metrics import Outcome
from karma_envs.registry import game_class
from karma_envs.states import check_arrays, check_values
from training import results
from training.config import TrainConfig, to_yaml
from training.monitor import Monitor
from training.results import ResultsError, Row, Run

_CHUNK_BYTES = 1_000_000  # a buffer that stays in the second-level cache …
_CHUNK_STEPS = 100  # … but long enough to pay for fetching an agent's Q table …
_CHUNK_BYTES_MOST = 64_000_000  # … within bounded memory
_BYTES_PER_AGENT_STEP = 8

_FINITE = -np.finfo(np.float64).max, np.finfo(np.float64).max


class Interrupted(RuntimeError):  # noqa: N818
    """The run was stopped by the user; what was done is in its checkpoint."""


class Replica:
    """One copy of a run: a game, a learner, and the metrics recorded so far.

    Args:
        config: the run's configuration.
        number: which copy; it and the seed determine all random draws.
    """

    def __init__(self, config: TrainConfig, number: int) -> None:
        self.config, self.number = config, number
        self.game = game_class(config.game)(config.game_config)
        self.game.reset(np.random.default_rng([config.seed, number, 0]))
        self.learner = TabularLearner(
            self.game, config.learner, np.random.default_rng([config.seed, number, 1])
        )
        self.epoch = 0
        self.rows: list[Row] = []
        self.karma_rows: list[Row] = []
        self.monitor_rows: list[Row] = []
        self._monitor = None if config.monitor == "none" else Monitor(config, number)
        self._window_start = self.game.outcome()
        self._changes = (0.0, 0.0, 0)  # of policies since the last record: largest, sum of means, epochs
        n_agents = self.game.n_agents
        steps = max(
            _CHUNK_BYTES // (_BYTES_PER_AGENT_STEP * n_agents),
            min(_CHUNK_STEPS, _CHUNK_BYTES_MOST // (_BYTES_PER_AGENT_STEP * n_agents)),
            1,
        )
        self._buffer = Transitions.empty(min(steps, config.epoch_length), n_agents)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch == self.config.n_epochs

    def run_epoch(self) -> None:
        """Simulate and learn for one epoch, then update the policy; record when due."""
        progress = self.epoch / self.config.n_epochs
        records = self._is_due(self.config.epochs_per_record)
        monitor = self._monitor if self._is_due(self.config.epochs_per_monitor) else None
        if monitor is not None:
            monitor.before_epoch(self.learner)
        left = self.config.epoch_length
        while left:
            chunk = self.game.rollout(self.learner.policy, min(left, len(self._buffer)), out=self._buffer)
            left -= len(chunk)
            self.learner.update(chunk, progress=progress, end_of_epoch=left == 0)
        self.epoch += 1
        largest, means, epochs = self._changes
        change = self.learner.policy_change
        self._changes = max(largest, float(change.max())), means + float(change.mean()), epochs + 1
        if records:
            self._record()
        if monitor is not None:
            self.monitor_rows.append(monitor.after_epoch(self.learner, self.epoch * self.config.epoch_length))

    def _is_due(self, epochs: int) -> bool:
        """Whether the next epoch ends a stretch of so many, or the run."""
        return (self.epoch + 1) % epochs == 0 or self.epoch + 1 == self.config.n_epochs

    def _record(self) -> None:
        now = self.game.outcome()
        window = now.since(self._window_start)
        where = {"replica": self.number, "step": self.epoch * self.config.epoch_length}
        self.rows.append(
            {
                **where,
                "window": window.steps,
                "efficiency": window.efficiency,
                "access_fairness": metrics.access_fairness(window.accesses, window.steps),
                "reward_fairness": metrics.reward_fairness(window.rewards, window.steps),
                "karma_gini": metrics.gini(now.karma),
                "policy_change_max": self._changes[0],
                "policy_change_mean": self._changes[1] / self._changes[2],
            }
        )
        values, counts = np.unique(now.karma, return_counts=True)
        self.karma_rows += [
            {**where, "karma": int(value), "share": count / len(now.karma)}
            for value, count in zip(values, counts)
        ]
        self._window_start = now
        self._changes = (0.0, 0.0, 0)

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        arrays: dict[str, NDArray[Any]] = {}
        arrays |= {f"game/{name}": array for name, array in self.game.state_dict().items()}
        arrays |= {f"learner/{name}": array for name, array in self.learner.state_dict().items()}
        arrays |= {
            f"window/{item.name}": np.asarray(getattr(self._window_start, item.name))
            for item in fields(Outcome)
        }
        progress = {
            "epoch": self.epoch,
            "rows": self.rows,
            "karma_rows": self.karma_rows,
            "monitor_rows": self.monitor_rows,
            "changes": self._changes,
        }
        results.write_checkpoint(path, self.config, self.number, progress, arrays)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ResultsError: when the file is damaged or belongs to another run.
        """
        progress, arrays = results.read_checkpoint(path, self.config, self.number)

        def part(name: str) -> dict[str, NDArray[Any]]:
            prefix = f"{name}/"
            return {
                key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
            }

        try:
            self.game.load_state_dict(part("game"))
            self.learner.load_state_dict(part("learner"))
            now = self.game.outcome()
            self.epoch = whole("epoch", progress["epoch"], 0, self.config.n_epochs)
            if now.steps != self.epoch * self.config.epoch_length:
                raise ValueError(f"epoch = {self.epoch}, but the game has played {now.steps} steps")
            window = part("window")
            check_arrays("window", window, {name: np.asarray(value) for name, value in vars(now).items()})
            check_values("window", window, dict.fromkeys(window, _FINITE) | {"steps": (0, now.steps)})
            self._window_start = Outcome(steps=int(window.pop("steps")), **window)
            self.rows, self.karma_rows, self.monitor_rows = (
                _rows(name, progress[name]) for name in ("rows", "karma_rows", "monitor_rows")
            )
            largest, means, epochs = progress["changes"]
            self._changes = (
                real("changes[0]", largest, 0),
                real("changes[1]", means, 0),
                whole("changes[2]", epochs, 0),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{path} is not a usable checkpoint: {error}") from error


def _rows(name: str, rows: Any) -> list[Row]:
    """The rows of one table, as they were recorded."""
    if not isinstance(rows, list) or any(
        not isinstance(row, dict) or row.keys() != rows[0].keys() for row in rows
    ):
        raise ValueError(f"{name} are not the rows of one table")
    return rows


Observer = Callable[[Replica, float], None]
"""Called after each epoch with the replica and the agent-steps per second since the last call."""


@contextlib.contextmanager
def stop_on_signal(stop: threading.Event) -> Iterator[threading.Event]:
    """Let the first Ctrl-C (or SIGTERM) set an event; the second interrupts at once.

    Only the main thread can: in others nothing sets it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    config: TrainConfig,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Train, and keep everything in a folder.

    Args:
        config: the configuration.
        folder: where results go; None for the first free ``runs/<game>-<number>``.
        resume: go on with the run in ``folder`` from its checkpoints; the result is the same to the
            bit as without the interruption.
        observer: called after every epoch, from the replica's thread.
        stop: when it is set, the run stops as after Ctrl-C; whoever gives it looks after signals.

    Returns:
        the finished run.

    Raises:
        ResultsError: when the folder cannot be written, holds another run, or a checkpoint is damaged.
        ConfigError: when the game refuses a rule of the user's, or no file can name it.
        Interrupted: after Ctrl-C or ``stop``; the epoch was finished and a checkpoint written.
    """
    if resume:
        if folder is None:
            raise ResultsError("name the folder of the run to resume")
        run = Run.open(folder)
        if to_yaml(run.config) != to_yaml(config):
            raise ResultsError(f"{folder} holds a run of another configuration")
    else:
        game = game_class(config.game)(config.game_config)  # may be refused, before anything is written
        check_returns(game)
        if config.monitor == "exact":
            check_by_agent(game)
        run = results.create_run(config, folder)
    replicas = [Replica(config, number) for number in range(config.replicas)]
    if resume:
        for replica in replicas:
            if (path := run.checkpoint_path(replica.number)).exists():
                replica.load(path)
    _check_writable(run)
    results.write_metadata(run, status="running")
    started = time.perf_counter()
    signals = stop_on_signal(threading.Event()) if stop is None else contextlib.nullcontext(stop)
    failed = threading.Event()  # of a replica; it stops the others, but nobody else who shares ``stop``
    with signals as stop, ThreadPoolExecutor(_threads(config)) as pool:
        jobs = [pool.submit(_work, run, replica, (stop, failed), observer) for replica in replicas]
        try:
            for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
                job.result()
        except BaseException:
            failed.set()
            raise
    seconds = time.perf_counter() - started
    finished = all(replica.finished for replica in replicas)
    with _writing(run):
        _write_tables(run, replicas)
        if finished:
            results.write_metadata(run, status="finished", seconds_of_last_session=round(seconds, 3))
        else:
            results.write_metadata(run, status="interrupted")
    if not finished:
        raise Interrupted(f"stopped; go on with: karma-envs train {config.game} --resume {run.folder}")
    return run


def _threads(config: TrainConfig) -> int:
    return min(config.threads or os.cpu_count() or 1, config.replicas)


def _work(run: Run, replica: Replica, stops: Sequence[threading.Event], observer: Observer | None) -> None:
    """Run a replica to its end or to a stop; checkpoint now and then and at the stop."""
    path = run.checkpoint_path(replica.number)
    agent_steps = replica.config.epoch_length * replica.game.n_agents
    saved = before = time.perf_counter()
    while not (replica.finished or any(stop.is_set() for stop in stops)):
        replica.run_epoch()
        now = time.perf_counter()
        if observer is not None:
            observer(replica, agent_steps / (now - before))
        before = now
        if now - saved > replica.config.checkpoint_seconds:
            with _writing(run):
                replica.save(path)
            saved = before = time.perf_counter()
    with _writing(run):
        replica.save(path)
        if replica.finished:
            replica.learner.greedy_policy().save(run.policy_path(replica.number))


def _write_tables(run: Run, replicas: list[Replica]) -> None:
    if rows := [row for replica in replicas for row in replica.rows]:
        results.write_table(run.folder / "metrics.csv", rows)
        results.write_table(
            run.folder / "karma.csv", [row for replica in replicas for row in replica.karma_rows]
        )
    if rows := [row for replica in replicas for row in replica.monitor_rows]:
        results.write_table(run.folder / "monitor.csv", rows)


def _check_writable(run: Run) -> None:
    """Find out before hours of work, not after, that the folder takes no files."""
    with _writing(run):
        write_text(run.folder / "run.json.try", "")
        (run.folder / "run.json.try").unlink()


@contextlib.contextmanager
def _writing(run: Run) -> Iterator[None]:
    """Failures to write are one clear error."""
    try:
        yield
    except OSError as error:
        raise ResultsError(f"cannot write results to {run.folder}: {error.strerror or error}") from error
