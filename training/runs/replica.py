"""One copy of a run: a game and a learner, epoch by epoch, and all that a checkpoint holds of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.learners import Learner, kind_of
from karma_envs.config import real, whole
from karma_envs.game import PopulationGame
from karma_envs.states import check_arrays, check_values
from karma_envs.transitions import Transitions, chunk_length, chunks
from training.common.errors import ResultsError
from training.common.provenance import check_provenance, version_changes
from training.common.tables import Row
from training.runs.checkpoints import Stamp, read_checkpoint, write_checkpoint
from training.runs.config import TrainConfig
from training.runs.monitors import Monitor

_CHUNK_BYTES = 1_000_000  # a buffer that stays in the second-level cache …
_CHUNK_STEPS = 100  # … but long enough to pay for fetching an agent's Q table …
_CHUNK_BYTES_MOST = 64_000_000  # … within bounded memory

_FINITE = -np.finfo(np.float64).max, np.finfo(np.float64).max


def room_for_epoch(game: PopulationGame, n_steps: int) -> Transitions:
    """Room for the pieces in which an epoch of ``n_steps`` steps is played."""
    steps, most = (chunk_length(game, n_steps, size) for size in (_CHUNK_BYTES, _CHUNK_BYTES_MOST))
    return game.transitions(max(steps, min(_CHUNK_STEPS, most)))


def run_epoch(
    game: PopulationGame, learner: Learner, n_steps: int, room: Transitions, *, progress: float
) -> None:
    """Play on with a learner's policy, learn from what is played, then update the policy.

    Args:
        game: the learner's game, which has begun.
        learner: learns.
        n_steps: the length of the epoch.
        room: of :func:`room_for_epoch`; the result does not depend on how much there is.
        progress: how much of the training is done, 0 … 1, for schedules.
    """
    for done, chunk in chunks(game, learner.policy, n_steps, out=room):
        learner.update(chunk, progress=progress, end_of_epoch=done + len(chunk) == n_steps)


class PolicyChanges(NamedTuple):
    """How far epochs have moved the policies since the last record (Thesis, Definition 4.1).

    Attributes:
        largest: of all agents and epochs.
        sum_of_means: over the epochs, of the mean over agents.
        epochs: how many.
    """

    largest: float = 0.0
    sum_of_means: float = 0.0
    epochs: int = 0

    def and_then(self, change: NDArray[Any]) -> PolicyChanges:
        """With an epoch more, that moved each row of the policies by ``change[rows]``."""
        return PolicyChanges(
            max(self.largest, float(change.max())), self.sum_of_means + float(change.mean()), self.epochs + 1
        )


class Replica:
    """One copy of a run: a game, a learner, and what has been recorded so far.

    Attributes:
        epoch: how many epochs are done.
        room: where an epoch is written, piece by piece.
        rows: of ``metrics.csv``.
        distribution_rows: by name, of the game's distributions.
        monitor_rows: of ``monitor.csv``, the numbers.

    Args:
        config: the run's configuration.
        number: which copy; it and the seed determine all random draws.
    """

    def __init__(self, config: TrainConfig, number: int) -> None:
        self.config, self.number = config, number
        self.game = config.make_training_game()
        self.game.reset(np.random.default_rng([config.seed, number, 0]))
        draws = np.random.default_rng([config.seed, number, 1])
        self.learner: Any = kind_of(config.learner).learner_class(self.game, config.learner, draws)
        self.epoch = 0
        self.rows: list[Row] = []
        self.distribution_rows: dict[str, list[Row]] = {}
        self.monitor_rows: list[Row] = []
        self._monitor = None if config.monitor == "none" else Monitor(config, number)
        self._window_start = self.game.outcome()
        self._changes = PolicyChanges()
        self.room = room_for_epoch(self.game, config.epoch_length)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch == self.config.n_epochs

    @property
    def monitor_table(self) -> list[Row]:
        """The rows of ``monitor.csv``, which say of which exploitability their numbers are."""
        meaning = None if self._monitor is None else self._monitor.meaning
        said = {} if meaning is None else {"meaning": str(meaning)}
        return [{**row, **said} for row in self.monitor_rows]

    def run_epoch(self) -> None:
        """Simulate and learn for one epoch, then update the policy; record when due."""
        length, progress = self.config.epoch_length, self.epoch / self.config.n_epochs
        records = self._is_due(self.config.epochs_per_record)
        monitor = self._monitor if self._is_due(self.config.epochs_per_monitor) else None
        if monitor is not None:
            monitor.before_epoch(self.learner)
        run_epoch(self.game, self.learner, length, self.room, progress=progress)
        self.epoch += 1
        self._changes = self._changes.and_then(self.learner.policy_change)
        if records:
            self._record()
        if monitor is not None:
            self.monitor_rows.append(monitor.after_epoch(self.learner, self.epoch * self.config.epoch_length))

    def _is_due(self, epochs: int) -> bool:
        """Whether the next epoch ends a stretch of so many, or the run."""
        return (self.epoch + 1) % epochs == 0 or self.epoch + 1 == self.config.n_epochs

    def _record(self) -> None:
        """Write down what happened since the last record, and how things stand now."""
        outcome = self.game.outcome()
        window = outcome.since(self._window_start)
        where = {"replica": self.number, "step": self.epoch * self.config.epoch_length}
        self.rows.append(
            {
                **where,
                "window": window.steps,
                **{metric.name: float(metric.value(window)) for metric in self.game.metrics},
                **{name: float(value) for name, value in self.game.record().items()},
                "policy_change_max": self._changes.largest,
                "policy_change_mean": self._changes.sum_of_means / self._changes.epochs,
            }
        )
        for name, columns in self.game.distributions().items():
            self.distribution_rows.setdefault(name, []).extend(
                {**where, **dict(zip(columns, values))}
                for values in zip(*(column.tolist() for column in columns.values()))
            )
        self._window_start = outcome
        self._changes = PolicyChanges()

    def save(self, path: Path, provenance: Mapping[str, str] | None = None) -> None:
        """Write a checkpoint, with what the run was made of."""
        arrays: dict[str, NDArray[Any]] = {}
        arrays |= {f"game/{name}": array for name, array in self.game.state_dict().items()}
        arrays |= {f"learner/{name}": array for name, array in self.learner.state_dict().items()}
        arrays |= {f"window/{name}": np.asarray(value) for name, value in vars(self._window_start).items()}
        if self._monitor is not None:
            arrays |= {f"monitor/{name}": array for name, array in self._monitor.state_dict().items()}
        progress = {
            "epoch": self.epoch,
            "rows": self.rows,
            "distribution_rows": self.distribution_rows,
            "monitor_rows": self.monitor_rows,
            "changes": self._changes,
        }
        write_checkpoint(path, Stamp(self.config, self.number, provenance or {}), progress, arrays)

    def load(self, path: Path, provenance: Mapping[str, str] | None = None) -> str:
        """Continue from a checkpoint.

        Args:
            path: of the checkpoint.
            provenance: what the run is made of now, to be compared; None not to.

        Returns:
            how the versions of packages have changed since, in a line; empty where they have not.

        Raises:
            ResultsError: when the file is damaged, or belongs to another run or one of other contents;
                the replica is not to be used then.
        """
        metadata, arrays = read_checkpoint(path, self.config, self.number)
        if provenance is not None:
            check_provenance(path, metadata.get("provenance"), metadata.get("versions"), provenance)

        def part(name: str) -> dict[str, NDArray[Any]]:
            prefix = f"{name}/"
            return {
                key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
            }

        try:
            self.game.load_state_dict(part("game"))
            self.learner.load_state_dict(part("learner"))
            if self._monitor is not None:
                self._monitor.load_state_dict(part("monitor"))
            self._resume_from(metadata["progress"], part("window"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ResultsError(f"{path} is not a usable checkpoint: {error}") from error
        return version_changes(metadata.get("versions"))

    def _resume_from(self, progress: Mapping[str, Any], window: Mapping[str, NDArray[Any]]) -> None:
        """Take over how far the run was, if that is possible with the game as it was loaded.

        Raises:
            KeyError, TypeError, ValueError: when it is not.
        """
        now, epoch = self.game.outcome(), whole("epoch", progress["epoch"], 0, self.config.n_epochs)
        if now.steps != epoch * self.config.epoch_length:
            raise ValueError(f"epoch = {epoch}, but the game has played {now.steps} steps")
        check_arrays("window", window, {name: np.asarray(value) for name, value in vars(now).items()})
        check_values("window", window, dict.fromkeys(window, _FINITE) | {"steps": (0, now.steps)})
        largest, sum_of_means, epochs = progress["changes"]
        changes = PolicyChanges(
            real("changes[0]", largest, 0),
            real("changes[1]", sum_of_means, 0),
            whole("changes[2]", epochs, 0),
        )
        # checkpoints of version 0.1 know one distribution, by a name of its own
        distributions = progress.get("distribution_rows", {"karma": progress.get("karma_rows", [])})
        if not set(distributions) <= set(self.game.distributions()):  # files are named like them
            raise ValueError(f"distribution_rows of {', '.join(distributions)}, which the game does not have")
        recorded = {"rows": progress["rows"], "monitor_rows": progress["monitor_rows"], **distributions}
        for kind, rows in recorded.items():
            _check_rows(kind, rows, self.number, now.steps)
        totals: dict[str, Any] = {**window, "steps": int(window["steps"])}
        self._window_start = replace(now, **totals)
        self.epoch = epoch
        self.rows, self.monitor_rows = list(progress["rows"]), list(progress["monitor_rows"])
        self.distribution_rows = {name: list(rows) for name, rows in distributions.items()}
        self._changes = changes


def _check_rows(kind: str, rows: Any, replica: int, steps: int) -> None:
    """Refuse rows of a table that are not numbers by name, of this replica, up to now.

    Later rows may say more than the first one did, where more is recorded now than when the run began.
    """
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and row.keys() >= rows[0].keys() for row in rows
    ):
        raise ValueError(f"{kind} are not the rows of one table")
    for row in rows:
        numbers = all(type(value) in (int, float) for value in row.values())
        if not numbers or row.get("replica") != replica or not row.get("step", np.inf) <= steps:
            raise ValueError(f"{kind}: {row}")


Observer = Callable[[Replica, float], None]
"""Called after each epoch with the replica and the agent-steps per second since the last call."""
