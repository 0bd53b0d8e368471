"""Training: epochs of simulation and learning, recorded, checkpointed, resumable to the bit."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from agents.evaluators.exploitability.exact import check_by_agent
from agents.learners import kind_of
from karma_envs.config import refusal
from karma_envs.files import remove_leftovers, write_text
from karma_envs.jobs import in_threads
from training.common.config import to_yaml
from training.common.errors import ResultsError
from training.common.folders import CONFIG, owned, writing
from training.common.tables import Row, write_recorded, write_table
from training.common.trust import functions_named, resuming
from training.common.workers import Interrupted, stop_on_signal
from training.runs.checkpoints import Stamp, is_of, write_learned
from training.runs.config import TrainConfig
from training.runs.event_files import require_tensorboard
from training.runs.folder import Run, create_run, write_metadata
from training.runs.memory import check_memory
from training.runs.progress import observers
from training.runs.replica import Observer, Replica

__all__ = ["Interrupted", "Observer", "Replica", "stop_on_signal", "train"]


@dataclass(frozen=True)
class _Session:
    """What the threads of one call of :func:`train` share.

    Attributes:
        run: the run.
        provenance: what it is made of.
        observer: told of every epoch.
        stops: any of them stops all replicas after their epoch: the user's, and one that is set when a
            replica fails.
        left: set when nobody waits any longer; then nothing is written.
    """

    run: Run
    provenance: Mapping[str, str]
    observer: Observer | None
    stops: Sequence[threading.Event]
    left: threading.Event


def train(
    config: TrainConfig,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
    progress: bool = False,
    tensorboard: bool = False,
) -> Run:
    """Train, and keep everything in a folder, which belongs to this call alone until it ends.

    Args:
        config: the configuration.
        folder: where results go; None for the first free ``runs/<game>-<number>``.
        resume: go on with the run in ``folder`` from its checkpoints; the result is the same to the
            bit as without the interruption. ``config`` may have more steps than the run: with a constant
            learning rate its policies are then those of a run that had so many from the beginning;
            metrics are recorded at points in time of the longer run from there on. A learning rate with a
            schedule depends on the number of steps, which cannot be changed then.
        observer: called after every epoch, from the replica's thread.
        stop: when it is set, the run stops as after Ctrl-C; whoever gives it looks after signals.
        progress: show a progress bar, in notebooks where ipywidgets is installed.
        tensorboard: write the records as event files for TensorBoard, too, into ``tensorboard`` in the
            folder; of a run that goes on all of its records, those of before included.

    Returns:
        the finished run.

    Raises:
        ResultsError: when the folder cannot be written, holds another run or is in use, a checkpoint is
            damaged, the network's files or the user's functions are not those that the run was made of, or
            TensorBoard is asked for and missing.
        ConfigError: when the game refuses a rule of the user's, no file can name it, or the run needs
            more memory than there is; nothing is written then.
        Interrupted: after Ctrl-C or ``stop``: the epoch was finished and a checkpoint written; after a
            second Ctrl-C what was done since the last checkpoint is lost.
    """
    if tensorboard:
        require_tensorboard()
    if resume and folder is None:
        raise ResultsError("name the folder of the run to resume")
    if resume:
        assert folder is not None
        run = _opened(config, Path(folder))
        run.provenance()
        check_memory([config])
    else:
        check_memory([config])
        game = config.make_training_game()  # may be refused, before anything is written
        kind_of(config.learner).check(game)
        if config.monitor == "exact":
            check_by_agent(game)
        del game
        run = create_run(config, folder)
    with owned(run.folder):
        return _train(run, resume, observer, stop, progress=progress, tensorboard=tensorboard)


def _opened(config: TrainConfig, folder: Path) -> Run:
    """The run in a folder, with the configuration it is to be gone on with.

    Raises:
        ResultsError: when it is a run of another configuration.
        ConfigError: when its number of steps cannot be changed.
    """
    recorded = Run.open(folder, known=functions_named(config.to_dict())).config
    if not is_of(config, recorded.to_dict(), or_shorter=True):
        raise ResultsError(f"{folder} holds a run of another configuration")
    schedule = config.learner.schedule
    if recorded.n_steps != config.n_steps and schedule != "constant":
        raise refusal(
            "n_steps",
            config.n_steps,
            f"{recorded.n_steps}, as before: the learning rate's schedule, {schedule}, depends on it",
        )
    return Run(folder, config)


def _train(
    run: Run,
    resume: bool,
    observer: Observer | None,
    stop: threading.Event | None,
    *,
    progress: bool,
    tensorboard: bool,
) -> Run:
    """Train in a folder that is ours."""
    config = run.config
    provenance = run.provenance()
    how_to_go_on = resuming(f"train {config.game}", run.folder, config.to_dict())
    replicas = [Replica(config, number) for number in range(config.replicas)]
    if resume:
        _load(run, replicas, provenance)
    _check_writable(run)
    with writing(run.folder):
        if resume:
            remove_leftovers(run.folder)
            write_recorded(run.folder / CONFIG, to_yaml(config))  # it may have more steps now
            for replica in replicas:
                if not replica.finished:  # what it had learned with fewer steps is not the end any more
                    run.policy_path(replica.number).unlink(missing_ok=True)
        write_metadata(run, status="running", provenance=provenance)
    started = time.perf_counter()
    signals = stop_on_signal(threading.Event()) if stop is None else contextlib.nullcontext(stop)
    left = threading.Event()
    look_on = observers(run, replicas, observer, progress=progress, tensorboard=tensorboard)
    try:
        one_each = threadpool_limits(limits=1, user_api="blas")  # replicas have threads of their own
        with look_on as observer, signals as stopped, one_each:
            session = _Session(run, provenance, observer, (stopped, threading.Event()), left)
            for _ in in_threads(lambda replica: _work(session, replica), iter(replicas), config.threads):
                pass
    except KeyboardInterrupt:
        left.set()
        if stop is not None:
            raise
        raise Interrupted(
            f"stopped at once; what was done since the last checkpoint is lost; {how_to_go_on}"
        ) from None
    seconds = time.perf_counter() - started
    finished = all(replica.finished for replica in replicas)
    with writing(run.folder):
        _write_tables(run, replicas)
        if finished:
            write_metadata(run, status="finished", seconds_of_last_session=round(seconds, 3))
        else:
            write_metadata(run, status="interrupted")
    if not finished:
        raise Interrupted(f"stopped; {how_to_go_on}")
    return run


def _load(run: Run, replicas: Sequence[Replica], provenance: Mapping[str, str]) -> None:
    """Continue from the checkpoints that there are."""
    changes = ""
    for replica in replicas:
        if (path := run.checkpoint_path(replica.number)).exists():
            changes = replica.load(path, provenance) or changes
    if changes:
        warnings.warn(
            f"{run.folder} was begun with {changes}; its numbers may differ in the last digits from those of "
            "a run without the change",
            stacklevel=4,
        )


def _work(session: _Session, replica: Replica) -> None:
    """Run a replica to its end or to a stop; checkpoint now and then and at the stop."""
    try:
        _work_on(session, replica)
    except BaseException:
        session.stops[-1].set()
        raise


def _work_on(session: _Session, replica: Replica) -> None:
    run = session.run
    path = run.checkpoint_path(replica.number)
    agent_steps = replica.config.epoch_length * replica.game.n_agents
    saved = before = time.perf_counter()
    while not (replica.finished or any(stop.is_set() for stop in session.stops)):
        replica.run_epoch()
        if session.left.is_set():
            return
        now = time.perf_counter()
        if session.observer is not None:
            session.observer(replica, agent_steps / (now - before))
        before = now
        if now - saved > replica.config.checkpoint_seconds:
            with writing(run.folder):
                replica.save(path, session.provenance)
            saved = before = time.perf_counter()
    with writing(run.folder):
        replica.save(path, session.provenance)
        if replica.finished:
            stamp = Stamp(replica.config, replica.number, session.provenance)
            write_learned(run.policy_path(replica.number), stamp, replica.learner.learned_policy())


def _write_tables(run: Run, replicas: Sequence[Replica]) -> None:
    """Write what the replicas have recorded, a table for each kind of record that there is."""
    tables: dict[str, list[Row]] = {}
    for replica in replicas:
        recorded = {"metrics": replica.rows, **replica.distribution_rows, "monitor": replica.monitor_table}
        for name, rows in recorded.items():
            tables.setdefault(name, []).extend(rows)
    for name, rows in tables.items():
        if rows:
            write_table(run.folder / f"{name}.csv", rows)


def _check_writable(run: Run) -> None:
    """Find out before hours of work, not after, that the folder takes no files."""
    with writing(run.folder):
        write_text(run.folder / "run.json.try", "")
        (run.folder / "run.json.try").unlink()
