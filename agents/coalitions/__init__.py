"""Coalitions: what a group gains that chooses what it plays together, and what that costs the others."""

from __future__ import annotations

from typing import Any

from agents.coalitions.mean_field import mean_field_coalition_gain
from agents.coalitions.played import played_coalition_gain
from agents.coalitions.result import CoalitionGain
from karma_envs.game import PopulationGame
from karma_envs.mean_field import MeanFieldModel


def coalition_gain(
    game: PopulationGame | MeanFieldModel, policy: Any, size: Any, **options: Any
) -> CoalitionGain:
    """What members of a coalition gain together, per member and step, where the others stay as they are.

    Args:
        game: a mean-field model, for a coalition of a share of infinitely many agents, whose best policy is
            computed: :func:`agents.coalitions.mean_field.mean_field_coalition_gain`; or a game of N agents,
            of which k learn together in play: :func:`agents.coalitions.played.played_coalition_gain`.
        policy: what all play without the coalition, and outsiders with it; such as an equilibrium's.
        size: of a model the share of members, in (0, 1]; of a game how many, or their numbers.
        **options: those of the function.

    Returns:
        the gain, what it costs the others, and which of these a number is.

    Raises:
        ConfigError: for an option out of range, and a game or model without tables.
    """
    if isinstance(game, PopulationGame):
        return played_coalition_gain(game, policy, size, **options)
    return mean_field_coalition_gain(game, policy, size, **options)


__all__ = ["CoalitionGain", "coalition_gain", "mean_field_coalition_gain", "played_coalition_gain"]
