"""Fixed-point iteration with learned responses: train one agent against a statistic, see which one it makes.

    pi_k <- what a learner has learned in ``game.against(z_k)``,
    z_{k+1} <- (1 - step) z_k + step * the statistic of a population that plays pi_k.

The inner problem is a game of independent agents, so that whatever learns in a game is an inner solver: a
kind of :mod:`agents.learners`, or a function ``train(game, budget, seed)``, as those of
:mod:`training.integrations` that the benchmark takes::

    solve(game, "learned_response", learner="training.integrations.sb3_algorithms:ppo", budget=200_000)

With the tabular learner's Q-learning it is GMF-Q with asynchronous Q-learning, along the ways of agents, and
without a net. Actions may be boxes, where the learner takes them.

Source: R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020, "More general results" (any
single-agent learner for inner iterations; momentum); X. Guo, A. Hu, R. Xu and J. Zhang, *A general framework
for learning mean-field games*, 2020.

Differences from the source: the population that follows is one at rest, or that of an episode, not one after
a step of time. The result is the least exploitable policy of all rounds, by the game's mean-field model.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.learners import learners
from agents.solvers.equilibrium import Equilibrium, Observer, Step, equilibrium_of, from_play
from agents.solvers.three_step.rounds import Round, looked_at, rounds
from agents.solvers.three_step.simulated import simulated_statistic
from karma_envs.config import choice, real, refusal, whole
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel
from karma_envs.mean_field.exploitability import type_policies
from karma_envs.plugins import import_named
from karma_envs.transitions import chunks

Train = Callable[[PopulationGame, int, int], Any]
"""``train(game, budget, seed)``: a policy learned in so many agent-steps, or what has it as ``policy``."""

_FOR_A_RESPONSE: Mapping[str, Mapping[str, Any]] = {
    "tabular": {
        "algorithm": "q_learning",
        "grouping": "pooled",
        "learning_rate": 0.1,
        "learning_rate_final": 0.001,
        "learning_rate_schedule": "exponential",
        "exploration": 0.3,
    }
}
"""Fields of learners' kinds that suit one agent in a population which stands still, unless told otherwise."""

_STATISTICS = ("model", "played")
_MOST_SEED = 2**31 - 1  # which other packages take


