"""The two-state control game: closed forms against dynamic programming, and the model against the rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.solvers import solve
from agents.solvers.equilibrium import assess
from karma_envs.games.two_state_control import TwoStateControlConfig, TwoStateControlGame
from karma_envs.games.two_state_control.closed_forms import (
    planners_next_share,
    planners_share,
    planners_shares,
    planners_value,
    selfish_share,
    selfish_shares,
    selfish_value,
    yield_of,
)
from karma_envs.games.two_state_control.mean_field import TwoStateControlMeanField

STAY = np.eye(2)[None]


def test_the_planners_values() -> None:
    """V(.25) is that of staying for ever, .125 / .2; the others by hand, from (1/4)(1 -+ 1/36)."""
    config = TwoStateControlConfig()
    low, high = (1 - 1 / 36) / 4, (1 + 1 / 36) / 4
    assert planners_shares(config) == pytest.approx((low, high))
    rest = 4 * low * (1 - 2 * low)  # gamma / (1 - gamma) u(low), and the same of high
    assert planners_value(config, 0.25) == pytest.approx(0.625, abs=1e-12)
    assert planners_value(config, 0.0) == pytest.approx(rest - low / 9, abs=1e-12)
    assert planners_value(config, 0.5) == pytest.approx(rest - (0.5 - high) / 9, abs=1e-12)
    assert planners_value(config, 1.0) == pytest.approx(-1 + rest - (1 - high) / 9, abs=1e-12)
    assert planners_value(config, 0.0) == pytest.approx(0.472608025, abs=1e-9)


def by_value_iteration(config: TwoStateControlConfig, n: int = 200) -> NDArray[np.float64]:
    """V on n + 1 shares by value iteration over the share A that aims at state 1, on the same shares.

    Written from r and P alone: of the local policies that make A of the agents aim at 1, the one with the
    fewest tries has |A - m|. V is concave, so that interpolation between the shares is from below.
    """
    shares = np.linspace(0, 1, n + 1)
    here, aiming = shares[:, None], shares[None]
    reward = here * (config.benefit - config.crowding * here) - config.switching_cost * np.abs(aiming - here)
    following = config.control * aiming + (1 - config.control) * here
    value = np.zeros(n + 1)
    for _ in range(250):
        value = (reward + config.discount * np.interp(following, shares, value)).max(axis=1)
    return value


CONFIGS: list[dict[str, Any]] = [
    {},
    {"control": 0.2, "discount": 0.9, "switching_cost": 0.02},
    {"benefit": 0.5, "crowding": 3.0, "control": 1.0},
    {"benefit": 2.0, "crowding": 0.5, "control": 0.5},  # all want to be in state 1, and come nearer for ever
    {"benefit": -0.5, "discount": 0.5},
    {"crowding": 0.0},
]


@pytest.mark.parametrize("fields", CONFIGS)
def test_closed_forms_are_what_value_iteration_comes_to(fields: dict[str, Any]) -> None:
    """Never below it, and above by what 200 shares are too coarse for."""
    config = TwoStateControlConfig(**fields)
    found = by_value_iteration(config)
    exact = np.array([planners_value(config, share) for share in np.linspace(0, 1, 201)])
    scale = max(1.0, np.abs(found).max())
    assert (exact >= found - 1e-9 * scale).all()
    assert (exact - found).max() < 4e-3 * scale


@settings(deadline=None, max_examples=60)
@given(
    share=st.floats(0, 1),
    other=st.floats(0, 1),
    benefit=st.floats(-1, 3),
    crowding=st.floats(0, 4),
    switching_cost=st.floats(0, 0.5),
    control=st.floats(0.05, 1),
    discount=st.floats(0, 0.95),
)
def test_no_next_share_is_better_than_the_planners(share: float, other: float, **fields: float) -> None:
    """The Bellman equation, at any next share in reach."""
    config = TwoStateControlConfig(**fields)
    lowest = (1 - config.control) * share
    reached = lowest + other * config.control

    def q(following: float) -> float:
        cost = config.switching_cost / config.control * abs(following - share)
        return yield_of(config, share) - cost + config.discount * planners_value(config, following)

    value = planners_value(config, share)
    assert value == pytest.approx(q(planners_next_share(config, share)), abs=1e-9)
    assert value >= q(reached) - 1e-9


@pytest.mark.parametrize("fields", [{}, {"crowding": 4.0}, {"switching_cost": 0.3, "discount": 0.5}])
def test_shares_are_equilibria_where_the_closed_form_says(fields: dict[str, Any]) -> None:
    """Nobody gains by leaving where all stay, just inside the interval; somebody does just outside."""
    for below, above in zip((-1e-6, 1e-6), selfish_shares(TwoStateControlConfig(**fields))):
        for outside in (False, True):
            share = above + (below if outside else -below)
            model = TwoStateControlMeanField(TwoStateControlConfig(initial_share=share, **fields))
            assert (assess(model, STAY).exploitability.absolute > 1e-9) is outside


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4865, 0.5, 0.8, 1.0])
def test_selfish_agents_get_what_staying_where_one_is_would_bring(share: float) -> None:
    """In equilibrium nobody does better than to stay: nothing in state 0, and in state 1 what it yields.

    The planner makes of any population at least as much.
    """
    config = TwoStateControlConfig()
    low, high = selfish_shares(config)
    afterwards = min(max(share, low), high)
    staying = share * (1 - 2 * share + 0.8 / 0.2 * (1 - 2 * afterwards))
    assert selfish_value(config, share) == pytest.approx(staying, abs=1e-12)
    assert planners_value(config, share) > selfish_value(config, share) + 0.1


def test_solvers_find_the_selfish_share() -> None:
    found = solve(TwoStateControlGame())
    assert found.converged
    assert found.exploitability < 1e-10
    assert found.mean_field[0, 1] == pytest.approx(0.5, abs=1e-9)
    assert selfish_share(TwoStateControlConfig()) == 0.5
    assert planners_share(TwoStateControlConfig()) == 0.25


def test_types_of_one_kind_are_one() -> None:
    one, three = (TwoStateControlGame(n_agents=3).mean_field(by_agent=many) for many in (False, True))
    policy, field = np.full((1, 2, 2), 0.5), np.array([[0.3, 0.7]])
    share = one.statistic(field, policy)
    np.testing.assert_allclose(share, [0.7])
    np.testing.assert_allclose(three.statistic(np.repeat(field, 3, 0), np.repeat(policy, 3, 0)), share)
    np.testing.assert_array_equal(
        three.decision_problem(share).reward[2], one.decision_problem(share).reward[0]
    )
    np.testing.assert_allclose(one.decision_problem(share).reward[0], [[0.0, -0.1], [-0.5, -0.4]])
    np.testing.assert_allclose(one.decision_problem(share).kernel[0, :, :, 1], [[0, 0.9], [0.1, 1]])
