"""Results show themselves in a line and as a small table, whatever arrays they hold."""

from __future__ import annotations

import numpy as np
import pytest

import agents
import karma_envs
from agents import TabularPolicy
from agents.evaluators import (
    EstimatorConfig,
    deviation_gain,
    exploitability_by_agent,
    one_at_a_time_exploitability,
)
from agents.solvers.continuation.search import search
from agents.solvers.control.social_optimum import social_optimum
from karma_envs.display import Said
from karma_envs.meaning import Meant


@pytest.fixture(scope="module")
def results() -> list[Said]:
    game = karma_envs.make("matching", n_agents=6, karma_max=3, karma_mean=1, discount=0.9)
    model = game.mean_field()
    assert model is not None
    policy = TabularPolicy(game.legal_actions / game.legal_actions.sum(axis=1, keepdims=True))
    config = EstimatorConfig(n_samples=20, gap=2, burn_in=10)
    report = search(model, starts=0)
    return [
        agents.solve(model),
        agents.exploitability(model, policy),
        exploitability_by_agent(game, policy),
        one_at_a_time_exploitability(game, policy, [0], config=config, replays=1, initial_q=-10.0),
        deviation_gain(game, policy, [0], policy.probabilities[0], n_samples=2),
        report,
        report.found[0],
        social_optimum(model, starts=1, iterations=2),
    ]


def test_a_result_is_a_line_and_a_table(results: list[Said]) -> None:
    assert len({type(result) for result in results}) == 8
    for result in results:
        assert repr(result).startswith(f"{type(result).__name__}(")
        assert "\n" not in repr(result)
        assert "array" not in repr(result)
        assert len(repr(result)) < 300
        assert f"<th>{type(result).__name__}</th>" in result._repr_html_()


def test_a_gain_says_which_exploitability_it_is(results: list[Said]) -> None:
    meanings = [str(each.meaning) for each in results if isinstance(each, Meant)]
    assert meanings == [
        "mean field, exact; any stationary deviation of one agent",
        "mean field, exact; any stationary deviation of one agent",
        "6 agents, estimate; any stationary deviation of one agent",
        "6 agents, estimate of a lower bound; one stationary deviation of one agent",
    ]
    for meant in (each for each in results if isinstance(each, Meant)):
        assert str(meant.meaning) in repr(meant)
        assert meant.is_lower_bound == ("lower bound" in meant.kind)


def test_what_is_said_is_escaped() -> None:
    class One(Said):
        def _said(self) -> dict[str, str]:
            return {"a < b": "<script>"}

    assert "<td>a &lt; b</td><td>&lt;script&gt;</td>" in One()._repr_html_()


def test_a_population_that_is_not_at_rest_says_so() -> None:
    model = karma_envs.make("matching", karma_max=4, karma_mean=2, redistribution="none").mean_field()
    assert model is not None
    policy = np.eye(5)[np.tile(np.arange(5), 2)][None]  # all that there is
    found = agents.exploitability(model, policy)
    assert ("not at rest" in repr(found)) == (not found.at_rest)
