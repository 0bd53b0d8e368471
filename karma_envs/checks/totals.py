"""Do a game's totals add up, from reset on, and does nothing get lost or made that it says is conserved?"""

from __future__ import annotations

import math
from dataclasses import Field, fields
from typing import Any

import numpy as np

from karma_envs.checks.episodes import STEPS, begun, moments
from karma_envs.checks.errors import expect, expect_array
from karma_envs.checks.populations import simple_policies
from karma_envs.game import PopulationGame
from karma_envs.outcome import NOW, TOTAL, Outcome
from karma_envs.transitions import chunks, play_on

_LONG, _STRETCH = 300, 50  # steps in which counters of 8 bits go round, and how often they are looked at


def check_outcome(game: PopulationGame) -> None:
    """Totals begin at 0 after every reset, are sums of what happened, and counts never go back."""
    played = begun(game)
    policy = game.uniform_policy()
    for seed in range(2):
        played.reset(np.random.default_rng(seed))
        before = played.outcome()
        for item in fields(before):
            _expect_as_declared(before, item, game.n_agents)
        totals = before.names_of(TOTAL)
        for name in totals:
            expect(not np.any(getattr(before, name)), f"outcome().{name} must be 0 after reset")
        counts = [name for name in totals if np.asarray(getattr(before, name)).dtype.kind == "i"]
        sums, steps = np.zeros(game.n_agents), 0
        while steps < _LONG:
            for _, chunk in chunks(played, policy, _STRETCH):
                sums += chunk.rewards.sum(axis=0, dtype=np.float64)
            now, steps = played.outcome(), steps + _STRETCH
            expect(now.steps == steps, f"outcome().steps is {now.steps} after {steps} steps")
            same = np.allclose(now.rewards, sums, rtol=1e-6, atol=1e-9)
            expect(same, f"outcome().rewards are not the sums of rewards after {steps} steps")
            gained = now.since(before)
            for name in counts:
                rises = np.all(getattr(gained, name) >= 0)
                expect(rises, f"outcome().{name} went down before step {steps}")
            for stretch in (now, gained):
                complaint = stretch.complaint()
                expect(complaint is None, f"outcome(): {complaint} after {steps} steps")
            before = now


def _expect_as_declared(outcome: Outcome, item: Field[Any], n_agents: int) -> None:
    """A field says how it adds up; arrays are of agents, whole numbers where their annotation says so."""
    kind, value = item.metadata.get("kind"), getattr(outcome, item.name)
    expect(kind in (TOTAL, NOW), f"outcome().{item.name} must be declared as total() or now()")
    if type(value) in (int, float):  # of the whole game
        return
    dtype = np.int64 if "int64" in str(item.type) else np.float64
    expect_array(value, dtype, (n_agents, *np.shape(value)[1:]), f"outcome().{item.name}")


def check_conservation(game: PopulationGame) -> None:
    """What :meth:`~karma_envs.game.PopulationGame.conserved` names stays what it is after reset.

    Whatever is played: random actions, the lowest, the highest. A game whose agents hold karma, or something
    else of which its outcome says that it is conserved, must name it.
    """
    played = begun(game)
    totals = dict(played.conserved())
    for item in fields(played.outcome()):
        if item.metadata.get("conserved") and item.name not in totals:
            held = any(getattr(played.outcome(), item.name).any() for _ in moments(played))
            what = f"conserved() must say what its total is, wherever {item.name} may be"
            expect(not held, f"agents hold {item.name}: {what}")
    if not totals:
        return
    played = begun(game)
    for name, total in totals.items():
        expect(math.isfinite(total), f"conserved() must give finite numbers; {name} is {total}")
    for step, _ in enumerate(moments(played)):
        _expect_conserved(played, totals, f"step {step} of random actions")
    for what, policy in simple_policies(game).items():
        played.reset(np.random.default_rng(1))
        totals = dict(played.conserved())
        for number in range(4):
            play_on(played, policy, STEPS)
            _expect_conserved(played, totals, f"{(number + 1) * STEPS} steps of {what}")


def _expect_conserved(game: PopulationGame, totals: dict[str, float], where: str) -> None:
    now = dict(game.conserved())
    expect(now.keys() == totals.keys(), "conserved() must always name the same totals")
    for name, total in totals.items():
        same = now[name] == total if isinstance(total, int) else math.isclose(now[name], total, rel_tol=1e-9)
        expect(same, f"{name} is not conserved: {total} after reset, {now[name]} after {where}")
