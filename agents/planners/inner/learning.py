"""The inner problem of learning: what agents that learn make of a mechanism, in the game of N.

Each evaluation trains from nothing, then plays what was learned, without exploration, and measures the game's
metrics, with the standard errors of that play; several seeds of a study tell how much training itself varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.learners.learner import LearnerKind, kind_of
from agents.learners.tabular import TabularConfig
from agents.planners.inner.inner import Arrays, Evaluation
from agents.planners.inner.parameters import with_point
from agents.planners.space import Point
from karma_envs.config import Config, whole
from karma_envs.game import PopulationGame
from karma_envs.meaning import Meaning
from karma_envs.outcome import summarise
from karma_envs.registry import make
from karma_envs.transitions import chunks, even_parts, play_on

_BATCHES = 20
"""Stretches of play between which standard errors are told."""


class LearningInner:
    """Agents that learn in a game of N, as its parameters are chosen.

        LearningInner("matching", n_epochs=500)

    The parameters of a point are those of :func:`agents.planners.inner.parameters.with_point`; of a
    ``karma_mean`` without a whole total for N agents the nearest is taken.

    Args:
        game: a game, or its name.
        learner: the configuration of a learner, of any kind; if None the tabular one.
        n_epochs: epochs of training.
        epoch_length: steps of each.
        n_steps: that are measured afterwards.
        burn_in: steps of play before.

    Raises:
        ConfigError: for a learner or lengths that are not allowed.
    """

    def __init__(
        self,
        game: PopulationGame | str,
        learner: Config | None = None,
        *,
        n_epochs: int,
        epoch_length: int = 1000,
        n_steps: int = 10_000,
        burn_in: int = 1000,
    ) -> None:
        self._game = make(game) if isinstance(game, str) else game
        self._learner = TabularConfig() if learner is None else learner
        self._n_epochs = whole("n_epochs", n_epochs, 1)
        self._epoch_length = whole("epoch_length", epoch_length, 1)
        self._n_steps = whole("n_steps", n_steps, _BATCHES)
        self._burn_in = whole("burn_in", burn_in, 0)
        self._kind.check(self._kind.prepare(self._game, self._learner))

    @property
    def _kind(self) -> LearnerKind:
        return kind_of(self._learner)

    @property
    def meanings(self) -> Mapping[str, Meaning]:
        """None: no measure is an exploitability."""
        return {}

    def to_plain(self) -> dict[str, Any]:
        """The game, the learner and how long it learns."""
        return {
            "problem": "learning",
            "game": self._game.name,
            "version": type(self._game).VERSION,
            "config": self._game.config.to_dict(),
            "learner": {"kind": self._kind.name, **self._learner.to_dict()},
            "n_epochs": self._n_epochs,
            "epoch_length": self._epoch_length,
            "n_steps": self._n_steps,
            "burn_in": self._burn_in,
        }

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        """Train with the parameters of a point, and play what was learned."""
        config = with_point(self._game.config, point) if point else self._game.config
        game = self._kind.prepare(type(self._game)(config), self._learner)
        policy = self._learned(game, seed)
        game.reset(np.random.default_rng([seed, 2]))
        play_on(game, policy, self._burn_in)
        totals = [game.outcome()]
        for length in even_parts(self._n_steps, _BATCHES):
            play_on(game, policy, length)
            totals.append(game.outcome())
        summary = summarise([after.since(before) for before, after in pairwise(totals)], game.metrics)
        return Evaluation(
            values={name: estimate.value for name, estimate in summary.items()},
            standard_errors={name: estimate.standard_error for name, estimate in summary.items()},
        )

    def _learned(self, game: PopulationGame, seed: int) -> Any:
        """What agents have learned of a game, without exploration."""
        played = self._kind.in_training(game, self._learner)
        played.reset(np.random.default_rng([seed, 0]))
        learner = self._kind.learner_class(played, self._learner, np.random.default_rng([seed, 1]))
        for epoch in range(self._n_epochs):
            progress = epoch / self._n_epochs
            for done, chunk in chunks(played, learner.policy, self._epoch_length):
                ends = done + len(chunk) == self._epoch_length
                learner.update(chunk, progress=progress, end_of_epoch=ends)
        return learner.learned_policy()
