"""What every learner is, and the kinds of them that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, refusal
from karma_envs.game import PopulationGame
from karma_envs.plugins import defined_in
from karma_envs.transitions import Transitions


class Learner(Protocol):
    """What learns to play a game from what was played.

    The policy is fixed while the transitions of an epoch arrive, and changes at its end.

    Attributes:
        policy_change: ``float64[rows]``, how far the last epoch moved each of the policies that are learned:
            0 for one that is what it was, 1 at most where that is known.
    """

    policy_change: NDArray[np.float64]

    @property
    def policy(self) -> Any:
        """What agents play while it learns, exploration included."""

    def update(self, played: Transitions, *, progress: float = 0.0, end_of_epoch: bool = True) -> Any:
        """Learn from transitions that were played with :attr:`policy`.

        Args:
            played: the next stretch of play of the game.
            progress: share of the run that is done, in [0, 1], for what changes with time.
            end_of_epoch: whether the policy changes now.

        Returns:
            the policy to play next.
        """

    def learned_policy(self) -> Any:
        """What has been learned so far, without exploration: a policy that no later update changes."""

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """All arrays that learning has changed, random streams included; copies."""

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of :meth:`state_dict`, of a learner of the same game and configuration.

        Raises:
            ValueError: when a name, shape or dtype differs, or for values that no learner has; nothing has
                changed then.
        """


def _as_it_is(game: PopulationGame, config: Any) -> PopulationGame:
    """The game, of a kind that plays all games as they are."""
    return game


def _any_game(game: Any) -> None:
    """Refuse no game, of a kind that learns in all."""


def _little_memory(game: PopulationGame, config: Any) -> tuple[int, str]:
    """Nothing that counts, of a kind whose learners do not grow with the game."""
    return 0, ""


@dataclass(frozen=True)
class LearnerKind:
    """One kind of learners.

    Configurations of every kind have ``exploration``, the share in [0, 1] of what is played at random while
    learning, and ``schedule``, how what is learned depends on the length of a run: "constant" where it does
    not.

    Attributes:
        name: as it stands in a configuration, and in :attr:`karma_envs.game.PopulationGame.learner`.
        config_class: the class of its configurations, which is no other kind's.
        learner_class: makes the learner of a game, a configuration and a random generator that seeds its
            draws: a class, or a function that first imports what the class needs.
        prepare: makes of a game and a configuration the game that is played: the game itself, or one made
            of it that such a learner can learn. Whoever plays what was learned plays this one.
        in_training: makes of a game and a configuration the game that is prepared and played while learning:
            the game itself, or one in which others are met in another way, as by their past.
        check: raises a ConfigError for a game, as ``prepare`` gives it, that cannot be learned so.
        sizes: the fields of a configuration on which ``prepare``, ``check`` and ``memory`` depend.
        memory: about how many bytes the learner of a game and a configuration takes, and what takes them.
    """

    name: str
    config_class: type[Config]
    learner_class: Callable[[Any, Any, np.random.Generator], Learner]
    prepare: Callable[[PopulationGame, Any], PopulationGame] = _as_it_is
    in_training: Callable[[PopulationGame, Any], PopulationGame] = _as_it_is
    check: Callable[[Any], None] = _any_game
    sizes: tuple[str, ...] = ()
    memory: Callable[[Any, Any], tuple[int, str]] = _little_memory


@cache
def learners() -> dict[str, LearnerKind]:
    """The kinds of learners by name: each folder of ``agents/learners`` that defines a ``LEARNER``."""
    kinds = defined_in("agents.learners", "LEARNER", nested=False).values()
    return {kind.name: kind for kind in kinds}


def kind_of(config: Config) -> LearnerKind:
    """The kind of learners that a configuration is of.

    Raises:
        ConfigError: when it is none of a learner.
    """
    kinds = learners().values()
    for kind in kinds:
        if type(config) is kind.config_class:
            return kind
    names = ", ".join(kind.config_class.__name__ for kind in kinds)
    raise refusal("learner", config, f"the configuration of a learner: {names}")
