"""Learning in an inner problem: from nothing, or from what was learned nearby, until it is measured."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from agents.learners.learner import kind_of, learners
from agents.planners.inner.inner import Arrays
from karma_envs.config import Config
from karma_envs.game import PopulationGame
from karma_envs.transitions import chunks

SHARE_LEFT = 0.25
"""Of the epochs, for who begins with what was learned nearby: the last ones, as schedules have them."""


def own_learner(game: PopulationGame) -> Config:
    """The configuration of a game's own kind of learner, as the game's source has it."""
    config_class, source = learners()[game.learner].config_class, type(game).trained_with.get("", {})
    own: Config = config_class(
        **{name: source[name] for name in config_class.field_names() if name in source}
    )
    return own


def trained(
    game: PopulationGame, learner: Config, seed: int, *, n_epochs: int, epoch_length: int, warm: Arrays | None
) -> tuple[Any, Arrays]:
    """What agents have learned of a game.

    Args:
        game: as it is configured, before the learner's kind prepares it.
        learner: the configuration of a learner, of any kind.
        seed: of all random draws.
        n_epochs: of learning from nothing, >= 1.
        epoch_length: steps of each.
        warm: the state of a learner nearby, to go on from with the last :data:`SHARE_LEFT` of the epochs; one
            of another shape is left aside.

    Returns:
        the policy that was learned, without exploration, and the learner's state.
    """
    kind = kind_of(learner)
    played = kind.prepare(kind.in_training(game, learner), learner)
    played.reset(np.random.default_rng([seed, 0]))
    learning = kind.learner_class(played, learner, np.random.default_rng([seed, 1]))
    first = 0
    if warm is not None:
        with contextlib.suppress(ValueError):  # of another shape, or with numbers that this game has not
            learning.load_state_dict(warm)
            first = min(int((1 - SHARE_LEFT) * n_epochs), n_epochs - 1)
    for epoch in range(first, n_epochs):
        for done, chunk in chunks(played, learning.policy, epoch_length):
            ends = done + len(chunk) == epoch_length
            learning.update(chunk, progress=epoch / n_epochs, end_of_epoch=ends)
    return learning.learned_policy(), learning.state_dict()
