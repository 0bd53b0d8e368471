"""PettingZoo's own tests, over the whole registry; warnings are errors.

Left out is ``bombardment_test``, which fails for any compliant environment in PettingZoo 1.27. Its
``parallel_seed_test`` runs a single step there; ``check_seeds`` of karma_envs.checks runs episodes.
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
from karma_envs.registry import game_class
from karma_envs.views import GameViews

pytestmark = pytest.mark.parametrize("name", karma_envs.names())


@pytest.mark.parametrize("observation", ["flat", "dict"])
@pytest.mark.parametrize("max_cycles", [10, 1000])
def test_parallel_api(name, observation, max_cycles):
    env = GameViews(name).parallel_env(n_agents=6, observation=observation)
    parallel_api_test(env, num_cycles=max_cycles)


@pytest.mark.parametrize("constructor", ["env", "raw_env"])
@pytest.mark.parametrize("max_cycles", [10, 1000])
def test_aec_api(name, constructor, max_cycles):
    api_test(getattr(GameViews(name), constructor)(n_agents=6, max_cycles=max_cycles), num_cycles=100)


def test_aec_api_with_dict_observations(name):
    with warnings.catch_warnings():  # dicts are allowed only by the names of PettingZoo's own games
        warnings.filterwarnings("ignore", "Observation is not a NumPy array")
        warnings.filterwarnings("ignore", "Observation space for each agent probably should be")
        api_test(GameViews(name).env(n_agents=6, observation="dict", max_cycles=20), num_cycles=50)


@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_seeds(name, observation):
    views, arguments = GameViews(name), {"n_agents": 6, "max_cycles": 50, "observation": observation}
    parallel_seed_test(lambda: views.parallel_env(**arguments))
    seed_test(lambda: views.env(**arguments), num_cycles=50)


def test_max_cycles(name):
    max_cycles_test(GameViews(name))


def test_state(name):
    views = GameViews(name)
    state_test(views.env(n_agents=6, max_cycles=5), views.parallel_env(n_agents=6), num_cycles=10)


def test_render(name):
    if game_class(name).picture is None:
        pytest.skip("this game has no renderer")
    pytest.importorskip("matplotlib").use("agg")
    render_test(lambda **kwargs: GameViews(name).env(n_agents=6, max_cycles=3, **kwargs))
