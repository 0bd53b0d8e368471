"""The inner problem of learning: what agents that learn make of a mechanism, in the game of N.

Each evaluation trains, by tabular learning or by actor-critic fictitious play, as *Controlling the Crowd* has
it. Then it plays what was learned, without exploration, and measures the game's metrics, with the standard
errors of that play; several seeds of a study tell how much training itself varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.learners.learner import LearnerKind, kind_of
from agents.planners.inner.inner import Arrays, Evaluation
from agents.planners.inner.parameters import with_point
from agents.planners.inner.training import own_learner, trained
from agents.planners.space import Point
from karma_envs.config import Config, refusal, whole
from karma_envs.game import PopulationGame
from karma_envs.meaning import Meaning
from karma_envs.outcome import summarise
from karma_envs.registry import make
from karma_envs.transitions import even_parts, play_on

_BATCHES = 20
"""Stretches of play between which standard errors are told."""

_LARGEST_LEFT = 64 << 20
"""Bytes of a learner that each trial leaves for others to begin with."""


class LearningInner:
    """Agents that learn in a game of N, as its parameters are chosen.

        LearningInner("matching", n_epochs=500)
        LearningInner("spatial_congestion", n_epochs=2000, epoch_length=1)

    The parameters of a point are those of :func:`agents.planners.inner.parameters.with_point`; of a
    ``karma_mean`` without a whole total for N agents the nearest is taken.

    Args:
        game: a game, or its name.
        learner: the configuration of a learner, of any kind; if None the game's own, as its source has it:
            tabular where actions are a list, actor-critic fictitious play where they are numbers.
        n_epochs: epochs of training.
        epoch_length: steps of each.
        n_steps: that are measured afterwards.
        burn_in: steps of play before.
        warm: whether to begin with what was learned at the trial nearest by, where its arrays have the same
            shapes, and to learn a quarter as long. Only where learning comes to rest within ``n_epochs``:
            else later trials have learned for longer, and look better for that. The values of trials depend
            on those before, and seeds of the same trial have their beginning in common.

    Raises:
        ConfigError: for a learner or lengths that are not allowed, and for ``warm`` where what each trial
            would leave is too large to be kept.
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
        warm: bool = False,
    ) -> None:
        self._game = make(game) if isinstance(game, str) else game
        self._learner = own_learner(self._game) if learner is None else learner
        self._n_epochs = whole("n_epochs", n_epochs, 1)
        self._epoch_length = whole("epoch_length", epoch_length, 1)
        self._n_steps = whole("n_steps", n_steps, _BATCHES)
        self._burn_in = whole("burn_in", burn_in, 0)
        prepared = self._kind.prepare(self._game, self._learner)
        self._kind.check(prepared)
        size, what = self._kind.memory(prepared, self._learner)
        if warm and size > _LARGEST_LEFT:
            most = f"at most {_LARGEST_LEFT >> 20} MiB are kept of a trial"
            allowed = f"false for a learner with {what}: {most}"
            raise refusal("warm", warm, allowed)
        self._warm = bool(warm)

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
            **({"warm": True} if self._warm else {}),
        }

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        """Train with the parameters of a point, and play what was learned."""
        config = with_point(self._game.config, point) if point else self._game.config
        game = type(self._game)(config)
        policy, left = trained(
            game,
            self._learner,
            seed,
            n_epochs=self._n_epochs,
            epoch_length=self._epoch_length,
            warm=warm if self._warm else None,
        )
        game = self._kind.prepare(game, self._learner)
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
            warm=left if self._warm else None,
        )
