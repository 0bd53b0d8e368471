"""One copy of a run: a game and a learner, epoch by epoch, and all that a checkpoint holds of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.learners import TabularLearner
from karma_envs import metrics
from karma_envs.config import real, whole
from karma_envs.metrics import Outcome
from karma_envs.registry import game_class
from karma_envs.states import check_arrays, check_values
from karma_envs.transitions import chunk_length, chunks
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
        steps, most = (
            chunk_length(self.game, config.epoch_length, size) for size in (_CHUNK_BYTES, _CHUNK_BYTES_MOST)
        )
        self._buffer = self.game.transitions(max(steps, min(_CHUNK_STEPS, most)))

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
        length = self.config.epoch_length
        for done, chunk in chunks(self.game, self.learner.policy, length, out=self._buffer):
            self.learner.update(chunk, progress=progress, end_of_epoch=done + len(chunk) == length)
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

    def save(self, path: Path, provenance: Mapping[str, str] | None = None) -> None:
        """Write a checkpoint, with what the run was made of."""
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
        largest, means, epochs = progress["changes"]
        changes = (
            real("changes[0]", largest, 0),
            real("changes[1]", means, 0),
            whole("changes[2]", epochs, 0),
        )
        for kind in ("rows", "karma_rows", "monitor_rows"):
            _check_rows(kind, progress[kind], self.number, now.steps)
        self._window_start = Outcome(**{**window, "steps": int(window["steps"])})  # type: ignore[arg-type]
        self.epoch = epoch
        self.rows, self.karma_rows = list(progress["rows"]), list(progress["karma_rows"])
        self.monitor_rows = list(progress["monitor_rows"])
        self._changes = changes


def _check_rows(kind: str, rows: Any, replica: int, steps: int) -> None:
    """Refuse rows of a table that are not numbers by name, of this replica, up to now."""
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows
    ):
        raise ValueError(f"{kind} are not the rows of one table")
    for row in rows:
        numbers = all(type(value) in (int, float) for value in row.values())
        if not numbers or row.get("replica") != replica or not row.get("step", np.inf) <= steps:
            raise ValueError(f"{kind}: {row}")


Observer = Callable[[Replica, float], None]
"""Called after each epoch with the replica and the agent-steps per second since the last call."""
