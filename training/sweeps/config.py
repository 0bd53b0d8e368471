"""What a sweep is over: a grid of values, and a training run's configuration for each point of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.evaluators.exploitability.exact import check_by_agent
from karma_envs.config import Config, ConfigError, choice, is_list, refusal
from karma_envs.registry import game_class
from training.runs.config import TrainConfig
from training.runs.memory import check_memory, memory_kind


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        number: counts from 0.
        values: of the swept fields, by name.
        config: the run's configuration.
    """

    number: int
    values: dict[str, Any]
    config: TrainConfig

    @property
    def name(self) -> str:
        """The name of its folder."""
        return trial_folder(self.number)


def trial_folder(trial: int) -> str:
    """The name of a trial's folder."""
    return f"trial-{trial:03d}"


@dataclass(frozen=True)
class SweepConfig(Config):
    """Configuration of a sweep: every combination of values is a trial, and the last field varies fastest.

    Attributes:
        base: the runs' common configuration; the swept fields have their first values in it.
        over: lists of values by the name of a field, of the game, the learner or the run.

    Raises:
        ConfigError: naming the field or the trial, the value and what is allowed.
    """

    base: Any
    over: Any

    def __post_init__(self) -> None:
        base = self.base if isinstance(self.base, TrainConfig) else TrainConfig.from_dict(self.base)
        kinds = TrainConfig.kinds_in(base.to_dict())
        self._set(over=_checked(base.game, self.over, kinds), base=base)
        plain = self.to_dict()
        first = _trial_config(0, _grid(plain["over"])[0], base.game, None, plain["base"])
        self._set(over=plain["over"], base=first)

    @classmethod
    def from_flat(
        cls, game: str, preset: str | None, *layers: Mapping[str, Any], over: Mapping[str, Any]
    ) -> SweepConfig:
        """As :meth:`training.common.config.GameRunConfig.from_flat`; layers need be valid
        only with ``over``."""
        over = _checked(game, over, TrainConfig.kinds_in(*layers))
        return cls(_trial_config(0, _grid(over)[0], game, preset, *layers), over)

    def trials(self) -> tuple[Trial, ...]:
        """All trials.

        Raises:
            ConfigError: when one is refused, naming it, or two are equal.
        """
        base, known = self.base.to_dict(), dict[str, Trial]()
        for number, values in enumerate(_grid(self.over)):
            trial = Trial(number, values, _trial_config(number, values, self.base.game, None, base))
            same = known.setdefault(json.dumps(trial.config.to_dict()), trial)
            if same is not trial:
                raise ConfigError(
                    f"trials {same.number} ({shown(same.values)}) and {number} ({shown(values)}) are equal"
                )
        return tuple(known.values())


def _checked(game: str, over: Any, kinds: Mapping[str, str]) -> dict[str, list[Any]]:
    """What is swept, if the fields exist and have values; those of arrays as plain numbers.

    Args:
        game: its name.
        over: what is swept.
        kinds: of parts of the configuration, where they are not the game's.
    """
    if not isinstance(over, Mapping) or not over:
        raise refusal("over", over, "a mapping of at least one field to a list of values")
    swept_in = game_class(game)
    whole = ("game", *TrainConfig.parts(swept_in))
    fields = [name for name in TrainConfig.owners(swept_in, kinds) if name not in whole]
    checked = {}
    for name, values in over.items():
        choice("over", name, fields)
        if not is_list(values) or not len(values):
            raise refusal(f"over {name}", values, "a list of at least one value")
        checked[name] = [
            value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value for value in values
        ]
    return checked


def _grid(over: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(over, values)) for values in itertools.product(*over.values())]


def _trial_config(number: int, values: Mapping[str, Any], *base: Any) -> TrainConfig:
    """A trial's configuration; ``base`` goes to :meth:`TrainConfig.from_flat`."""
    try:
        return TrainConfig.from_flat(*base, values)
    except ConfigError as error:
        raise ConfigError(f"trial {number} ({shown(values)}): {error}") from error


def shown(values: Mapping[str, Any]) -> str:
    """Values of fields in a line."""
    return ", ".join(f"{name}={as_text(value)}" for name, value in values.items())


def as_text(value: Any) -> Any:
    """A value as it is written in a table and on the command line."""
    return json.dumps(value) if isinstance(value, (list, tuple, dict, bool, type(None))) else value


def check_games(trials: Sequence[Trial]) -> None:
    """Make each game once, as it may refuse a rule of the user's, if there is memory for its run."""
    checked = set()
    for trial in trials:
        config = trial.config
        kind = memory_kind(config), config.monitor
        if kind not in checked:
            checked.add(kind)
            try:
                check_memory([config])
                game = config.make_game()
                if config.monitor == "exact":
                    check_by_agent(game)
            except ConfigError as error:
                raise ConfigError(f"trial {trial.number} ({shown(trial.values)}): {error}") from error
