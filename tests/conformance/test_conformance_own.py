"""Every game, in every preset, keeps the contracts that karma_envs.checks knows, by space and length."""

import pytest

import karma_envs
from karma_envs.checks import PARALLEL_ENV_CHECKS, check_game, check_parallel_env, checks_of
from karma_envs.tabulated import tabulated
from tests.conformance.played import GAMES, by_observation, class_of, horizon_of, views_of
from tests.own_games import DriftGame, OneShotGame

SETTINGS = [(name, preset) for name in karma_envs.names() for preset in (None, *class_of(name).presets)]
CHECKS = [(game, check) for game in GAMES for check in checks_of(class_of(game)(n_agents=6))]
ARGUMENTS = [
    *((game, {"observation": form}) for game, form in by_observation()),
    *((game, {"strict": True}) for game in GAMES),
]


def named(value):
    """What a test's parameter is called."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("game", "check"), CHECKS, ids=named)
def test_game(game, check):
    check(class_of(game)(n_agents=6))


@pytest.mark.parametrize(("name", "preset"), SETTINGS)
def test_game_presets(name, preset):
    check_game(karma_envs.make(name, preset, n_agents=6))


@pytest.mark.parametrize("name", karma_envs.names())
def test_game_with_odd_number_of_agents(name):
    check_game(karma_envs.make(name, n_agents=7))


@pytest.mark.parametrize("game", ["meeting_time", DriftGame, OneShotGame], ids=named)
def test_tabulated_game(game):
    """In cells so small that agents in one never observe different numbers, as these are the cells' own."""
    check_game(tabulated(class_of(game)(n_agents=6), cells=5))


@pytest.mark.parametrize(("game", "arguments"), ARGUMENTS, ids=named)
@pytest.mark.parametrize("check", PARALLEL_ENV_CHECKS, ids=named)
def test_parallel_env(game, check, arguments):
    check(views_of(game).parallel_env(n_agents=6, max_cycles=horizon_of(game, 20), **arguments))


@pytest.mark.parametrize(("name", "preset"), SETTINGS)
def test_parallel_env_presets(name, preset):
    env = views_of(name).parallel_env(preset=preset, n_agents=7, max_cycles=horizon_of(name, 20))
    check_parallel_env(env)
