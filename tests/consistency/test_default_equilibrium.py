"""The default game at its own exact equilibrium: in a hundred thousand agents, and in a few.

Measured with 1.5e8 agent-steps each: efficiency less the mean field's, standard errors .00006; and the
distance (L1) of the distributions of karma. Standard errors do not change when stretches of 1 to 400 steps
are taken together, so those of 20 steps are long enough.

| N | PBP efficiency | PBP karma | PBS efficiency | PBS karma |
| --- | --- | --- | --- | --- |
| 4 | +.0046 | .1188 | -.0101 | .1315 |
| 10 | +.0021 | .0471 | -.0049 | .0672 |
| 30 | +.0008 | .0157 | -.0023 | .0332 |
| 100 | +.0002 | .0048 | -.0009 | .0139 |
| 300 | +.0001 | .0016 | -.0003 | .0056 |
| 1000 | +.0001 | .0006 | -.0000 | .0015 |
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import agents
import karma_envs
from agents import Equilibrium
from agents.evaluators import PopulationPlay, play_in_population


@cache
def equilibrium(payment: str) -> Equilibrium:
    model = karma_envs.make("matching", payment=payment).mean_field()
    assert model is not None
    found = agents.solve(model)
    assert found.converged
    assert found.exploitability_normalised <= 1e-10
    return found


def played(payment: str, n_agents: int, agent_steps: int) -> PopulationPlay:
    game = karma_envs.make("matching", n_agents=n_agents, payment=payment)
    n_steps = agent_steps // n_agents
    return play_in_population(
        game,
        equilibrium(payment).policy,
        n_steps=n_steps,
        burn_in=100 + n_steps // 100,  # the mean field is at rest after 50
        batches=n_steps // 20 if n_agents == 100_000 else 50,
        seed=2,
    )


def karma_gap(play: PopulationPlay, payment: str) -> float:
    """L1 distance of the distributions of karma."""
    gap = play.state_distribution - equilibrium(payment).mean_field
    return float(np.abs(gap.reshape(2, -1).sum(axis=0)).sum())


@pytest.mark.parametrize("payment", ["pbp", "pbs"])
def test_a_hundred_thousand_agents_do_what_the_model_says(payment: str) -> None:
    play = played(payment, 100_000, 40_000_000)
    efficiency = play.summary["efficiency"]
    assert efficiency.standard_error < 3e-4  # measured: .0002
    assert abs(efficiency.value - equilibrium(payment).efficiency) < 4 * efficiency.standard_error
    assert karma_gap(play, payment) < 2e-3  # measured: .0005


def test_the_karma_distribution_tends_to_the_mean_fields_like_1_over_n() -> None:
    """Sampling errors of the distances at 1e7 agent-steps: about .0004, a tenth of the lesser one."""
    few, many = (karma_gap(played("pbp", n_agents, 10_000_000), "pbp") for n_agents in (10, 100))
    assert few > 0.02
    assert 6 < few / many < 15


def test_the_payoff_tends_to_the_mean_fields_like_1_over_n() -> None:
    """Within .2/N, which every one of the N agents loses by being few; and the loss is there."""
    lost = {}
    for n_agents in (4, 40, 400):
        efficiency = played("pbs", n_agents, 60_000_000).summary["efficiency"]
        lost[n_agents] = equilibrium("pbs").efficiency - efficiency.value
        error = efficiency.standard_error
        assert error < 3e-4  # measured: .00015
        assert abs(lost[n_agents]) < 0.2 / n_agents + 4 * error
    assert lost[4] > 4 * error
    assert lost[40] + 4 * error < lost[4] / np.sqrt(10)  # faster than 1/sqrt(N)
