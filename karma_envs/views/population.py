"""What all views share: a game played in episodes, by whatever actions come."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from gymnasium import logger
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict, Discrete, Space
from numpy.typing import NDArray

from karma_envs.config import ConfigError, choice, refuse, whole
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.numerics.compile import kernel
from karma_envs.registry import configured, game_class
from karma_envs.rendering import RENDER_MODES, Canvas
from karma_envs.views import VERSION

Observation: TypeAlias = NDArray[np.float32] | dict[str, NDArray[Any]]
"""An observation: flat, or with the mask of legal actions."""


_LEARNER = "one learner among others takes it (gymnasium.make, or make_vec with vectorization_mode='sync')"
_OF_ANOTHER_VIEW = {
    "population": f"{_LEARNER}; here every agent is one that acts",
    "learner": f"{_LEARNER}; here every agent is one that acts",
    "num_envs": "gymnasium.make_vec and the vector environment take it; the number of agents is n_agents",
    "max_episode_steps": "gymnasium.make and make_vec take it; the horizon is max_cycles",
    "autoreset_mode": "the vector environment takes it",
}
"""Arguments that not every view has, and who takes them."""

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # of int64
_Copied = TypeVar("_Copied", bound="CopiedWhole")


class CopiedWhole:
    """What shares nothing with its copies: ``copy.copy`` is ``copy.deepcopy``, as a game has one state."""

    def __copy__(self: _Copied) -> _Copied:
        return copy.deepcopy(self)


def highest_legal(legal_actions: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What each action is played as: ``int64[n, actions]``, itself or the highest legal one below it."""
    actions = np.arange(legal_actions.shape[1])
    return np.asarray(np.maximum.accumulate(np.where(legal_actions, actions, 0), axis=1))


