"""Coalitions: what a group gains that chooses what it plays together, and what that costs the others."""

from __future__ import annotations

from typing import Any

from agents.coalitions.mean_field import mean_field_coalition_gain
from agents.coalitions.played import played_coalition_gain
from agents.coalitions.response import RespondedGain, responding_coalition_gain
from agents.coalitions.result import CoalitionGain
from karma_envs.config import choice, refusal
from karma_envs.game import PopulationGame
from karma_envs.mean_field import MeanFieldModel


def coalition_gain(
    game: PopulationGame | MeanFieldModel, policy: Any, size: Any, *, rest: str = "fixed", **options: Any
) -> CoalitionGain:
    """What members of a coalition gain together, per member and step.

    Args:
        game: a mean-field model, for a coalition of a share of infinitely many agents, whose best policy is
            computed: :func:`agents.coalitions.mean_field.mean_field_coalition_gain`; or a game of N agents,
            of which k learn together in play: :func:`agents.coalitions.played.played_coalition_gain`.
        policy: what all play without the coalition, and outsiders with it; such as an equilibrium's.
        size: of a model the share of members, in (0, 1]; of a game how many, or their numbers.
        rest: "fixed", the others stay as they are; or, of a model, "responds", they come to an equilibrium
            given what members play: :func:`agents.coalitions.response.responding_coalition_gain`.
        **options: those of the function; such as ``recognise=True``, of a model of the matching game: members
            who meet know each other and choose both bids together.

    Returns:
        the gain, what it costs the others, and which of these a number is.

    Raises:
        ConfigError: for an option out of range, and a game or model without tables.
    """
    responds = choice("rest", rest, ("fixed", "responds")) == "responds"
    if isinstance(game, PopulationGame):
        if responds:
            raise refusal("rest", rest, "fixed in a game of N agents; a mean-field model's rest can respond")
        return played_coalition_gain(game, policy, size, **options)
    gain = responding_coalition_gain if responds else mean_field_coalition_gain
    return gain(game, policy, size, **options)


__all__ = [
    "CoalitionGain",
    "RespondedGain",
    "coalition_gain",
    "mean_field_coalition_gain",
    "played_coalition_gain",
    "responding_coalition_gain",
]
