"""Every solver on a game without karma: the auction, small and as it is by default."""

from __future__ import annotations

import numpy as np
import pytest

from agents.solvers import solve
from agents.solvers.control.social_optimum import social_optimum
from agents.solvers.equilibrium import assess
from karma_envs.games.auction import AuctionConfig
from karma_envs.games.auction.closed_forms import highest_efficiency
from karma_envs.games.auction.mean_field import AuctionMeanField
from karma_envs.mean_field.dynamic_programming import uniform_policy
from tests.agents.solvers.method_groups import SEEKING_EQUILIBRIA

SMALL = AuctionConfig(budget_max=3, bid_max=4, n_bidders=3)


def test_the_equilibrium_of_the_default_game() -> None:
    found = solve(AuctionMeanField(AuctionConfig()))
    assert found.converged
    assert found.exploitability_normalised < 1e-10
    assert found.efficiency == pytest.approx(0.035329459, abs=1e-8)
    np.testing.assert_allclose(found.statistic[:4], [0.00054, 0.00054, 0.76973, 0.22919], atol=1e-5)
    assert found.statistic[4:].max() < 1e-9


@pytest.mark.parametrize("method", sorted(set(SEEKING_EQUILIBRIA) - {"fixed_point"}))  # which cycles
def test_every_method_lowers_exploitability(method: str) -> None:
    model = AuctionMeanField(SMALL)
    start = assess(model, uniform_policy(model)).exploitability
    found = solve(model, method, tolerance=0.05)
    assert found.exploitability < start.absolute / 20


def test_nobody_bids_where_all_want_what_is_best_for_all() -> None:
    best = social_optimum(AuctionMeanField(SMALL))
    assert best.efficiency == pytest.approx(highest_efficiency(SMALL), abs=1e-3)