@from_play
def learned_response(
    game: PopulationGame,
    *,
    tolerance: float = 1e-2,
    learner: str | Train | None = None,
    learner_config: Mapping[str, Any] | None = None,
    budget: int = 1_000_000,
    epochs: int = 50,
    n_agents: int | None = None,
    statistic: str = "model",
    play_steps: int = 200,
    step: float = 0.5,
    iterations: int = 20,
    initial_statistic: ArrayLike | None = None,
    seed: int = 0,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by learning responses from play.

    Args:
        game: a game with a mean-field model, which judges what was learned, and ``against(statistic)``.
        tolerance: normalised exploitability to stop at.
        learner: a kind of learners, or a function ``train(game, budget, seed)``, itself or as
            ``module:function``; None for the game's own kind.
        learner_config: fields of the kind's configuration that differ from what suits an inner problem: of
            the tabular learner, Q-learning with one table for all agents of a type.
        budget: agent-steps of each round's training.
        epochs: in how many stretches a kind of learners trains, between which its policy changes.
        n_agents: how many agents learn side by side; None for as many as the game has.
        statistic: which one a policy makes: of infinitely many agents, by the model; or played, of the agents
            of the game themselves.
        play_steps: how long these play, in a game without an end; the second half counts.
        step: how far to go towards the statistic that is made, in (0, 1]; 1 - step is the *momentum* of the
            source.
        iterations: the most rounds.
        initial_statistic: z to begin with; the model's if None.
        seed: of all draws.
        observer: called at every round.

    Returns:
        the least exploitable policy of all rounds.

    Raises:
        ConfigError: for an option out of range, a game without a model or ``against``, or one that the
            learner cannot learn.
    """
    model = game.mean_field()
    against = getattr(game, "against", None)
    if model is None or against is None:
        raise refusal("game", game.name, "one with a mean-field model, and agents that meet a statistic only")
    choice("statistic", statistic, _STATISTICS)
    budget, seed = whole("budget", budget, 1), whole("seed", seed, 0)
    play_steps, iterations = whole("play_steps", play_steps, 1), whole("iterations", iterations, 1)
    train = _trainer(game.learner if learner is None else learner, learner_config, whole("epochs", epochs, 1))
    rng = np.random.default_rng(seed)

    def respond(faced: NDArray[np.float64]) -> Any:
        trained = train(against(faced, n_agents=n_agents), budget, int(rng.integers(_MOST_SEED)))
        return _as_of(model, getattr(trained, "policy", trained))

    def follow(policy: Any, faced: NDArray[np.float64]) -> NDArray[np.float64]:
        if statistic == "model":
            return model.statistic_of(policy)
        return simulated_statistic(game, model, policy, play_steps, rng)

    start = np.array(model.initial_statistic if initial_statistic is None else initial_statistic, np.float64)
    every_round = rounds(respond, follow, start, step=real("step", step, 0, 1, open_low=True))
    began = time.perf_counter()
    history: list[Step] = []
    best: Round | None = None
    least, interrupted = np.inf, False
    try:
        for one in itertools.islice(every_round, iterations):
            recorded, distance = looked_at(model, one.number, one.response)
            history.append(recorded)
            if distance.absolute < least:  # of |J|, which may be near 0, it says little
                best, least = one, distance.absolute
            if observer is not None:
                observer(recorded)
            if distance.normalised <= tolerance:
                best = one
                break
    except KeyboardInterrupt:
        if best is None:
            raise
        interrupted = True
    assert best is not None, "iterations is at least 1"
    seconds = time.perf_counter() - began
    return equilibrium_of(
        model, best.response, "learned_response", tolerance, history, seconds, interrupted=interrupted
    )


def _as_of(model: MeanFieldModel, policy: Any) -> Any:
    """A policy as its model has policies: of a finite one tables by type."""
    return type_policies(model, policy) if isinstance(model, FiniteMeanFieldModel) else policy


def _trainer(learner: str | Train, fields: Mapping[str, Any] | None, epochs: int) -> Train:
    """The function that trains, of what the option may be.

    Raises:
        ConfigError: when it is nothing that trains, or has no such fields.
    """
    allowed = f"{', '.join(learners())}, or a function train(game, budget, seed), also as module:function"
    if not isinstance(learner, str) or ":" in learner:
        train = import_named("learner", learner, allowed) if isinstance(learner, str) else learner
        if not callable(train):
            raise refusal("learner", learner, allowed)
        if fields:
            raise refusal("learner_config", fields, "none with a function, which has its own settings")
        return train
    kind = learners()[choice("learner", learner, learners())]
    config = kind.config_class.from_dict(
        {**_FOR_A_RESPONSE.get(learner, {}), **(fields or {})}, "learner_config"
    )

    def learned(game: PopulationGame, budget: int, seed: int) -> Any:
        played = kind.prepare(game, config)
        kind.check(played)
        if played is not game and not isinstance(played, FiniteGame):
            raise refusal(
                "learner",
                learner,
                "a kind whose policies are for what the game shows, or for cells of it; as configured this "
                "one is shown more, such as the time",
            )
        rng = np.random.default_rng(seed)
        played.reset(rng)
        student = kind.learner_class(played, config, rng)
        length = max(1, budget // (played.n_agents * epochs))
        for epoch in range(epochs):
            for done, chunk in chunks(played, student.policy, length):
                student.update(chunk, progress=epoch / epochs, end_of_epoch=done + len(chunk) == length)
        policy = student.learned_policy()
        return policy if played is game else as_finite(played).acting(policy)

    return learned


SOLVER = learned_response
