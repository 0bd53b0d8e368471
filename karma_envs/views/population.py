"""What the views of a game for PettingZoo and Gymnasium share: episodes, legality, spaces and rendering."""

from __future__ import annotations

import copy
from typing import Any, TypeAlias, TypeVar

import numpy as np
from gymnasium import logger
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray

from karma_envs.actions import IllegalActionError, action_limits
from karma_envs.config import ConfigError, choice, refusal, whole
from karma_envs.game import PopulationGame
from karma_envs.registry import configured, game_class
from karma_envs.rendering import RENDER_MODES, Canvas

SomeGame: TypeAlias = str | type[PopulationGame] | PopulationGame
"""A game's name in the registry, a game's class, or a game, of which environments make another one."""

Observation: TypeAlias = NDArray[np.float32] | dict[str, NDArray[Any]]
"""An observation: flat, or with the mask of legal actions."""

DEFAULT_MAX_CYCLES = 1000
"""Steps of an episode of a game without an end, unless told otherwise."""

_LEARNER = "one learner among others takes it (gymnasium.make, or make_vec with vectorization_mode='sync')"
_OF_ANOTHER_VIEW = {
    "population": f"{_LEARNER}; here every agent is one that acts",
    "learner": f"{_LEARNER}; here every agent is one that acts",
    "num_envs": "gymnasium.make_vec and the vector environment take it; the number of agents is n_agents",
    "max_episode_steps": "gymnasium.make and make_vec take it; the horizon is max_cycles",
    "autoreset_mode": "the vector environment takes it",
}
"""Arguments that not every view has, and who takes them."""

_Copied = TypeVar("_Copied", bound="CopiedWhole")


class CopiedWhole:
    """What shares nothing with its copies: ``copy.copy`` is ``copy.deepcopy``, as a game has one state."""

    def __copy__(self: _Copied) -> _Copied:
        return copy.deepcopy(self)


