"""Any game that ends, as one whose agents observe how much of it is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.config import refusal
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


class TimedGame(PopulationGame):
    """A game in which agents observe the share of it that is over, after what they observe otherwise.

    What is best depends on how many steps are left, which a game need not show. The game below goes on as it
    is, and its state is this one's.

    Attributes:
        game: the game below.

    Args:
        game: a game that ends, whose observations are a box of one dimension; its state is shared.

    Raises:
        ConfigError: for a game without an end.

    Example:
        >>> import karma_envs, numpy as np
        >>> game = TimedGame(karma_envs.make("meeting_time", n_agents=2))
        >>> game.reset(np.random.default_rng(0))
        >>> game.observations()[:, 1]
        array([0., 0.], dtype=float32)
    """

    def __init__(self, game: PopulationGame) -> None:
        if game.length is None:
            raise refusal("game", game.name, "a game that ends")
        self.game = game
        vars(self).update({name: getattr(game, name) for name in _OF_THE_CLASS})
        self.config, self.n_agents, self.length = game.config, game.n_agents, game.length
        self.type_of_agent, self.discounts = game.type_of_agent, game.discounts
        self.action_space, self.reward_bounds = game.action_space, game.reward_bounds
        seen = game.observation_space
        low, high = np.append(seen.low, np.float32(0)), np.append(seen.high, np.float32(1))
        self.observation_space = Box(low, high)

    def fresh(self) -> Self:
        """Another game over a fresh one, not yet begun."""
        return type(self)(self.game.fresh())

    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew; see the base."""
        self.game.reset(rng)

    def begin_anew(self) -> None:
        """A fresh start after the end; totals go on."""
        self.game.begin_anew()

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """One step of the game below."""
        return self.game.step(actions)

    def observations(self) -> NDArray[np.float32]:
        """``float32[N, d + 1]``: those of the game below, then the share of the game that is over."""
        over = np.full((self.n_agents, 1), self.elapsed / self.game.length, np.float32)  # type: ignore[operator]
        return np.concatenate([self.game.observations(), over], axis=1)

    def actions_of(self, values: Any) -> NDArray[Any]:
        """See the base."""
        return self.game.actions_of(values)

    def admissible(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """See the base."""
        return self.game.admissible(actions)

    def action_mask(self) -> NDArray[np.int8] | None:
        """See the base."""
        return self.game.action_mask()

    @property
    def elapsed(self) -> int:
        """Steps since the game last began."""
        return self.game.elapsed

    @property
    def policy_streams(self) -> NDArray[np.uint64]:
        """The stream that rollouts draw actions from."""
        return self.game.policy_streams

    def outcome(self) -> Outcome:
        """Totals since reset."""
        return self.game.outcome()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """The state of the game below."""
        return self.game.state_dict()

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of the game below."""
        self.game.load_state_dict(state)

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """Those of the game below, and its baselines: their policies are for that game, without the time."""
        baselines = {name: make for name, make in self.game.baselines.items() if name not in self.baselines}
        return {
            **self.game.references(),
            **{name: (self.game, make(self.game)) for name, make in baselines.items()},
        }

    @property
    def type_names(self) -> tuple[str, ...]:
        """Those of the game below."""
        return self.game.type_names

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Those of the game below."""
        return self.game.tables()

    def record(self) -> dict[str, float]:
        """What the game below records."""
        return self.game.record()

    def distributions(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Those of the game below."""
        return self.game.distributions()

    def conserved(self) -> Mapping[str, float]:
        """What no step of the game below changes."""
        return self.game.conserved()

    def scene(self) -> dict[str, Any]:
        """What a picture of the game below shows."""
        self.game.followed = self.followed
        return self.game.scene()
