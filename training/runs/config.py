"""What a training run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agents.learners import kind_of, learners
from karma_envs.config import Config, choice, real, refusal, whole
from karma_envs.game import PopulationGame
from karma_envs.registry import game_class
from training.common.config import GameRunConfig, Section

MONITORS = ("none", "exact", "parallel", "payoff")
"""What may be looked at while training."""


@dataclass(frozen=True)
class TrainConfig(GameRunConfig):
    """Configuration of a training run; the defaults are the Thesis' (section 6.1.1).

    Attributes:
        game: name of the game, or module:Class of one's own.
        game_config: the game's configuration, or its fields that differ from the defaults.
        learner: the learner's configuration, or its fields that differ; with its ``kind`` where that is not
            the game's, see :func:`agents.learners.learners`.
        n_steps: steps of the game in all.
        epoch_length: steps between two policy updates, at least 1.
        seed: seed of all random draws, >= 0.
        replicas: independent copies of the run, each with random draws of its own.
        threads: how many replicas are worked on at once; 0 for one per core.
        records: how many points in time the metrics are recorded at.
        monitor: what is looked at while training: exact (exploitability in the mean field of the
            population's own policies), parallel (exploitability by Algorithm 3), payoff (how far an epoch
            moves payoffs, equation 4.4) or none.
        monitors: how many points in time it is looked at.
        checkpoint_seconds: least time between two checkpoints.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("learner",)

    learner: Any = field(default_factory=dict)
    n_steps: int = 32_000_000
    epoch_length: int = 1000
    seed: int = 0
    replicas: int = 1
    threads: int = 0
    records: int = 200
    monitor: str = "none"
    monitors: int = 10
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(
            epoch_length=whole("epoch_length", self.epoch_length, 1, 10**9),
            seed=whole("seed", self.seed, 0, 2**63 - 1),
            replicas=whole("replicas", self.replicas, 1, 100_000),
            threads=whole("threads", self.threads, 0, 1024),
            records=whole("records", self.records, 1, 1_000_000),
            monitor=choice("monitor", self.monitor, MONITORS),
            monitors=whole("monitors", self.monitors, 1, 1_000_000),
            checkpoint_seconds=real("checkpoint_seconds", self.checkpoint_seconds, 0),
        )
        self._set(n_steps=whole("n_steps", self.n_steps, self.epoch_length, 10**12))
        if self.n_steps % self.epoch_length:
            raise refusal("n_steps", self.n_steps, f"a multiple of epoch_length = {self.epoch_length}")

    @classmethod
    def parts(cls, game: type[PopulationGame], kinds: Mapping[str, str] = {}) -> dict[str, Section]:
        """The game's configuration, and that of the kind of learner that trains the game."""
        if "learner" in kinds:
            kind = learners()[choice("learner", kinds["learner"], learners())]
        else:
            kind = learners()[choice(f"learner of {game.name}", game.learner, learners())]
        return {**super().parts(game, kinds), "learner": Section("the learner", kind.config_class)}

    @classmethod
    def as_in_source(cls, game: type[PopulationGame], preset: str | None = None) -> dict[str, Any]:
        """How the game's source trains it; fields of a preset over those of all."""
        return {**game.trained_with.get("", {}), **game.trained_with.get(preset or "", {})}

    @classmethod
    def part_of(cls, name: str, value: Any, part: type[Config]) -> Config:
        """A part as it is given; a learner may be of another kind."""
        if name == "learner" and isinstance(value, Config):
            return super().part_of(name, value, kind_of(value).config_class)
        if name == "learner" and isinstance(value, Mapping) and "kind" in value:
            fields = dict(value)
            kind = learners()[choice("learner.kind", fields.pop("kind"), learners())]
            return super().part_of(name, fields, kind.config_class)
        return super().part_of(name, value, part)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, in which a learner that is not of the game's kind names its own."""
        plain, kind = super().to_dict(), kind_of(self.learner).name
        if kind != game_class(self.game).learner:
            plain["learner"] = {"kind": kind, **plain["learner"]}
        return plain

    def make_game(self) -> PopulationGame:
        """The game that is played, not yet reset: the configuration's, as its learner sees it."""
        return kind_of(self.learner).prepare(super().make_game(), self.learner)

    def make_training_game(self) -> PopulationGame:
        """The game that is played while training, not yet reset, in which others may be met otherwise."""
        kind = kind_of(self.learner)
        return kind.prepare(kind.in_training(super().make_game(), self.learner), self.learner)

    @property
    def n_epochs(self) -> int:
        """Epochs in all."""
        return self.n_steps // self.epoch_length

    @property
    def epochs_per_record(self) -> int:
        """Epochs between two records of the metrics."""
        return max(1, self.n_epochs // self.records)

    @property
    def epochs_per_monitor(self) -> int:
        """Epochs between two looks at exploitability."""
        return max(1, self.n_epochs // self.monitors)
