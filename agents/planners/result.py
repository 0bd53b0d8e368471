"""What a planner returns: all trials, the best of them, the Pareto front."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.planners.journal import STUDY, TRIALS, as_json, read_study, read_trials
from agents.planners.study import Study
from agents.planners.trial import Trial
from karma_envs.display import Said, data_frame
from karma_envs.files import PathLike, write_text
from karma_envs.meaning import Meaning

if TYPE_CHECKING:
    from pandas import DataFrame

TABLE = "trials.csv"
_ROUNDING = 1e-9  # of a measure, over the greatest there is: what differs by less is no trade-off
_NOISE = 1e-12  # the same where all are 0 but for rounding


class NoneAcceptable(ValueError):  # noqa: N818
    """No trial of a design is within the limits."""


@dataclass(frozen=True, repr=False)
class Design(Said):
    """What a study came to.

    Attributes:
        study: what was sought, and how.
        trials: in the order of their numbers, those that failed included.
        meanings: of the measures that are an exploitability, which one it is.
        inner: the inner problem, as plain data.
        interrupted: whether Ctrl-C ended it; trials are those that had ended by then.
    """

    study: Study
    trials: tuple[Trial, ...]
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    inner: Mapping[str, Any] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def complete(self) -> tuple[Trial, ...]:
        """The trials that did not fail."""
        return tuple(trial for trial in self.trials if trial.complete)

    @property
    def best(self) -> Trial:
        """The trial, within the limits, of the greatest gain in the first objective; of equals the first.

        Where measures are estimates, the best of many trials looks better than it is: its expectation is
        below its value by about as much as its standard error; evaluate it anew to know.

        Raises:
            NoneAcceptable: where no trial is within the limits.
        """
        acceptable = [trial for trial in self.trials if self.study.is_acceptable(trial)]
        if not acceptable:
            raise NoneAcceptable(
                f"none of {len(self.complete)} trials is within the limits: {self._nearest()}"
            )
        return max(acceptable, key=lambda trial: self.study.gains(trial)[0])

    @property
    def front(self) -> tuple[Trial, ...]:
        """The trials within the limits that none is better than in all objectives: the Pareto front.

        In the order of the first objective, the best first. Of several with the same values, to a billionth
        of the greatest, the first.
        """
        acceptable = [trial for trial in self.trials if self.study.is_acceptable(trial)]
        if not acceptable:
            return ()
        gains = np.array([self.study.gains(trial) for trial in acceptable])
        levels = np.stack([_levels(column) for column in gains.T], axis=1)
        best_first = np.argsort(-gains[:, 0], kind="stable")
        return tuple(acceptable[number] for number in best_first if _is_on_front(levels, int(number)))

    def best_after(self) -> NDArray[np.float64]:
        """The best value of the first objective after each trial, ``float64[n]``; NaN before there is one.

        In the objective's own direction, and of trials within the limits.
        """
        objective, best = self.study.objectives[0], -math.inf
        values = np.full(len(self.trials), np.nan)
        for number, trial in enumerate(self.trials):
            if self.study.is_acceptable(trial):
                best = max(best, objective.gain(trial.values))
            if best > -math.inf:
                values[number] = best if objective.maximise else -best
        return values

    def value(self, trial: Trial, objective: int = 0) -> float:
        """The value of one of the objectives, by its number, of a complete trial."""
        return self.study.objectives[objective].value(trial.values)

    def standard_error(self, trial: Trial, objective: int = 0) -> float:
        """Of :meth:`value`; NaN where it is not known, as of one that is exact."""
        return self.study.objectives[objective].standard_error(trial.values, trial.standard_errors)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each trial.

        Its columns: ``trial``, ``batch``, ``state``, the parameters, the objectives and measures with
        their standard errors as ``<name>_se`` where some trial has one, ``acceptable`` (within the limits),
        ``on_front``, ``seed``, ``seconds``, ``notes``.
        """
        front = {trial.number for trial in self.front}
        measures = list(dict.fromkeys(name for trial in self.complete for name in trial.values))
        errors = {name for trial in self.complete for name in trial.standard_errors}
        rows = []
        for trial in self.trials:
            row: dict[str, Any] = {"trial": trial.number, "batch": trial.batch, "state": trial.state}
            row |= {name: trial.point.get(name, "") for name in self.study.space.names}
            for objective in self.study.objectives:
                if objective.name not in measures:
                    row[objective.name] = objective.value(trial.values) if trial.complete else math.nan
            for name in measures:
                row[name] = trial.values.get(name, math.nan)
                if name in errors:
                    row[f"{name}_se"] = trial.standard_errors.get(name, math.nan)
            row |= {
                "acceptable": self.study.is_acceptable(trial),
                "on_front": trial.number in front,
                "seed": trial.seed,
                "seconds": round(trial.seconds, 4),
                "notes": trial.notes,
            }
            rows.append(row)
        return rows

    def to_frame(self) -> DataFrame:
        """A row for each trial, see :meth:`rows`.

        Raises:
            ImportError: when pandas is not installed.
        """
        return data_frame(self.rows())

    def save(self, folder: PathLike) -> None:
        """Write ``study.json``, ``trials.jsonl`` and, for people, ``trials.csv`` into a folder.

        What trials left for others to begin with is kept by studies with a storage of their own alone.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / STUDY, as_json(described(self.study, self.inner, self.meanings)))
        lines = (json.dumps(trial.to_plain()) for trial in self.trials)
        write_text(path / TRIALS, "".join(f"{line}\n" for line in lines))
        self.save_table(path)

    def save_table(self, folder: PathLike) -> None:
        """Write ``trials.csv`` into a folder that is there."""
        rows = self.rows()
        lines = [list(rows[0]), *(list(row.values()) for row in rows)] if rows else []
        write_text(Path(folder) / TABLE, "".join(",".join(map(_cell, line)) + "\n" for line in lines))

    @classmethod
    def load(cls, folder: PathLike) -> Design:
        """The design in a folder of :meth:`save`, or of a study that is still at work or was killed.

        Constraints of its space, which are functions, are not in the file.

        Raises:
            ConfigError: when there is none, or it is damaged.
        """
        plain = read_study(folder)
        trials = sorted(read_trials(folder), key=lambda trial: trial.number)
        meanings = {name: Meaning(**each) for name, each in plain["meanings"].items()}
        return cls(Study.from_plain(plain), tuple(trials), meanings, plain["inner"])

    def _nearest(self) -> str:
        """The trial that is beyond the limits by least, in words."""
        if not self.complete:
            return "all have failed"
        trial = min(self.complete, key=lambda each: max(self.study.excesses(each)))
        worst = max(zip(self.study.limits, self.study.excesses(trial)), key=lambda pair: pair[1])
        return f"the nearest, {trial.number}, is beyond {worst[0].name} by {worst[1]:.3g}"

    def _said(self) -> dict[str, str]:
        failed = len(self.trials) - len(self.complete)
        said = {
            "method": self.study.method,
            "trials": f"{len(self.trials)}{f', {failed} failed' if failed else ''}"
            f"{', interrupted' if self.interrupted else ''}",
        }
        front = self.front
        if not front:
            return {**said, "best": "none within the limits"}
        if len(self.study.objectives) > 1:
            said["front"] = f"{len(front)} trials"
        best = front[0]
        where = ", ".join(f"{name} {_short(value)}" for name, value in best.point.items()) or "as it is"
        name = self.study.objectives[0].name
        return {**said, "best": f"{name} {self.value(best):.6g} at {where}"}


def described(study: Study, inner: Mapping[str, Any], meanings: Mapping[str, Meaning]) -> dict[str, Any]:
    """What ``study.json`` holds."""
    return {
        **study.to_plain(),
        "inner": dict(inner),
        "meanings": {name: asdict(meaning) for name, meaning in meanings.items()},
    }


def _levels(gains: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of each of ``gains[n]`` among them, ``int64[n]``; the same where they differ by rounding."""
    order = np.argsort(gains)
    # Neighbours in order are told apart, not all pairs: so that to be the same is transitive.
    steps = np.diff(gains[order]) > max(_ROUNDING * np.abs(gains).max(), _NOISE)
    levels = np.empty(len(gains), np.int64)
    levels[order] = np.concatenate([[0], np.cumsum(steps)])
    return levels


def _is_on_front(levels: NDArray[np.int64], number: int) -> bool:
    """Whether no other of ``levels[n, M]`` is as good in all and better in one, and none before the same."""
    own = levels[number]
    as_good = (levels >= own).all(axis=1)
    same = (levels == own).all(axis=1)
    return not (as_good & ~same).any() and not same[:number].any()


def _cell(value: object) -> str:
    """A value as it stands in a CSV file; of numbers all digits."""
    text = "" if isinstance(value, float) and math.isnan(value) else str(value)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n\r') else text


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