class PopulationView(CopiedWhole):
    """Base of all views: configuration, episodes, legality, spaces and rendering.

    A copy, however it is made (``copy``, ``deepcopy``, ``pickle``, ``cloudpickle``), goes on where the
    original is, with the same random numbers, and shares nothing with it. So copies of an environment that
    has begun play the same until they are reset with seeds of their own; those of one that was never reset
    are as random as new ones. Only the window is not copied.

    Args:
        game: a game's name in the registry, a game's class, or a game, of which another one is made, not yet
            begun; then without a preset or fields.
        preset: one of the game's named configurations.
        max_cycles: the horizon of a game without an end, 1000 if None. After so many steps the episode is
            truncated for all agents at once, with ``info["TimeLimit.truncated"] = True``; it is never
            terminated. A game with an end terminates for all agents at once after its length and is never
            truncated: the horizon is the length, and no shorter one is allowed.
        render_mode: ``human``, ``rgb_array`` (``uint8[H, W, 3]``) or None.
        observation: ``flat`` for ``float32[d]`` with the legal actions in ``info["action_mask"]``
            (``int8[n_actions]``), ``dict`` for both in one observation, under ``observation`` and
            ``action_mask``. Where actions are not numbered there is no mask, and only ``flat``.
        strict: whether an illegal action raises IllegalActionError, before anything has changed. If not,
            the highest legal action below it (0 for a negative one) is taken, or in a box the nearest one,
            and ``info["illegal_action"]`` is True in that step.
        **config: fields of the game's configuration.

    Attributes:
        game: the game.
        max_cycles: as above; may be set.
        render_mode: as above.

    Raises:
        ConfigError: for an argument that is not allowed.
    """

    metadata: dict[str, Any] = {
        "render_modes": list(RENDER_MODES),
        "render_fps": 4,
        "is_parallelizable": True,
    }
    _canvas: Canvas | None = None

    def __init__(
        self,
        game: SomeGame,
        *,
        preset: str | None = None,
        max_cycles: int | None = None,
        render_mode: str | None = None,
        observation: str = "flat",
        strict: bool = False,
        **config: Any,
    ) -> None:
        game = game_class(game) if isinstance(game, str) else game
        for name in config:
            if name in _OF_ANOTHER_VIEW and name not in game.config_class.field_names():
                raise ConfigError(f"no field {name!r}: {_OF_ANOTHER_VIEW[name]}")
        self.game = configured(game, preset, config)
        default = self.game.length or DEFAULT_MAX_CYCLES
        self.max_cycles = default if max_cycles is None else max_cycles
        self.render_mode = render_mode
        self._has_mask = not isinstance(self.game.action_space, Box)
        kinds = ("flat", "dict") if self._has_mask else ("flat",)
        self._with_mask = choice("observation", observation, kinds) == "dict"
        self._strict = strict
        self._steps = -1
        modes = RENDER_MODES if self.game.picture is not None else ()
        if render_mode is not None and render_mode not in modes:
            raise refusal("render_mode", render_mode, ", ".join(("None", *modes)))
        self.metadata = {
            **self.metadata,
            "name": f"{self.game.name}_v{self.game.VERSION}",
            "render_modes": list(modes),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_canvas"}

    @property
    def max_cycles(self) -> int:
        """The horizon; may be set. Of a game with an end its length."""
        return self.game.length or self._max_cycles

    @max_cycles.setter
    def max_cycles(self, max_cycles: int) -> None:
        self._max_cycles = whole("max_cycles", max_cycles, self.game.length or 1)

    def render(self) -> Any:
        """The last step as a picture: shown if ``render_mode`` is ``human``, returned if ``rgb_array``."""
        if self.render_mode is None:
            logger.warn("render() was called, but the environment was made without a render_mode")
            return None
        self._require_begun()
        if self._canvas is None:
            assert self.game.picture is not None  # or there were no render_mode
            self._canvas = Canvas(self.game.picture, self.render_mode)
        return self._canvas.show(self.game.scene())

    def close(self, **kwargs: Any) -> None:
        """Close the window."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    def check_actions(self, actions: NDArray[Any], agents: slice | NDArray[np.integer[Any]]) -> None:
        """If strict, refuse actions that are illegal now; never changes anything.

        Args:
            actions: ``[n, ...]``, any actions of some agents.
            agents: whose they are.

        Raises:
            IllegalActionError: naming the first agent whose action is illegal.
            RuntimeError: before the first reset.
        """
        self._require_begun()
        if not self._strict:
            return
        lowest, _ = action_limits(self.game.action_space)
        everyone = np.full((self.game.n_agents, *actions.shape[1:]), lowest, actions.dtype)
        everyone[agents] = actions
        _, replaced = self.game.admissible(everyone)
        if replaced is None:
            return
        asked = np.zeros(self.game.n_agents, np.bool_)
        asked[agents] = replaced[agents]
        if asked.any():
            raise self._refusal(everyone, asked)

    def _require_begun(self) -> None:
        if self._steps < 0:
            raise RuntimeError("the environment has not begun: call reset() first")

    def _begin(self, rng: np.random.Generator) -> None:
        """A new episode."""
        self.game.reset(rng)
        self._steps = 0

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """One step with any actions ``[N, ...]``.

        Returns:
            new arrays: rewards, and whose action was illegal (None: nobody's).
        """
        self._require_begun()
        played, illegal = self.game.admissible(actions)
        if illegal is not None and self._strict:
            raise self._refusal(actions, illegal)
        rewards = self.game.step(played)
        self._steps += 1
        return rewards, illegal

    def _refusal(self, actions: NDArray[Any], illegal: NDArray[np.bool_]) -> IllegalActionError:
        """What is wrong with the first illegal one of all agents' actions."""
        agent, masks = int(np.argmax(illegal)), self.game.action_mask()
        if masks is None:
            low, high = action_limits(self.game.action_space)
            allowed = f"{low} … {high}"
        else:
            allowed = _listed(np.flatnonzero(masks[agent]))
        return IllegalActionError(
            f"agent {agent} takes action {actions[agent]}, which is illegal now; allowed: {allowed}"
        )

    @property
    def _at_horizon(self) -> bool:
        """Whether the episode is cut off, though the game would go on."""
        return self.game.length is None and self._steps >= self.max_cycles

    def _new_observation_space(self) -> Space[Any]:
        """One agent's observation space; a new object."""
        space = copy.deepcopy(self.game.observation_space)
        if not self._with_mask:
            return space
        _, highest = action_limits(self.game.action_space)
        return Dict({"observation": space, "action_mask": Box(0, 1, (highest + 1,), np.int8)})

    def _new_action_space(self) -> Space[Any]:
        """One agent's action space; a new object."""
        return copy.deepcopy(self.game.action_space)


class GymnasiumView(PopulationView):
    """Base of the views for Gymnasium, whose registry tells an environment what it was made from."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """What ``gymnasium.make`` made this of; its ``max_episode_steps`` is the horizon, ``max_cycles``."""
        if self._spec is None:
            return None
        spec = copy.copy(self._spec)
        spec.max_episode_steps = self.max_cycles
        return spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec


def _listed(actions: NDArray[np.int64]) -> str:
    """Legal actions in words: ``0 … 10``, or one by one."""
    first, last = int(actions[0]), int(actions[-1])
    if len(actions) > 2 and last - first == len(actions) - 1:
        return f"{first} … {last}"
    return ", ".join(map(str, actions.tolist()))