class PopulationView(CopiedWhole):
    """Base of all views: configuration, episodes, legality, spaces and rendering.

    A copy, however it is made (``copy``, ``deepcopy``, ``pickle``, ``cloudpickle``), goes on where the
    original is, with the same random numbers, and shares nothing with it. So copies of an environment that
    has begun play the same until they are reset with seeds of their own; those of one that was never reset
    are as random as new ones. Only the window is not copied.

    Args:
        game: a game's name in the registry, or a game's class.
        preset: one of the game's named configurations.
        max_cycles: the horizon. After so many steps the episode is truncated for all agents at once,
            with ``info["TimeLimit.truncated"] = True``; it is never terminated.
        render_mode: ``human``, ``rgb_array`` (``uint8[H, W, 3]``) or None.
        observation: ``flat`` for ``float32[d]`` with the legal actions in ``info["action_mask"]``
            (``int8[n_actions]``), ``dict`` for both in one observation, under ``observation`` and
            ``action_mask``.
        strict: whether an illegal action raises IllegalActionError, before anything has changed. If not,
            the highest legal action below it (0 for a negative one) is taken and
            ``info["illegal_action"]`` is True in that step.
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
        game = game_class(game) if isinstance(game, str) else game
        for name in config:
            if name in _OF_ANOTHER_VIEW and name not in game.config_class.field_names():
                raise ConfigError(f"no field {name!r}: {_OF_ANOTHER_VIEW[name]}")
        self.game = configured(game, preset, config)
        self.max_cycles = whole("max_cycles", max_cycles, 1)
        self.render_mode = render_mode
        self._with_mask = choice("observation", observation, ("flat", "dict")) == "dict"
        self._strict = strict
        self._steps = -1
        self._highest_legal = highest_legal(self.game.legal_actions)
        modes = RENDER_MODES if self.game.picture is not None else ()
        if render_mode is not None and render_mode not in modes:
            raise refuse("render_mode", render_mode, ", ".join(("None", *modes)))
        self.metadata = {
            **self.metadata,
            "name": f"{self.game.name}_v{VERSION}",
            "render_modes": list(modes),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_canvas"}

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

    def check_actions(self, actions: NDArray[np.int64], agents: slice | NDArray[np.integer[Any]]) -> None:
        """If strict, refuse actions that are illegal now; never changes anything.

        Args:
            actions: ``int64[n]``, any numbers.
            agents: whose they are.

        Raises:
            IllegalActionError: naming the first agent whose action is illegal.
            RuntimeError: before the first reset.
        """
        self._require_begun()
        if self._strict:
            now = self.game.observation_index()[agents]
            illegal = np.empty(len(actions), np.bool_)
            if make_legal(actions, now, self._highest_legal, np.empty_like(actions), illegal):
                raise self._refusal(actions, now, illegal, np.arange(self.game.n_agents)[agents])

    def _require_begun(self) -> None:
        if self._steps < 0:
            raise RuntimeError("the environment has not begun: call reset() first")

    def _begin(self, rng: np.random.Generator) -> None:
        """A new episode."""
        self.game.reset(rng)
        self._steps = 0

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """One step with any actions ``int64[N]``.

        Returns:
            new arrays: rewards, and whose action was illegal (None: nobody's).
        """
        self._require_begun()
        now = self.game.observation_index()
        taken, replaced = np.empty_like(actions), np.empty(len(actions), np.bool_)
        illegal = replaced if make_legal(actions, now, self._highest_legal, taken, replaced) else None
        if illegal is not None and self._strict:
            raise self._refusal(actions, now, illegal, np.arange(self.game.n_agents))
        rewards = self.game.step(taken)
        self._steps += 1
        return rewards, illegal

    def _refusal(
        self,
        actions: NDArray[np.int64],
        observations: NDArray[np.int64],
        illegal: NDArray[np.bool_],
        agents: NDArray[np.int64],
    ) -> IllegalActionError:
        """What is wrong with the first illegal one of some ``agents``' actions."""
        first = int(np.argmax(illegal))
        allowed = np.flatnonzero(self.game.legal_actions[observations[first]])
        return IllegalActionError(
            f"agent {agents[first]} takes action {actions[first]}, which is illegal now; "
            f"allowed: {_listed(allowed)}"
        )

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


def _listed(actions: NDArray[np.int64]) -> str:
    """Legal actions in words: ``0 … 10``, or one by one."""
    first, last = int(actions[0]), int(actions[-1])
    if len(actions) > 2 and last - first == len(actions) - 1:
        return f"{first} … {last}"
    return ", ".join(map(str, actions.tolist()))


def as_action(value: Any) -> int:
    """An action as an int: from an int, a NumPy number, or an array or tensor with one element.

    Whole numbers beyond int64 become its bounds, which are as illegal.

    Raises:
        IllegalActionError: when it is not a single whole number.
    """
    if type(value) is not int:
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "iu":
            raise IllegalActionError(f"action {value!r} is not a whole number")
        value = array.item()
    return value if _LOWEST <= value <= _HIGHEST else _LOWEST if value < 0 else _HIGHEST


def as_actions(values: Sequence[Any] | NDArray[Any], n_agents: int) -> NDArray[np.int64]:
    """The actions of all agents as ``int64[N]``, from one value each (see :func:`as_action`).

    Args:
        values: a sequence of N values, or an array ``int[N]`` or ``int[N, 1]``.
        n_agents: N.

    Raises:
        IllegalActionError: when these are not ``n_agents`` whole numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # numbers, arrays and tensors mixed
        array = np.empty(0)
    if array.dtype.kind not in "iu" and isinstance(values, Sequence):
        array = np.array([as_action(value) for value in values], np.int64)
    if array.shape not in ((n_agents,), (n_agents, 1)) or array.dtype.kind not in "iu":
        raise IllegalActionError(
            f"actions must be {n_agents} whole numbers; these are {array.dtype}{list(array.shape)}"
        )
    if array.dtype == np.uint64:
        array = np.minimum(array, np.uint64(_HIGHEST))
    return array.reshape(n_agents).astype(np.int64, copy=False)
