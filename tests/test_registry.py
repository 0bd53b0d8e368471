"""Names, ids and what importing the package costs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import gymnasium
import numpy as np
import pettingzoo
import pytest

import karma_envs
from karma_envs import games, registry
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.registration import register_environments
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv

ID = "karma_envs/Matching-v0"


def run_python(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_is_light():
    heavy = ("torch", "matplotlib", "numba", "scipy", "karma_envs.game", "karma_envs.games.matching")
    assert run_python(f"import karma_envs, sys; print(*[m for m in {heavy} if m in sys.modules])") == []


def test_views_do_not_import_matplotlib_or_torch():
    code = (
        "import sys, karma_envs; karma_envs.matching_v0.env().reset();"
        "print(*[m for m in ('matplotlib', 'torch', 'agents') if m in sys.modules])"
    )
    assert run_python(code) == []


@pytest.mark.parametrize("name", karma_envs.names())
def test_games_carry_their_names(name):
    game = registry.game_class(name)
    assert issubclass(game, PopulationGame)
    assert game.name == name
    assert game.title == registry.title_of(name)
    assert "n_agents" in game.config_class.field_names()
    for preset in game.presets:
        assert karma_envs.make(name, preset).config == game(**game.presets[preset]).config


def test_names_and_titles():
    assert "matching" in karma_envs.names()
    assert registry.title_of("grid_city") == "GridCity"


def test_make():
    game = karma_envs.make("matching", "pbs", n_agents=12)
    assert game.n_agents == 12
    assert game.config.payment == "pay_bid_to_society"
    assert karma_envs.make("matching", "pbs", payment="pbp").config.payment == "pay_bid_to_peer"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("matchin",), "name = 'matchin' .*did you mean matching"),
        (("_hidden",), "name = '_hidden' is not allowed"),
        (("matching", "social"), "preset = 'social' .*social-outcome"),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(ConfigError, match=message):
        karma_envs.make(*arguments)


def test_a_file_is_a_game(tmp_path, monkeypatch):
    """A new file in the folder is a game, without any list to add it to."""
    (tmp_path / "copied_game.py").write_text(
        "from karma_envs.games.matching import MatchingGame\n"
        "class GAME(MatchingGame):\n    name, title = 'copied_game', 'CopiedGame'\n"
    )
    (tmp_path / "_helper.py").write_text("raise AssertionError('helpers are not imported')\n")
    monkeypatch.setattr(games, "__path__", [*games.__path__, str(tmp_path)])
    assert "copied_game" in karma_envs.names()
    assert "_helper" not in karma_envs.names()
    env = karma_envs.copied_game_v0.parallel_env(n_agents=4)
    assert env.metadata == {
        "name": "copied_game_v0",
        "render_modes": [],
        "render_fps": 4,
        "is_parallelizable": True,
    }
    with pytest.raises(ConfigError, match="render_mode = 'human' is not allowed; allowed: None"):
        karma_envs.copied_game_v0.parallel_env(render_mode="human")
    register_environments()
    try:
        assert gymnasium.make("karma_envs/CopiedGame-v0", n_agents=4).unwrapped.game.name == "copied_game"
    finally:
        del gymnasium.registry["karma_envs/CopiedGame-v0"], sys.modules["karma_envs.games.copied_game"]
        for registered in ("aec_registry", "parallel_registry"):
            getattr(pettingzoo, registered, {}).pop("karma_envs/copied_game-v0", None)


def test_package_attributes():
    from karma_envs import matching_v0, metrics

    assert metrics.efficiency([-1.0, 0.0]) == -0.5
    assert isinstance(matching_v0.parallel_env(), PopulationParallelEnv)
    assert matching_v0 == karma_envs.matching_v0
    assert {"matching_v0", "make", "names", "metrics", "checks"} <= set(dir(karma_envs))
    with pytest.raises(AttributeError, match="no attribute 'matching_v1'"):
        karma_envs.matching_v1  # noqa: B018


def test_version_is_the_projects():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert karma_envs.__version__ == project["version"]


def test_registration_is_idempotent():
    before = dict(gymnasium.registry)
    register_environments()
    assert gymnasium.registry == before


@pytest.mark.parametrize("identifier", [ID, f"karma_envs:{ID}"])
def test_gymnasium_make(identifier):
    env = gymnasium.make(identifier, n_agents=8, learner=2, max_cycles=3)
    assert isinstance(env.unwrapped, SingleAgentEnv)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_gymnasium_make_in_another_process():
    code = f"import gymnasium; print(gymnasium.make('karma_envs:{ID}').unwrapped.game.n_agents)"
    assert run_python(code) == ["100"]


def test_spec_makes_the_environment_again():
    env = gymnasium.make(ID, n_agents=8, population="bid_all")
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.game.config == env.unwrapped.game.config


@pytest.mark.parametrize("mode", [None, "vector_entry_point"])
def test_gymnasium_make_vec_is_the_population(mode):
    env = gymnasium.make_vec(ID, num_envs=12, vectorization_mode=mode, max_episode_steps=2)
    assert isinstance(env, PopulationVectorEnv)
    assert env.num_envs == 12
    assert gymnasium.make_vec(ID, vectorization_mode=mode, n_agents=14).num_envs == 14
    env.reset(seed=0)
    assert [env.step(np.zeros(12, int))[3].all() for _ in range(2)] == [False, True]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasium_make_vec_of_learners(mode):
    env = gymnasium.make_vec(ID, num_envs=2, vectorization_mode=mode, n_agents=8)
    observations, infos = env.reset(seed=0)
    assert observations.shape == (2, 2)
    assert infos["action_mask"].shape == (2, 21)
    observations, *_ = env.step(np.zeros(2, int))
    assert observations in env.observation_space
    env.close()


def test_parallel_environment_is_not_for_gymnasium():
    with pytest.raises(TypeError, match=r"gymnasium\.Env"):
        gymnasium.make(gymnasium.envs.registration.EnvSpec("P-v0", karma_envs.matching_v0.parallel_env))


@pytest.mark.skipif(not hasattr(pettingzoo, "make"), reason="PettingZoo before 1.27")
def test_pettingzoo_make():
    env = pettingzoo.make("parallel", "karma_envs/matching_v0", max_cycles=5, n_agents=8)
    assert isinstance(env, PopulationParallelEnv)
    assert env.max_cycles == 5
    turns = pettingzoo.make("aec", "karma_envs/matching_v0", n_agents=8)
    turns.reset(seed=0)
    assert turns.num_agents == 8
