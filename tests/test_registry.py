"""Names, ids and what importing the package costs."""

import importlib
import pickle
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import gymnasium
import pettingzoo
import pytest

import karma_envs
from karma_envs import games, registry
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.registration import register_environments

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
        "class GAME(MatchingGame):\n    name = 'copied_game'\n"
        "    picture = None\n"
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


def test_modules_of_environments_are_imported_like_files():
    for name in karma_envs.names():
        module = importlib.import_module(f"karma_envs.{name}_v0")
        assert module is getattr(karma_envs, f"{name}_v0")
        assert (module.__name__, module.game) == (f"karma_envs.{name}_v0", name)
    make = pickle.loads(pickle.dumps(partial(karma_envs.matching_v0.parallel_env, n_agents=4)))
    assert make().game.n_agents == 4
    code = "from karma_envs.matching_v0 import parallel_env; print(parallel_env(n_agents=4).max_num_agents)"
    assert run_python(code) == ["4"]


def test_version_is_the_projects():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert karma_envs.__version__ == project["version"]


def test_registration_is_idempotent():
    before = dict(gymnasium.registry)
    register_environments()
    assert gymnasium.registry == before


def test_gymnasium_make_in_another_process():
    code = f"import gymnasium; print(gymnasium.make('karma_envs:{ID}').unwrapped.game.n_agents)"
    assert run_python(code) == ["100"]
