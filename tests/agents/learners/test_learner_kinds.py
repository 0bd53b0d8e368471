"""The kinds of learners: found by folder, told by their configurations, and what runs ask of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import karma_envs
from agents.evaluators import EstimatorConfig, MonitorConfig
from agents.learners import (
    Learner,
    LearnerConfig,
    LearnerKind,
    TabularConfig,
    TabularLearner,
    kind_of,
    learners,
)
from karma_envs.config import Config, ConfigError
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.plugins import defined_in
from karma_envs.tabulated import TabulatedGame
from tests.own_games import OneShotGame


def test_kinds_are_the_folders_that_define_one() -> None:
    assert {name: kind.name for name, kind in learners().items()} == {
        name: name for name in ("actor_critic", "tabular")
    }
    defined = defined_in("agents.learners", "LEARNER", nested=False)
    assert defined == {f"agents.learners.{name}": kind for name, kind in learners().items()}


def test_a_configuration_tells_its_kind() -> None:
    assert kind_of(TabularConfig()) is learners()["tabular"]

    @dataclass(frozen=True)
    class OtherConfig(Config):
        pass

    with pytest.raises(ConfigError, match=r"^learner = .*allowed: the configuration of a learner: .*Tabular"):
        kind_of(OtherConfig())


def test_a_kind_needs_nothing_but_a_learner() -> None:
    kind = LearnerKind("still", TabularConfig, TabularLearner)
    game = karma_envs.make("matching", n_agents=4)
    assert kind.prepare(game, TabularConfig()) is game
    assert kind.memory(game, TabularConfig()) == (0, "")
    kind.check(game)


def test_tabular_learners_learn_boxes_in_cells() -> None:
    kind, config = learners()["tabular"], TabularConfig(cells=5)
    finite = karma_envs.make("matching", n_agents=4)
    assert kind.prepare(finite, config) is finite
    game = kind.prepare(OneShotGame(n_agents=4), config)
    assert isinstance(game, TabulatedGame)
    assert game.cells == 5
    learner: Learner = kind.learner_class(game, config, np.random.default_rng(0))
    game.reset(np.random.default_rng(1))
    for _ in range(3):
        learner.update(game.rollout(learner.policy, 10))
    assert learner.learned_policy().n_observations == game.n_observations


@pytest.mark.parametrize("grouping", ["independent", "pooled"])
def test_tables_take_as_much_memory_as_is_told(grouping: str) -> None:
    game: FiniteGame = as_finite(karma_envs.make("matching", n_agents=6))
    config = TabularConfig(grouping=grouping)
    told, words = learners()["tabular"].memory(game, config)
    learner = TabularLearner(game, config)
    assert told == learner.q.nbytes + learner.policy.thresholds.nbytes
    assert words.startswith("6 table(s)" if grouping == "independent" else "1 table(s)")


def test_old_names_go_on_working() -> None:
    assert LearnerConfig is TabularConfig
    assert MonitorConfig is EstimatorConfig
    learner = TabularLearner(karma_envs.make("matching", n_agents=2))
    with pytest.warns(DeprecationWarning, match="learned_policy"):
        old = learner.greedy_policy()
    np.testing.assert_array_equal(old.thresholds, learner.learned_policy().thresholds)
