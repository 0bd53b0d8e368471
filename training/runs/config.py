"""What a training run is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agents.learners import TabularConfig
from karma_envs.config import choice, real, refuse, whole
from training.common.config import GameRunConfig

MONITORS = ("none", "exact", "parallel", "payoff")
"""What may be looked at while training."""


@dataclass(frozen=True)
class TrainConfig(GameRunConfig):
    """Configuration of a training run; the defaults are the Thesis' (section 6.1.1).

    Attributes:
        game: name of the game, or module:Class of one's own.
        game_config: the game's configuration, or its fields that differ from the defaults.
        learner: the learner's configuration, or its fields that differ.
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

    PARTS = {"learner": TabularConfig}

    learner: Any = field(default_factory=TabularConfig)
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
            raise refuse("n_steps", self.n_steps, f"a multiple of epoch_length = {self.epoch_length}")

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
