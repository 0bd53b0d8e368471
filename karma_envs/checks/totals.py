"""Do a game's totals add up, from reset on, and does nothing get lost or made that it says is conserved?"""

from __future__ import annotations

import math

import numpy as np

from karma_envs.baselines import baseline_policy
from karma_envs.checks.episodes import STEPS, begun, moments
from karma_envs.checks.errors import expect, expect_array
from karma_envs.checks.populations import simple_policies
from karma_envs.finite import FiniteGame

_LONG, _STRETCH = 300, 50  # steps in which counters of 8 bits go round, and how often they are looked at


def check_outcome(game: FiniteGame) -> None:
    """Totals begin at 0 after every reset, are sums of what happened, and never go back."""
    played = begun(game)
    policy = baseline_policy("random", game)
    for episode in range(2):
        played.reset(np.random.default_rng(episode))
        before = played.outcome()
        for name in ("rewards", "losses_if_never"):
            expect_array(getattr(before, name), np.float64, (game.n_agents,), f"outcome().{name}")
        for name in ("accesses", "contests", "counted", "karma"):
            expect_array(getattr(before, name), np.int64, (game.n_agents,), f"outcome().{name}")
        for name in ("steps", "rewards", "losses_if_never", "accesses", "contests", "counted"):
            expect(not np.any(getattr(before, name)), f"outcome().{name} must be 0 after reset")
        sums, steps = np.zeros(game.n_agents), 0
        while steps < _LONG:
            transitions = played.rollout(policy, _STRETCH)
            now, steps = played.outcome(), steps + _STRETCH
            sums += transitions.rewards.sum(axis=0, dtype=np.float64)
            expect(now.steps == steps, f"outcome().steps is {now.steps} after {steps} steps")
            same = np.allclose(now.rewards, sums, rtol=1e-6, atol=1e-9)
            expect(same, f"outcome().rewards are not the sums of rewards after {steps} steps")
            for name in ("accesses", "contests", "counted"):
                gained = getattr(now, name) - getattr(before, name)
                expect((gained >= 0).all(), f"outcome().{name} went down before step {steps}")
            expect((now.accesses <= now.contests).all(), "outcome(): more accesses than contests")
            expect((now.karma >= 0).all(), f"outcome().karma is below 0 after {steps} steps")
            before = now


def check_conservation(game: FiniteGame) -> None:
    """What :meth:`~karma_envs.game.PopulationGame.conserved` names stays what it is after reset.

    Whatever is played: random actions, the lowest, the highest. A game whose agents hold karma must name it.
    """
    played = begun(game)
    totals = dict(played.conserved())
    if not totals:
        karma = any(played.outcome().karma.any() for _ in moments(played))
        expect(not karma, "agents hold karma: conserved() must say what its total is, wherever karma may be")
        return
    for name, total in totals.items():
        expect(math.isfinite(total), f"conserved() must give finite numbers; {name} is {total}")
    for step, _ in enumerate(moments(played)):
        _expect_conserved(played, totals, f"step {step} of random actions")
    for what, policy in simple_policies(game).items():
        played.reset(np.random.default_rng(1))
        totals = dict(played.conserved())
        for number in range(4):
            played.rollout(policy, STEPS)
            _expect_conserved(played, totals, f"{(number + 1) * STEPS} steps of {what}")


def _expect_conserved(game: FiniteGame, totals: dict[str, float], where: str) -> None:
    now = dict(game.conserved())
    expect(now.keys() == totals.keys(), "conserved() must always name the same totals")
    for name, total in totals.items():
        same = now[name] == total if isinstance(total, int) else math.isclose(now[name], total, rel_tol=1e-9)
        expect(same, f"{name} is not conserved: {total} after reset, {now[name]} after {where}")
