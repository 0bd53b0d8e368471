"""What may be a little different: parameters of a game's configuration, or any family of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.solvers.sensitivity.equations import Setting
from karma_envs.config import real, refusal, unknown_parameter
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, as_finite_model

RATIONALITY, EXPLORATION = "rationality", "exploration"
_STEP = 1e-5  # of differences, over the parameter's magnitude
_SMALLEST_STEP = 1e-8
_PLACES = ((-1.0, 1.0), (1.0, 2.0), (-1.0, -2.0))  # in steps


@dataclass(frozen=True)
class ModelParameter:
    """A number that a mean-field model depends on, in any way.

    Parameters of a game's configuration go by their names. One of these is for everything else: two numbers
    that move together, a rule that is a closure, a model that is no game's.

    Attributes:
        name: what tables call it.
        value: what it is at the equilibrium.
        model_at: the model where it is another number, with as many types, states and actions. It may raise
            ``ValueError`` for numbers that are not allowed; where these begin the derivative is one-sided.
    """

    name: str
    value: float
    model_at: Callable[[float], FiniteMeanFieldModel]


@dataclass(frozen=True)
class Varied:
    """A parameter as derivatives need it.

    Attributes:
        name: its name.
        value: at the equilibrium.
        setting_at: the setting where it is another number; may raise ``ValueError``.
    """

    name: str
    value: float
    setting_at: Callable[[float], Setting]

    @property
    def step(self) -> float:
        """A width for differences of the model."""
        return max(_STEP * abs(self.value), _SMALLEST_STEP) if self.value else _STEP

    def around(self, step: float, side: int = 0) -> Stencil:
        """The settings a step to both sides, or to one where the other is not allowed.

        Args:
            step: h > 0.
            side: 1 or -1 to look to one side only.

        Raises:
            ConfigError: where the parameter may be moved to neither side.
        """
        problem: ValueError | None = None
        sides = {0: _PLACES, 1: _PLACES[1:2], -1: _PLACES[2:]}[side]
        for places in sides:
            try:
                return Stencil(step, places, tuple(self.setting_at(self.value + k * step) for k in places))
            except ValueError as error:
                problem = problem or error
        raise refusal(
            self.name, self.value, f"one that may be a little more, or a little less: {problem}"
        ) from problem


@dataclass(frozen=True)
class Stencil:
    """Two places beside a parameter's value, from which derivatives are differenced.

    Attributes:
        step: h.
        places: in units of h; (-1, 1) or, where one side is not allowed, (1, 2) or (-1, -2).
        settings: there.
    """

    step: float
    places: tuple[float, float]
    settings: tuple[Setting, ...]

    @property
    def two_sided(self) -> bool:
        """Whether the places are on both sides."""
        return self.places[0] * self.places[1] < 0

    def derivative(
        self, here: NDArray[np.float64], there: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """The derivative of something at the value, of second order, from what it is at the places.

        Args:
            here: what it is at the value itself, which matters on one side only.
            there: what it is at the places.
        """
        first, second = there
        if self.two_sided:
            return np.asarray((second - first) / (2 * self.step))
        return np.asarray((4 * first - second - 3 * here) / (2 * self.step * self.places[0]))


Parameters = Sequence[str | ModelParameter]
"""What is asked for: names of a configuration's parameters, and parameters of one's own."""


def varied_of(
    source: PopulationGame | MeanFieldModel, setting: Setting, chosen: Parameters | None
) -> tuple[Varied, ...]:
    """The parameters that are asked for.

    Args:
        source: the game, whose configuration has parameters by name, or a model, which has none.
        setting: what the equilibrium is one of.
        chosen: names and parameters of the user's; None for all that have names.

    Raises:
        ConfigError: for a name that is none, or for none at all.
    """
    named = _of_game(source, setting) if isinstance(source, PopulationGame) else {}
    if np.isfinite(setting.rationality):
        named |= _of_logit(setting)

    def varied(item: str | ModelParameter) -> Varied:
        if isinstance(item, ModelParameter):
            return _of_user(setting, item)
        if item in named:
            return named[item]
        if isinstance(source, PopulationGame):
            raise unknown_parameter(item, named)
        raise refusal(
            "parameter", item, "a ModelParameter, or a name where the game is given in place of its model"
        )

    if not (items := list(named) if chosen is None else list(chosen)):
        raise refusal("parameters", chosen, "at least one: a name, or a ModelParameter")
    return tuple(varied(item) for item in items)


def _of_game(game: PopulationGame, setting: Setting) -> dict[str, Varied]:
    """The parameters of a game's configuration."""

    def at(name: str) -> Callable[[float], Setting]:
        def moved(value: float) -> Setting:
            other = game.mean_field_of(game.config.with_parameter(name, value))
            assert other is not None
            return replace(setting, model=as_finite_model(other))

        return moved

    return {name: Varied(name, value, at(name)) for name, value in game.config.parameters().items()}


def _of_user(setting: Setting, parameter: ModelParameter) -> Varied:
    def moved(value: float) -> Setting:
        return replace(setting, model=as_finite_model(parameter.model_at(value)))

    value = real(parameter.name, parameter.value)
    return Varied(parameter.name, value, moved)


def _of_logit(setting: Setting) -> dict[str, Varied]:
    """How rational agents are, and how much they explore."""

    def rational(value: float) -> Setting:
        return replace(setting, rationality=real(RATIONALITY, value, 0, open_low=True))

    def exploring(value: float) -> Setting:
        return replace(setting, exploration=real(EXPLORATION, value, 0, 1))

    return {
        RATIONALITY: Varied(RATIONALITY, setting.rationality, rational),
        EXPLORATION: Varied(EXPLORATION, setting.exploration, exploring),
    }
