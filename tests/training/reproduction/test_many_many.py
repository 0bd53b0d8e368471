"""How the law of many agents is measured: chance taken out, slopes with their errors, figures."""

from __future__ import annotations

import numpy as np
import pytest

from training.reproduction.many_many import law, lq
from training.reproduction.many_many.law import _CASES, _play, _Played, _slope


def made(n_agents: int, runs: int = 400, seed: int = 0) -> _Played:
    """Differences 3 / N on average, with chance of 1 / sqrt(N) that is known, and 1 / N that is not."""
    rng = np.random.default_rng([seed, n_agents])
    chance = rng.normal(size=(runs, 2)) / np.sqrt(n_agents)
    differences = -3 / n_agents + chance @ [2.0, -1.0] + rng.normal(size=runs) / n_agents
    distances = np.abs(rng.normal(size=runs)) / np.sqrt(n_agents)
    return _Played(n_agents, differences, chance, distances, np.zeros(runs))


def test_chance_is_taken_out() -> None:
    """At N = 10^4 the mean of 400 differences is off by .0011, and the gap to be seen is .0003 (seed 0)."""
    played = made(10_000)
    gap, error = played.gap()
    assert error == pytest.approx(1e-4 / np.sqrt(400), rel=0.15)
    assert gap == pytest.approx(-3e-4, abs=4 * error)
    assert played.differences.std() / np.sqrt(400) > 3 * abs(gap)


def test_slopes_and_their_errors() -> None:
    """Slopes -1 and -1/2 within 4 jackknife errors; these are near the spread of slopes over 20 seeds."""
    slopes, errors = np.array(
        [_slope([made(n, seed=seed) for n in (10, 100, 1000)], _Played.gap) for seed in range(20)]
    ).T
    assert slopes[0] == pytest.approx(-1, abs=4 * errors[0])
    # of 20 normal numbers a spread is known to 16 %, and a jackknife of 20 parts to as much
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(slopes.std(ddof=1), rel=0.6)
    slope, error = _slope([made(n) for n in (10, 100, 1000)], _Played.distance)
    assert slope == pytest.approx(-0.5, abs=4 * error)


@pytest.mark.parametrize("name", _CASES)
def test_play_against_the_statistic_is_what_theory_says(name: str) -> None:
    """Mean payoffs of 40 runs of 100 agents (seed 0) within 4 standard errors of J of the limit."""
    played = _play(name, _CASES[name], 100, 40, 0)
    mean, error = law._mean(played.payoffs)
    assert mean == pytest.approx(law._payoff_of_the_limit(name, _CASES[name]), abs=4 * error)
    # chance is 0 on average, of each number
    off = np.abs(played.chances.mean(axis=0)) / (played.chances.std(axis=0) / np.sqrt(40) + 1e-12)
    assert off.max() < 4


def test_theory_of_the_regulator_is_as_published() -> None:
    """Variances to five digits: .14088 without and .16117 with the actor's noise."""
    model = lq.LqRegulatorMeanField(lq.LqRegulatorGame().config)
    best = lq.solve(model).policy
    row = lq._theory("a", model, best)
    assert row["mean_1"] == pytest.approx(0.5, abs=1e-12)
    assert row["variance_2"] == pytest.approx(0.14088, abs=5e-6)
    noisy = lq._theory("b", model, lq.LinearPolicy(best.gain, best.offset, 0.1))
    assert noisy["variance_1"] == pytest.approx(0.16117, abs=5e-6)
    assert noisy["efficiency"] < row["efficiency"]
