"""Base of games that are another game, whose agents observe or do something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from karma_envs.game import PopulationGame
from karma_envs.outcome import Outcome

_OF_THE_CLASS = (
    "name",
    "config_class",
    "presets",
    "trained_with",
    "exchangeable",
    "cooperative",
    "learner",
    "VERSION",
    "metrics",
    "picture",
)


class SeenGame(PopulationGame):
    """A game that is another game, seen otherwise: its state, rules and outcome are that game's.

    Who derives from it says what is observed, and what is done with actions. One with tables derives from
    :class:`karma_envs.finite.FiniteGame`, too.

    Attributes:
        game: the game below.

    Args:
        game: any game; its state is shared.
    """

    game: PopulationGame

    def __init__(self, game: PopulationGame) -> None:
        self.game = game
        vars(self).update({name: getattr(game, name) for name in _OF_THE_CLASS})
        self.config, self.n_agents, self.length = game.config, game.n_agents, game.length
        self.type_of_agent, self.discounts = game.type_of_agent, game.discounts
        self.observation_space, self.reward_bounds = game.observation_space, game.reward_bounds

    def fresh(self) -> Self:
        return type(self)(self.game.fresh())

    def reset(self, rng: np.random.Generator) -> None:
        self.game.reset(rng)

    @property
    def policy_streams(self) -> NDArray[np.uint64]:
        return self.game.policy_streams

    @property
    def elapsed(self) -> int:
        return self.game.elapsed

    def begin_anew(self) -> None:
        self.game.begin_anew()

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """Those of the game below, and its baselines: their policies are for that game as it is."""
        baselines = {name: make for name, make in self.game.baselines.items() if name not in self.baselines}
        return {
            **self.game.references(),
            **{name: (self.game, make(self.game)) for name, make in baselines.items()},
        }

    def outcome(self) -> Outcome:
        return self.game.outcome()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return self.game.state_dict()

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.game.load_state_dict(state)

    @property
    def type_names(self) -> tuple[str, ...]:
        return self.game.type_names

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        return self.game.tables()

    def record(self) -> dict[str, float]:
        return self.game.record()

    def distributions(self) -> dict[str, dict[str, NDArray[Any]]]:
        return self.game.distributions()

    def conserved(self) -> Mapping[str, float]:
        return self.game.conserved()

    def scene(self) -> dict[str, Any]:
        self.game.followed = self.followed
        return self.game.scene()
