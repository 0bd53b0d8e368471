"""What all views share: a game played in episodes, by whatever actions come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from gymnasium import logger
from gymnasium.spaces import Box, Dict, Discrete, Space
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from karma_envs.compile import kernel
from karma_envs.config import choice, refuse, whole
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.registry import configured, game_class
from karma_envs.rendering import RENDER_MODES, Canvas, has_renderer
from karma_envs.views import VERSION

Observation: TypeAlias = NDArray[np.float32] | dict[str, NDArray[Any]]
"""An observation: flat, or with the mask of legal actions."""


def highest_legal(legal_actions: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What each action is played as: ``int64[n, actions]``, itself or the highest legal one below it."""
    actions = np.arange(legal_actions.shape[1])
    return np.asarray(np.maximum.accumulate(np.where(legal_actions, actions, 0), axis=1))


class PopulationView(EzPickle):
    """Base of all views: configuration, episodes, legality, spaces and rendering.

    Pickling keeps the arguments, not the state: the copy must be reset.

    Args:
        game: a game's name in the registry, or a game's class.
        preset: one of the game's named configurations.
        max_cycles: the horizon. After so many steps the episode is truncated for all agents at once,
            with ``info["TimeLimit.truncated"] = True``; it is never terminated.
        render_mode: ``human``, ``rgb_array`` (``uint8[H, W, 3]``) or None.
        observation: ``flat`` for ``float32[d]`` with the legal actions in ``info["action_mask"]``
            (``int8[n_actions]``), ``dict`` for both in one observation, under ``observation`` and
            ``action_mask``.
        strict: whether an illegal action raises IllegalActionError. If not, the highest legal
            action below it (0 for a negative one) is taken and ``info["illegal_action"]`` is True
            in that step.
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
        game: str | type[PopulationGame],
        *,
        preset: str | None = None,
        max_cycles: int = 1000,
        render_mode: str | None = None,
        observation: str = "flat",
        strict: bool = False,
        **config: Any,
    ) -> None:
        EzPickle.__init__(
            self,
            game,
            preset=preset,
            max_cycles=max_cycles,
            render_mode=render_mode,
            observation=observation,
            strict=strict,
            **config,
        )
        self.game = configured(game_class(game) if isinstance(game, str) else game, preset, config)
        self.max_cycles = whole("max_cycles", max_cycles, 1)
        self.render_mode = render_mode
        self._with_mask = choice("observation", observation, ("flat", "dict")) == "dict"
        self._strict = strict
        self._steps = -1
        self._highest_legal = highest_legal(self.game.legal_actions)
        modes = RENDER_MODES if has_renderer(self.game.name) else ()
        if render_mode is not None and render_mode not in modes:
            raise refuse("render_mode", render_mode, ", ".join(("None", *modes)))
        self.metadata = {
            **self.metadata,
            "name": f"{self.game.name}_v{VERSION}",
            "render_modes": list(modes),
        }

    def render(self) -> Any:
        """The last step as a picture: shown if ``render_mode`` is ``human``, returned if ``rgb_array``."""
        if self.render_mode is None:
            logger.warn("render() was called, but the environment was made without a render_mode")
            return None
        if self._canvas is None:
            self._canvas = Canvas(self.game.name, self.render_mode)
        return self._canvas.show(self.game.scene())

    def close(self, **kwargs: Any) -> None:
        """Close the window."""
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    def _begin(self, rng: np.random.Generator) -> None:
        """A new episode."""
        self.game.reset(rng)
        self._steps = 0

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """One step with any actions ``int64[N]``.

        Returns:
            new arrays: rewards, and whose action was illegal (None: nobody's).
        """
        if self._steps < 0:
            raise RuntimeError("the environment has not begun: call reset() first")
        illegal: NDArray[np.bool_] | None = None
        if not self._strict:
            taken, replaced = np.empty_like(actions), np.empty(len(actions), np.bool_)
            if make_legal(actions, self.game.observation_index(), self._highest_legal, taken, replaced):
                illegal = replaced
            actions = taken
        rewards = self.game.step(actions)
        self._steps += 1
        return rewards, illegal

    @property
    def _at_horizon(self) -> bool:
        return self._steps >= self.max_cycles

    def _new_observation_space(self) -> Space[Any]:
        """One agent's observation space; a new object."""
        low, high = self.game.observation_bounds
        box = Box(low, high, dtype=np.float32)
        if not self._with_mask:
            return box
        mask = Box(0, 1, (self.game.n_actions,), np.int8)
        return Dict({"observation": box, "action_mask": mask})

    def _new_action_space(self) -> Discrete[Any]:
        """One agent's action space; a new object."""
        return Discrete(self.game.n_actions)


@kernel
def make_legal(actions, observations, highest_legal, taken, replaced):
    """Replace illegal actions by the highest legal ones below them.

    Args:
        actions: ``int64[N]``, any numbers.
        observations: ``int64[N]``, tabular observations.
        highest_legal: ``int64[observations, actions]``, the highest legal action up to each action.
        taken: ``int64[N]``, written.
        replaced: ``bool[N]``, written: whose action was illegal.

    Returns:
        how many were illegal.
    """
    highest, count = highest_legal.shape[1] - 1, 0
    for agent in range(actions.shape[0]):
        action = actions[agent]
        legal = highest_legal[observations[agent], min(max(action, 0), highest)]
        taken[agent] = legal
        replaced[agent] = legal != action
        count += legal != action
    return count


def as_action(value: Any) -> int:
    """An action as an int: from an int, a NumPy number, or an array or tensor with one element.

    Raises:
        IllegalActionError: when it is not a single whole number.
    """
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise IllegalActionError(f"action {value!r} is not a whole number")
    return int(array.item())


def as_actions(values: Sequence[Any] | NDArray[Any], n_agents: int) -> NDArray[np.int64]:
    """The actions of all agents as ``int64[N]``, from an array or one value each (see :func:`as_action`).

    Raises:
        IllegalActionError: when these are not ``n_agents`` whole numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # numbers, arrays and tensors mixed
        array = np.empty(0)
    if array.dtype.kind not in "iu" and isinstance(values, Sequence):
        array = np.array([as_action(value) for value in values], np.int64)
    if array.size != n_agents or array.dtype.kind not in "iu":
        raise IllegalActionError(
            f"actions must be {n_agents} whole numbers; these are {array.dtype}{list(array.shape)}"
        )
    return array.reshape(n_agents).astype(np.int64, copy=False)
