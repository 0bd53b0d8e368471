"""What outcomes are compared with: allocations without karma."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from karma_envs.baselines import baseline_policy
from karma_envs.game import PopulationGame
from karma_envs.metrics import Summary, summarise, total_outcome
from karma_envs.registry import game_class
from training.evaluation.play import play

if TYPE_CHECKING:
    pass


REFERENCE_ALLOCATIONS: Mapping[str, str] = {
    "DICT": "benevolent_dictator",
    "COIN": "coin_toss",
    "TURN": "turn_taking",
}
"""Allocations without karma (Thesis, section 2.3) by the names of its tables."""


def reference_games(game: str, game_config: Any) -> dict[str, PopulationGame]:
    """The same game with DICT, COIN and TURN in place of its allocation; none if it has no allocation."""
    if "allocation" not in game_config.field_names():
        return {}
    return {
        name: game_class(game)(game_config.replace(allocation=allocation))
        for name, allocation in REFERENCE_ALLOCATIONS.items()
    }


def reference_lines(game: str, game_config: Any, window: int, seed: int = 1) -> dict[str, Summary]:
    """DICT, COIN and TURN over a stretch of ``window`` steps, to compare a run's records with."""
    return {
        name: summarise(
            [
                total_outcome(
                    play(reference, baseline_policy("bid_nothing", reference), n_steps=window, seed=seed)
                )
            ]
        )
        for name, reference in reference_games(game, game_config).items()
    }
