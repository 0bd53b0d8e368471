"""Efficiencies without karma: closed forms against each other, against simulation and as bounds."""

from __future__ import annotations

import numpy as np
import pytest

import karma_envs
from agents.policies.tabular import TabularPolicy
from agents.solvers import solve
from karma_envs.games.matching.closed_forms import (
    EFFICIENCIES,
    coin_efficiency,
    dict_efficiency,
    turn_efficiency,
)
from karma_envs.karma.urgency import AgentType
from karma_envs.mechanisms.rule import rules

CHAIN = AgentType(2.0, 0.9, (0, 2, 3), ((0.5, 0.5, 0), (0, 0.5, 0.5), (0.3, 0.3, 0.4)))
TYPES = {
    "default": (AgentType(),),
    "rare": (AgentType(urgencies=(1, 9), urgency_transition=(0.75, 0.25)),),
    "two types": (AgentType(1.0, 0.9, (1, 5)), CHAIN),
}


def test_the_published_values() -> None:
    # Thesis, Table 6.1, and P(5) = 1/2: the less urgent of two has urgency 5 with probability 1/4
    assert dict_efficiency(TYPES["default"]) == pytest.approx(-1.0)
    assert coin_efficiency(TYPES["default"]) == pytest.approx(-1.5)
    assert turn_efficiency(TYPES["default"]) == pytest.approx(-1.5)
    assert dict_efficiency(TYPES["rare"]) == pytest.approx(-(9 / 16 + 15 / 16) / 2)


def test_there_is_a_closed_form_for_each_allocation_without_bids() -> None:
    assert set(EFFICIENCIES) == {name for name, rule in rules("allocation").items() if not rule.uses_bids}


@pytest.mark.parametrize("n_agents", [6, 20])
@pytest.mark.parametrize("allocation", sorted(EFFICIENCIES))
@pytest.mark.parametrize("name", sorted(TYPES))
def test_simulation_agrees(name: str, allocation: str, n_agents: int) -> None:
    types = TYPES[name]
    game = karma_envs.make("matching", n_agents=n_agents, types=types, allocation=allocation)
    policy = TabularPolicy(
        np.eye(game.n_actions)[np.zeros(game.n_observations, int)], np.zeros(n_agents, np.int64)
    )
    game.reset(np.random.default_rng(1))
    batches = np.array([game.rollout(policy, 500).rewards.mean(dtype=np.float64) for _ in range(40)])
    expected = EFFICIENCIES[allocation](types, n_agents)
    assert abs(batches.mean() - expected) < 4.5 * batches.std(ddof=1) / np.sqrt(len(batches))


def test_many_agents_are_the_limit() -> None:
    types = TYPES["two types"]
    limit = dict_efficiency(types)
    errors = [abs(dict_efficiency(types, n) - limit) for n in (6, 60, 600)]
    assert errors[0] > 9 * errors[1] > 81 * errors[2] > 0
    assert dict_efficiency(TYPES["rare"], 2) == pytest.approx(dict_efficiency(TYPES["rare"]))


@pytest.mark.parametrize("payment", ["pbp", "pbs"])
def test_karma_lies_between_the_coin_and_the_dictator(payment: str) -> None:
    types = TYPES["two types"]
    game = karma_envs.make("matching", n_agents=60, types=types, payment=payment, karma_max=6, karma_mean=3)
    found = solve(game.mean_field(), "fictitious_play", tolerance=1e-3)
    assert coin_efficiency(types) < found.efficiency < dict_efficiency(types)
