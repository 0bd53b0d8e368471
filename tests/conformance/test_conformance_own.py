"""Every game in the registry, in every preset, keeps the contracts that karma_envs.checks knows."""

import pytest

import karma_envs
from karma_envs.checks import GAME_CHECKS, PARALLEL_ENV_CHECKS, check_game, check_parallel_env
from karma_envs.registry import game_class
from karma_envs.views import GameViews

SETTINGS = [(name, preset) for name in karma_envs.names() for preset in (None, *game_class(name).presets)]


@pytest.mark.parametrize("name", karma_envs.names())
@pytest.mark.parametrize("check", GAME_CHECKS, ids=lambda check: check.__name__)
def test_game(name, check):
    check(karma_envs.make(name, n_agents=6))


@pytest.mark.parametrize(("name", "preset"), SETTINGS)
def test_game_presets(name, preset):
    check_game(karma_envs.make(name, preset, n_agents=6))


@pytest.mark.parametrize("name", karma_envs.names())
def test_game_with_odd_number_of_agents(name):
    check_game(karma_envs.make(name, n_agents=7))


@pytest.mark.parametrize("name", karma_envs.names())
@pytest.mark.parametrize("arguments", [{}, {"observation": "dict"}, {"strict": True}], ids=str)
@pytest.mark.parametrize("check", PARALLEL_ENV_CHECKS, ids=lambda check: check.__name__)
def test_parallel_env(name, check, arguments):
    check(GameViews(name).parallel_env(n_agents=6, max_cycles=20, **arguments))


@pytest.mark.parametrize(("name", "preset"), SETTINGS)
def test_parallel_env_presets(name, preset):
    check_parallel_env(GameViews(name).parallel_env(preset=preset, n_agents=7, max_cycles=20))
