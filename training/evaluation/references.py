"""What outcomes are compared with: a game's references, played for as long."""

from __future__ import annotations

from karma_envs.game import PopulationGame
from karma_envs.outcome import Outcome, total_outcome
from training.evaluation.play import play


def reference_outcomes(game: PopulationGame, window: int, seed: int = 1) -> dict[str, Outcome]:
    """What the game's references come to over ``window`` steps, to compare a run's records with, by name."""
    return {
        name: total_outcome(play(reference, policy, n_steps=window, seed=seed))
        for name, (reference, policy) in game.references().items()
    }
