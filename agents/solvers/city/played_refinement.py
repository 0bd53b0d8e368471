"""Refinement in play: best responses to what agents of a city of N really meet, averaged.

The city's mean-field model leaves out what makes numbers on lanes fluctuate together, so its equilibrium
leaves something to gain in the game of N agents. Beginning with it,

    w <- w + a (counts of the next steps of play - w),
    m <- (1 - s) m + s m*(w),    s = first_step (1 + n / patience)^-power,

where w is what was counted (chances to get into lanes by bid, karma shared out), m*(w) the flow of best
responses to it, each agent's, and m that of the policy, which goes on playing. The policy is assessed now
and then by longer play, as :func:`agents.evaluators.played_exploitability` does; the result is the least
exploitable one.

Ours, after fictitious play: Perrin et al. 2020, *Fictitious play for mean field games*.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.city.lanes_in_play import LaneCounter, LanesInPlay
from agents.evaluators.city.played import modelled, played_problem
from agents.policies.tabular import TabularPolicy
from agents.solvers.equilibrium import (
    Assessment,
    Equilibrium,
    Observer,
    Step,
    as_equilibrium,
    from_play,
)
from agents.solvers.solve import solve
from karma_envs.config import real, whole
from karma_envs.game import PopulationGame
from karma_envs.games.grid_city.mean_field import CityMeanField
from karma_envs.mean_field.exploitability import Exploitability
from karma_envs.meaning import ESTIMATE, STATIONARY, Meaning
from karma_envs.transitions import play_on

_TINY = 1e-300


@from_play
def played_refinement(
    game: PopulationGame,
    *,
    tolerance: float = 1e-3,
    start: TabularPolicy | None = None,
    iterations: int = 200,
    n_steps: int = 1000,
    first_step: float = 0.05,
    patience: int = 20,
    power: float = 1.0,
    memory: float = 0.1,
    assess_every: int = 20,
    assess_steps: int = 10_000,
    burn_in: int = 2000,
    seed: int = 0,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve the game of a city's N agents by play, from an equilibrium of its model.

    Args:
        game: the city; it is reset.
        tolerance: normalised played exploitability to stop at.
        start: policy to begin with, of the agents or kinds of the game; None for the model's equilibrium, as
            its own method finds it.
        iterations: the most best responses.
        n_steps: steps of play before each of them.
        first_step: share of the population's flow that switches to a best response at first, in (0, 1].
        patience: iterations after which that share has fallen to 2^-power of it.
        power: how it falls, in [0, 1].
        memory: a, the weight of the newest counts, in (0, 1].
        assess_every: iterations between assessments.
        assess_steps: steps of play for one.
        burn_in: steps before the first count.
        seed: of all random draws.
        observer: called at every assessment.

    Returns:
        the least exploitable of the policies that were assessed; its exploitability is that for N agents, by
        estimate. Ctrl-C ends the iterations with it.

    Raises:
        ConfigError: for a game that is no city or whose lanes cannot be counted, or an option out of range.
        PolicyError: when ``start`` does not fit the game.
    """
    iterations, n_steps = whole("iterations", iterations, 1), whole("n_steps", n_steps, 1)
    first_step = real("first_step", first_step, 0, 1, open_low=True)
    patience, power = whole("patience", patience, 1), real("power", power, 0, 1)
    memory = real("memory", memory, 0, 1, open_low=True)
    assess_every, assess_steps = (
        whole("assess_every", assess_every, 1),
        whole("assess_steps", assess_steps, 1),
    )
    burn_in = whole("burn_in", burn_in, 0)
    began = time.perf_counter()
    counter = LaneCounter(game)
    city = counter.game
    first = (solve(city).policy if start is None else start).fitted_to(city)
    model, table, rows = modelled(city, first)

    def policy_of(table: NDArray[np.float64]) -> TabularPolicy:
        return TabularPolicy(table, rows)

    city.reset(np.random.default_rng(seed))
    play_on(city, first, burn_in)
    history: list[Step] = []
    best: Assessment | None = None
    remembered: LanesInPlay | None = None
    response, interrupted = table, False
    try:
        for iteration in range(iterations + 1):
            if iteration % assess_every == 0 or iteration == iterations:
                assessment = _assessed(model, table, counter.count(policy_of(table), assess_steps, 1))
                if best is None or assessment.exploitability.normalised < best.exploitability.normalised:
                    best = assessment
                history.append(Step(iteration, assessment.exploitability.normalised, assessment.efficiency))
                if observer is not None:
                    observer(history[-1])
                if assessment.within(tolerance):
                    break
            counted = counter.count(policy_of(table), n_steps, 1)
            remembered = counted if remembered is None else remembered.moved_to(counted, memory)
            problem = played_problem(model, remembered)
            response, _ = problem.best_response(model.discounts, model.legal_actions, response)
            step = first_step * (1 + iteration / patience) ** -power
            staying = (1 - step) * problem.at_rest(table)
            switching = step * problem.at_rest(response)
            weight = (switching / np.maximum(staying + switching, _TINY))[..., None].clip(0.0, 1.0)
            table = (1 - weight) * table + weight * response
    except KeyboardInterrupt:
        interrupted = True
        if best is None:
            raise
    assert best is not None, "iteration 0 is assessed"
    return as_equilibrium(
        "played_refinement",
        best,
        tolerance,
        history,
        time.perf_counter() - began,
        interrupted=interrupted,
    )


def _assessed(model: CityMeanField, table: NDArray[np.float64], lanes: LanesInPlay) -> Assessment:
    """What there is to say of a policy of N agents, by what was counted as they played it."""
    problem = played_problem(model, lanes)
    mean_field = problem.at_rest(table)
    value = problem.policy_value(model.discounts, table)
    _, best = problem.best_response(model.discounts, model.legal_actions, table)
    flow = mean_field[..., None] * table
    gain, payoff = ((mean_field * each).sum(axis=1) for each in (best - value, value))
    absolute, mean_payoff = max(float(model.masses @ gain), 0.0), float(model.masses @ payoff)
    by_type = (flow * problem.reward).sum(axis=(1, 2))
    return Assessment(
        policy=table,
        mean_field=mean_field,
        statistic=model.statistic(mean_field, table),
        value=value,
        efficiency_by_type=by_type,
        efficiency=lanes.efficiency,
        exploitability=Exploitability(
            absolute=absolute,
            normalised=absolute / abs(mean_payoff) if mean_payoff else float(absolute > 0),
            by_type=gain,
            payoff=mean_payoff,
            payoff_by_type=payoff,
            stationary_residual=float(np.abs(problem.pushed(flow) - mean_field).max()),
            meaning=Meaning(lanes.n_agents, ESTIMATE, STATIONARY),
        ),
    )


SOLVER = played_refinement
