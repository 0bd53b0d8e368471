"""Games from outside the package: registered by name, and what is refused."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import pettingzoo
import pytest

import karma_envs
from karma_envs import registry
from karma_envs.config import Config, ConfigError
from karma_envs.game import PopulationGame
from karma_envs.views.aec import PopulationAECEnv
from karma_envs.views.parallel import PopulationParallelEnv
from karma_envs.views.single_agent import SingleAgentEnv
from karma_envs.views.vector import PopulationVectorEnv
from tests.own_games import DriftGame, OwnConfig, OwnGame, RoadsGame
from training import TrainConfig


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget afterwards what a test registers."""
    monkeypatch.setattr(registry, "_registered", {})
    kinds = [
        gymnasium.registry,
        *(getattr(pettingzoo, kind, {}) for kind in ("aec_registry", "parallel_registry")),
    ]
    before = [set(kind) for kind in kinds]
    modules = set(sys.modules)
    yield
    for kind, known in zip(kinds, before):
        for name in set(kind) - known:
            del kind[name]
    for name in set(sys.modules) - modules:
        if name.startswith("karma_envs."):
            del sys.modules[name]


def test_a_registered_game_goes_by_its_name_everywhere() -> None:
    assert karma_envs.register(RoadsGame) is RoadsGame
    assert "roads" in karma_envs.names()
    assert isinstance(karma_envs.make("roads", n_agents=4), RoadsGame)
    env = karma_envs.roads_v0.parallel_env(n_agents=4)
    assert env.metadata["name"] == "roads_v0"
    from karma_envs.roads_v0 import parallel_env  # type: ignore[import-not-found]

    assert parallel_env(n_agents=4).max_num_agents == 4
    learner = gymnasium.make("karma_envs/Roads-v0", n_agents=4)
    learner.reset(seed=0)
    assert len(learner.step(0)) == 5
    assert gymnasium.make_vec("karma_envs/Roads-v0", num_envs=4).num_envs == 4
    if hasattr(pettingzoo, "make"):
        assert pettingzoo.make("parallel", "karma_envs/roads-v0").unwrapped.game.name == "roads"


def test_a_game_with_boxes_and_an_end_can_be_registered() -> None:
    karma_envs.register(DriftGame)
    env = karma_envs.drift_v0.parallel_env(n_agents=3)
    env.reset(seed=0)
    for _ in range(3):
        ended = env.step({agent: env.action_space(agent).sample() for agent in env.agents})[2]
    assert list(ended.values()) == [True] * 3


def test_to_register_again_changes_nothing_and_a_new_definition_takes_the_place_of_the_old_one() -> None:
    karma_envs.register(RoadsGame)
    before = dict(gymnasium.registry)
    karma_envs.register(RoadsGame)
    assert gymnasium.registry == before
    again: Any = type("RoadsGame", (RoadsGame,), {"__module__": RoadsGame.__module__})
    karma_envs.register(again)
    assert type(karma_envs.make("roads")) is again


def test_versions_are_of_games() -> None:
    @karma_envs.register
    class NarrowRoadsGame(RoadsGame):
        name, VERSION = "narrow_roads", 3

    assert karma_envs.narrow_roads_v3.parallel_env().metadata["name"] == "narrow_roads_v3"
    assert "karma_envs/NarrowRoads-v3" in gymnasium.registry
    assert "narrow_roads_v3" in dir(karma_envs)
    with pytest.raises(AttributeError):
        karma_envs.narrow_roads_v0  # noqa: B018


@pytest.mark.parametrize("name", karma_envs.names())
def test_the_version_is_read_without_importing_the_game(name: str) -> None:
    assert registry.version_of(name) == registry.game_class(name).VERSION


def test_files_name_a_registered_game_by_its_class() -> None:
    """So that another process, which knows of no registration, can read them."""
    karma_envs.register(RoadsGame)
    for game in ("roads", RoadsGame, "tests.own_games:RoadsGame"):
        config = TrainConfig(game=game)
        assert config.game == "tests.own_games:RoadsGame"
        assert isinstance(config.make_game(), RoadsGame)
    assert TrainConfig(game=registry.game_class("matching")).game == "matching"

    class LocalGame(RoadsGame):
        pass

    with pytest.raises(ConfigError, match=r"game = .*LocalGame is not allowed; allowed: a class in a module"):
        TrainConfig(game=LocalGame)


@dataclass(frozen=True)
class PresetConfig(OwnConfig):
    """A field that no game can be given."""

    preset: int = 0


@dataclass(frozen=True)
class StrictConfig(OwnConfig):
    """A field that no environment can be given."""

    strict: bool = True


class NoCounts(Config):
    """A configuration without agents."""


def roads(**attributes: Any) -> Any:
    """A class like RoadsGame, but for some attributes."""
    return type("OtherGame", (RoadsGame,), attributes)


@pytest.mark.parametrize(
    ("game", "says"),
    [
        (3, "is no game"),
        (dict, "is no game, a class with all that PopulationGame asks for$"),
        (RoadsGame(), "is no game"),
        (PopulationGame, "is no game"),
        (OwnGame, "it lacks .*observations, start"),
        (roads(config_class=dict), "config_class that is no karma_envs.config.Config"),
        (roads(config_class=NoCounts), "a configuration without n_agents"),
        (roads(config_class=PresetConfig), "field 'preset' is an argument of make; rename it"),
        (roads(config_class=StrictConfig), "without the field 'strict', an argument of environments"),
        (roads(presets={"many": {"agents": 9}}), "a preset 'many' with 'agents', which is no field"),
        (roads(presets=[]), "presets that are no mapping"),
        (roads(name="matching"), "name of .* = 'matching' is not allowed; allowed: a name that no other"),
        (roads(name="grid__city"), "name of .* = 'grid__city' is not allowed; allowed: a name that no other"),
        (roads(name="my game"), "name of .* = 'my game' .*lower-case letters"),
        (roads(name="class"), "name of .* = 'class' "),
        (roads(name="_roads"), "name of .* = '_roads' "),
    ],
)  # fmt: skip
def test_what_cannot_be_registered_is_refused_and_leaves_nothing(game: Any, says: str) -> None:
    before = dict(gymnasium.registry), karma_envs.names()
    with pytest.raises(ConfigError, match=says):
        karma_envs.register(game)
    assert (dict(gymnasium.registry), karma_envs.names()) == before


def test_a_name_of_another_registered_game_is_refused() -> None:
    karma_envs.register(RoadsGame)
    with pytest.raises(ConfigError, match="a name that no other game has"):
        karma_envs.register(roads())


def test_the_arguments_that_no_field_may_be_called_like_are_those_of_the_views() -> None:
    views = PopulationParallelEnv, PopulationAECEnv, SingleAgentEnv, PopulationVectorEnv
    makers = [*(mro.__init__ for view in views for mro in view.__mro__ if "karma_envs" in mro.__module__)]

    def named(*functions: Any) -> set[str]:
        return {
            name
            for function in functions
            for name, argument in inspect.signature(function).parameters.items()
            if argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
        } - {"self"}

    assert named(*makers) == set(registry.VIEW_ARGUMENTS)
    assert named(karma_envs.make, RoadsGame.__init__) == set(registry.GAME_ARGUMENTS)
