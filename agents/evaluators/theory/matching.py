"""The door to what the Thesis proves of the matching game: what is said there holds of no other."""

from __future__ import annotations

from karma_envs.config import refusal
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.karma.urgency import AgentType
from karma_envs.mean_field import MeanFieldModel


def as_matching(model: MeanFieldModel) -> MatchingMeanField:
    """The model, if it is a matching game's.

    Raises:
        ConfigError: naming the model that is another game's.
    """
    if not isinstance(model, MatchingMeanField):
        raise refusal("model", type(model).__name__, "that of the matching game, which this is about")
    return model


def only_type(model: MatchingMeanField) -> AgentType:
    """The type of all agents.

    Raises:
        ConfigError: where there are several.
    """
    if len(model.types) > 1:
        raise refusal("types", len(model.types), "one type of agents, which this is about")
    return model.types[0]
