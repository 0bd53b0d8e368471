"""The games that conformance is tested of: all in the registry, and some of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

import gymnasium
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv

import karma_envs
from karma_envs.game import PopulationGame
from karma_envs.registry import game_class, title_of, version_of
from karma_envs.views import GameViews, aec
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv
from tests.own_games import OWN_GAMES

Game = str | type[PopulationGame]
"""A name in the registry, or a class that is not in it."""

GAMES: tuple[Game, ...] = (*karma_envs.names(), *OWN_GAMES)


def class_of(game: Game) -> type[PopulationGame]:
    return game_class(game) if isinstance(game, str) else game


def views_of(game: Game) -> Any:
    """The PettingZoo environments of a game, as a module has them."""
    if isinstance(game, str):
        return GameViews(game)
    views = {"parallel_env": PopulationParallelEnv, "env": aec.env, "raw_env": aec.raw_env}
    return SimpleNamespace(**{name: partial(view, game) for name, view in views.items()})


def single_agent_env(game: Game, **arguments: Any) -> gymnasium.Env[Any, Any]:
    """One learner in a population; of a registered game as ``gymnasium.make`` gives it, without wrappers."""
    if isinstance(game, str):
        return gymnasium.make(_identifier(game), **arguments).unwrapped
    return SingleAgentEnv(game, **arguments)


def vector_env(game: Game, horizon: int) -> VectorEnv[Any, Any, Any]:
    """A population of six as a vector environment; of a registered game by ``gymnasium.make_vec``."""
    if isinstance(game, str):
        return gymnasium.make_vec(_identifier(game), num_envs=6, max_episode_steps=horizon)
    return PopulationVectorEnv(game, n_agents=6, max_cycles=horizon)


def _identifier(name: str) -> str:
    return f"karma_envs/{title_of(name)}-v{version_of(name)}"


def endless(games: Iterable[Game] = GAMES) -> list[Game]:
    return [game for game in games if class_of(game).length is None]


def horizon_of(game: Game, longest: int) -> int:
    """The number of steps of an episode: of the game, or of an endless one the longest."""
    return class_of(game).length or longest


def by_observation(games: Iterable[Game] = GAMES) -> list[tuple[Game, str]]:
    """Each game with each form of observations that it has: with masks in them where actions are numbered."""
    return [(game, form) for game in games for form in _forms(game)]


def _forms(game: Game) -> tuple[str, ...]:
    return ("flat",) if isinstance(class_of(game)(n_agents=6).action_space, Box) else ("flat", "dict")
