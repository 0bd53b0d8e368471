"""PettingZoo's own tests, over all games by space and length; warnings are errors.

Left out is ``bombardment_test``, which fails for any compliant environment in PettingZoo 1.27. Its
``parallel_seed_test`` runs a single step there; ``check_seeds`` of karma_envs.checks runs episodes.
``max_cycles_test`` is for games without an end, as others have no horizon that could be chosen.
"""

import warnings

import pytest
from pettingzoo.test import (
    api_test,
    max_cycles_test,
    parallel_api_test,
    parallel_seed_test,
    render_test,
    seed_test,
)
from pettingzoo.test.state_test import state_test

import karma_envs
from tests.conformance.played import GAMES, by_observation, class_of, endless, horizon_of, views_of

NO_BOUNDS = ".*(observation|state) space value is -?infinity"
"""A warning that does not apply: a position on a line has no bounds."""

ALL_ZEROS = "State numpy array is all zeros"
"""Likewise: actions are drawn, and by chance all may be healthy, which is a state of zeros."""

by_game = pytest.mark.parametrize("game", GAMES)
by_game_and_observation = pytest.mark.parametrize(("game", "observation"), by_observation())


@by_game_and_observation
@pytest.mark.parametrize("num_cycles", [10, 1000])
def test_parallel_api(game, observation, num_cycles):
    env = views_of(game).parallel_env(n_agents=6, observation=observation)
    parallel_api_test(env, num_cycles=max(num_cycles, horizon_of(game, num_cycles)))


def api_test_of(env, num_cycles):
    """PettingZoo's test, which warns of what is right here."""
    with warnings.catch_warnings():
        # what agents observe may be one number, and that may be 0
        warnings.filterwarnings("ignore", "Observation is a single number")
        warnings.filterwarnings("ignore", "Observation numpy array is all zeros")
        # dicts are allowed only by the names of PettingZoo's own games
        warnings.filterwarnings("ignore", "Observation is not a NumPy array")
        warnings.filterwarnings("ignore", "Observation space for each agent probably should be")
        warnings.filterwarnings("ignore", NO_BOUNDS)
        api_test(env, num_cycles=num_cycles)


@by_game
@pytest.mark.parametrize("constructor", ["env", "raw_env"])
@pytest.mark.parametrize("max_cycles", [10, 1000])
def test_aec_api(game, constructor, max_cycles):
    env = getattr(views_of(game), constructor)(n_agents=6, max_cycles=horizon_of(game, max_cycles))
    api_test_of(env, num_cycles=100)


@pytest.mark.parametrize("game", [game for game, form in by_observation() if form == "dict"])
def test_aec_api_with_dict_observations(game):
    env = views_of(game).env(n_agents=6, observation="dict", max_cycles=horizon_of(game, 20))
    api_test_of(env, num_cycles=50)


@by_game_and_observation
def test_seeds(game, observation):
    views = views_of(game)
    arguments = {"n_agents": 6, "max_cycles": horizon_of(game, 50), "observation": observation}
    parallel_seed_test(lambda: views.parallel_env(**arguments))
    seed_test(lambda: views.env(**arguments), num_cycles=50)


@pytest.mark.parametrize("game", endless())
def test_max_cycles(game):
    max_cycles_test(views_of(game))


@by_game
def test_state(game):
    views, max_cycles = views_of(game), horizon_of(game, 5)
    env, parallel_env = views.env(n_agents=6, max_cycles=max_cycles), views.parallel_env(n_agents=6)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", NO_BOUNDS)
        warnings.filterwarnings("ignore", ALL_ZEROS)
        state_test(env, parallel_env, num_cycles=10)


@pytest.mark.parametrize("name", karma_envs.names())
def test_render(name):
    if class_of(name).picture is None:
        pytest.skip("this game has no renderer")
    pytest.importorskip("matplotlib").use("agg")
    max_cycles = horizon_of(name, 3)
    render_test(lambda **kwargs: views_of(name).env(n_agents=6, max_cycles=max_cycles, **kwargs))
