"""What a long run shows on the terminal."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from training.common.console import console
from training.runs.config import TrainConfig
from training.runs.event_files import EventFiles
from training.runs.folder import Run
from training.runs.replica import Observer, Replica

_FORECAST_AFTER = 2.0  # seconds of training, once everything is compiled
_FORECAST_FROM = 60.0  # a run that takes less needs none


@contextlib.contextmanager
def observers(
    run: Run, replicas: Sequence[Replica], observer: Observer | None, *, progress: bool, tensorboard: bool
) -> Iterator[Observer | None]:
    """All who look on while a run trains, as one observer; None for nobody.

    Args:
        run: the run.
        replicas: its replicas.
        observer: the caller's.
        progress: show a progress bar.
        tensorboard: write event files.
    """
    with contextlib.ExitStack() as shown:
        all_of_them = [] if observer is None else [observer]
        if tensorboard:
            all_of_them.append(shown.enter_context(EventFiles(run.folder, replicas)))
        if progress:
            all_of_them.append(shown.enter_context(TrainingBar(run.config, enabled=True)))

        def tell(replica: Replica, rate: float) -> None:
            for each in all_of_them:
                each(replica, rate)

        yield tell if all_of_them else None


class TrainingBar:
    """A progress bar per run: rate over all replicas, the game's first metric, policy change.

    Of a long run it says once how long it will take.
    """

    def __init__(self, config: TrainConfig, *, enabled: bool) -> None:
        self._config = config
        self._enabled = enabled
        self._first: tuple[float, int] | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[state]}"),
            console=console,
            refresh_per_second=4,
            disable=not enabled,
        )
        self._lock = threading.Lock()
        self._task = TaskID(0)
        self._done = 0
        self._since = (0.0, 0)
        self._resumed: dict[int, int] = {}

    def __enter__(self) -> TrainingBar:
        self._progress.start()
        total = self._config.n_epochs * self._config.replicas
        self._task = self._progress.add_task(
            "compiling", total=total, state="(the first time takes a minute)"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, replica: Replica, rate: float) -> None:
        """Show that a replica has finished an epoch at ``rate`` agent-steps per second."""
        with self._lock:
            if replica.number not in self._resumed:
                self._resumed[replica.number] = replica.epoch - 1
                self._done += replica.epoch - 1
            self._done += 1
            now = time.perf_counter()
            self._forecast(now, replica.game.n_agents)
            then, done_then = self._since
            if now - then < 0.25 and self._done < self._config.n_epochs * self._config.replicas:
                return
            self._since = (now, self._done)
            per_epoch = self._config.epoch_length * replica.game.n_agents
            speed = (self._done - done_then) * per_epoch / (now - then) if then else rate
            state = f"{speed / 1e6:.1f} M agent-steps/s"
            if replica.rows:
                latest, metric = replica.rows[-1], replica.game.metrics[0]
                state += (
                    f" · {metric.title} {latest[metric.name]:.4f}"
                    f" · policy change {latest['policy_change_max']:.2f}"
                )
            self._progress.update(self._task, completed=self._done, description="training", state=state)

    def _forecast(self, now: float, n_agents: int) -> None:
        """Say how long the run will take, once, as soon as that can be told."""
        if not self._enabled:
            return
        if self._first is None:
            self._first = now, self._done
            return
        began, done = self._first
        if now - began < _FORECAST_AFTER:
            return
        self._enabled = False
        epochs_left = self._config.n_epochs * self._config.replicas - self._done
        rate = (self._done - done) / (now - began)
        if epochs_left / rate < _FORECAST_FROM:
            return
        agent_steps = self._config.n_epochs * self._config.replicas * self._config.epoch_length * n_agents
        per_second = rate * self._config.epoch_length * n_agents
        console.print(
            f"{agent_steps:.3g} agent-steps at {per_second / 1e6:.1f} M/s: about "
            f"{epochs_left / rate / 60:.0f} min from now; Ctrl-C keeps what is done"
        )
