"""What a coalition gains where the others respond: selfish outsiders come to an equilibrium given its policy.

Members and outsiders take turns. Given what members play, outsiders come to an equilibrium among themselves
(:class:`agents.coalitions.told.ToldModel`), each of them selfish and discounting as without the coalition;
given what outsiders play, members seek what is best for them (:mod:`agents.coalitions.mean_field`). Where
members gain next to nothing by another turn, it is a rest of both. From a round to the next members may go
a part of the way only, which keeps the turns from running in a circle.

Ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.coalitions.mean_field import coalition_of, gain_of, members_of
from agents.coalitions.optimum import CoalitionOptimum, starts_of
from agents.coalitions.result import CoalitionGain
from agents.coalitions.told import ToldModel
from agents.policies.tabular import TabularPolicy
from agents.solvers import solve
from karma_envs.config import real, refusal, whole
from karma_envs.mean_field import MeanFieldModel, as_finite_model
from karma_envs.mean_field.exploitability import type_policies
from karma_envs.meaning import EXACT, Meaning


@dataclass(frozen=True)
class ResponseRound:
    """A turn of outsiders, and what members would then do.

    Attributes:
        iteration: how many there were before.
        gain: of a member per step, once outsiders have responded.
        cost_to_others: of an outsider per step.
        efficiency: mean reward of all.
        exploitability: what an outsider gains in discounted payoff by a deviation, exact.
        left_to_members: how much more a member gains by the best answer that was found to these outsiders.
    """

    iteration: int
    gain: float
    cost_to_others: float
    efficiency: float
    exploitability: float
    left_to_members: float

    def __str__(self) -> str:
        return (
            f"round {self.iteration} · gain of a member {self.gain:.4g} · cost to others "
            f"{self.cost_to_others:.4g} · left to members {self.left_to_members:.1e}"
        )


Observer = Callable[[ResponseRound], None]


@dataclass(frozen=True, repr=False)
class RespondedGain(CoalitionGain):
    """What members gain where the others respond: of the round that leaves them the least to gain.

    Attributes:
        outsiders: what outsiders play, a row per type.
        rounds: turns that were taken.
        converged: whether outsiders are at an equilibrium given the members' policy, and members gain by
            another one no more than the tolerance.
    """

    outsiders: TabularPolicy
    rounds: tuple[ResponseRound, ...]
    converged: bool

    def _said(self) -> dict[str, str]:
        least = min(round_.left_to_members for round_ in self.rounds)
        rest = "yes" if self.converged else f"no, another turn gives members {least:.1e} more"
        return super()._said() | {"rest of both": f"{rest} ({len(self.rounds)} rounds)"}


def responding_coalition_gain(
    model: MeanFieldModel,
    policy: Any,
    mass: float,
    *,
    recognise: bool = False,
    rounds: int = 6,
    damping: float = 0.0,
    settled: float = 5e-4,
    tolerance: float = 2e-6,
    iterations: int = 300,
    observer: Observer | None = None,
) -> RespondedGain:
    """What members gain of a coalition to which the others respond, in the mean field.

    Args:
        model: the mean-field model, a finite one.
        policy: what all play without the coalition; such as an equilibrium's.
        mass: m, the share of each type that are members, in (0, 1).
        recognise: whether members recognise each other, as in
            :func:`agents.coalitions.mean_field.mean_field_coalition_gain`.
        rounds: the most turns of outsiders.
        damping: share of what members played before that they keep to in their next turn, in [0, 1).
        settled: what members may gain by another turn at a rest of both, over the magnitude of the mean
            reward without the coalition.
        tolerance: of the members' gap in a turn, over the greatest reward.
        iterations: the most gradients in a turn.
        observer: called after each round.

    Returns:
        the gain, exact for the policies of the round that leaves members the least to gain by another one.
        There may be other rests of both. Ctrl-C ends the turns with what there is, after the first round.

    Raises:
        ConfigError: as :func:`agents.coalitions.mean_field.mean_field_coalition_gain`, and for a coalition of
            all.
        ValueError: for a policy that does not fit the model.
    """
    began = time.perf_counter()
    finite = as_finite_model(model)
    mass, settled = real("mass", mass, 0, 1, open_low=True), real("settled", settled, 0)
    if mass == 1.0:
        raise refusal("mass", mass, "below 1, as somebody has to respond")
    rounds, iterations = whole("rounds", rounds, 1), whole("iterations", iterations, 1)
    damping = real("damping", damping, 0, 1, open_high=True)
    options = {
        "tolerance": real("tolerance", tolerance, 0, open_low=True),
        "iterations": iterations,
    }
    coalition, search = coalition_of(finite, mass, recognise)
    table = np.array(type_policies(finite, policy))
    before = finite.population_at_rest(table)
    meaning = Meaning(
        None,
        EXACT,
        f"{members_of(mass, recognise)}, the others at an equilibrium given it",
        finite.meaning.model,
    )

    def answer(outsiders: NDArray[np.float64], members: NDArray[np.float64]) -> CoalitionOptimum:
        """The best that members find, near to what they play."""
        start = starts_of(finite, members, None, 1, 0)[0]
        start[: finite.n_types] = outsiders
        return search(here.coalition, start, **options)

    here = max(
        (search(coalition, start, **options) for start in starts_of(finite, table, None, 1, 0)),
        key=lambda optimum: optimum.efficiency,
    )
    turns: list[ResponseRound] = []
    results: list[RespondedGain] = []
    try:
        for iteration in range(rounds):
            told = ToldModel(here.coalition, here.policy, here.coalition.members)
            response = solve(told)
            played = told.played(np.asarray(response.policy.probabilities, np.float64))
            responded = replace(here, policy=played, mean_field=response.mean_field)
            gain = gain_of(finite, table, before, responded, meaning)
            outsiders, members = np.split(played, 2)
            best = answer(outsiders, members)
            inside = gain.gain.value + gain.efficiency_without.value
            left = max(best.efficiency - inside, 0.0)
            turn = ResponseRound(
                iteration,
                gain.gain.value,
                gain.cost_to_others.value,
                gain.efficiency.value,
                response.exploitability,
                left,
            )
            turns.append(turn)
            converged = response.converged and left <= settled * abs(gain.efficiency_without.value)
            common = {field.name: getattr(gain, field.name) for field in fields(gain)}
            results.append(
                RespondedGain(
                    **common, outsiders=TabularPolicy(outsiders), rounds=(turn,), converged=converged
                )
            )
            if observer is not None:
                observer(turn)
            if converged:
                break
            here = replace(best, policy=best.policy + damping * (here.policy - best.policy))
    except KeyboardInterrupt:
        if not results:
            raise
    least = min(range(len(turns)), key=lambda number: turns[number].left_to_members)
    return replace(
        results[least],
        method=f"{len(turns)} turns of outsiders and members",
        rounds=tuple(turns),
        seconds=time.perf_counter() - began,
    )
