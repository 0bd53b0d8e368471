"""One call for all solvers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any

from rich.console import Console
from threadpoolctl import threadpool_limits

from agents.solvers.equilibrium import Equilibrium, Observer, Step, learns_from_play
from karma_envs.config import choice, real, refusal, whole
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.mean_field import MeanFieldModel
from karma_envs.plugins import defined_in


@cache
def methods() -> dict[str, Callable[..., Equilibrium]]:
    """The solvers by name: each file of the folders here that defines a ``SOLVER``."""
    solvers = defined_in("agents.solvers", "SOLVER")
    return {module.rpartition(".")[2]: solver for module, solver in solvers.items()}


@cache
def finite_methods() -> dict[str, Callable[..., Equilibrium]]:
    """The solvers of the game of N agents by name: each file here that defines a ``FINITE_SOLVER``."""
    solvers = defined_in("agents.solvers", "FINITE_SOLVER")
    return {module.rpartition(".")[2]: solver for module, solver in solvers.items()}


def solve(
    model: MeanFieldModel | PopulationGame,
    method: str = "auto",
    *,
    n_agents: int | None = None,
    tolerance: float | None = None,
    start: Any = None,
    observer: Observer | None = None,
    progress: bool = False,
    **options: Any,
) -> Equilibrium:
    """Find an equilibrium of a game: in the mean field, or among few agents.

    A game may have several; a solver returns one. Which, and how exact, is told by the result:
    ``converged`` is whether the exploitability of the policy returned, evaluated exactly, is within
    the tolerance, and its population at rest. Ctrl-C ends a solver with the best policy until then.

    The unit of reward changes nothing: whatever a method calls small, a step or a temperature is by default
    told in units of the game's greatest reward, or of its greatest payoff max|r| / (1 - gamma). What is
    given as an option is in the rewards of the game. So ``rationality=5`` is softmax(5 Q), as published for
    urgencies 1 and 5; for urgencies 100 and 500 the same policy is that of ``rationality=.05``.

    With ``n_agents`` it is the game of so many, exactly, whatever number the game was made for; see
    :mod:`agents.solvers.few_agents.logit_path` for what is an equilibrium there and which games are small
    enough. ``game.n_agents`` is the number of the game itself. Only methods of the mean field that play
    populations of a size of their own, such as ``spsa``, take it as that size.

    Args:
        model: the model, ``game.mean_field()``, or the game itself, which stands for it. Methods that learn
            from play take the game, and so do those for few agents.
        method: a name in :func:`methods`; ``auto`` is the one that the model names: for finite models the
            homotopy, which reaches 1e-10, for others the fixed point, the only one that takes them. With
            ``n_agents`` a name in :func:`finite_methods`; ``auto`` is ``logit_path``.
        n_agents: N of the game to solve, at least 2; None for the mean field. Of a method of the mean field
            that has an option of this name, that option.
        tolerance: normalised exploitability to stop at; None: 1e-10 for the homotopy and the fixed point,
            1e-3 for first-order methods and for few agents, 5e-4 for prior descent (2e-3 in large cities).
        start: where to begin: an :class:`Equilibrium`, or a policy as the method takes it (a table
            ``float64[types, X, A]``; of gradient methods their parameters). None: as the method says. Of the
            equilibrium of a *neighbouring* game, in which parameters differ by a little, the homotopy needs
            Newton's method alone, as long as the same actions are played: a tenth of a solve or less. Where
            that leads to none it goes the whole way, as without a start. So a chain of solves, each from the
            one before, stays on one branch of equilibria where it can.
        observer: called with every step recorded.
        progress: whether to show the steps on the terminal, or below a notebook's cell, meanwhile.
        **options: of the method, see its module.

    Raises:
        ConfigError: for an unknown method or a tolerance that is not positive, for a method that needs
            a model with finite states and actions, where this one has none, for one that learns from play,
            where there is only a model, for a game without a model, and for one of too many agents.
    """
    if tolerance is not None:
        options["tolerance"] = real("tolerance", tolerance, 0, open_low=True)
    if start is not None:
        options["start"] = start.as_start if isinstance(start, Equilibrium) else start
    if n_agents is not None and method in methods() and "n_agents" in signature(methods()[method]).parameters:
        options["n_agents"], n_agents = n_agents, None
    solver, problem = _solver_of(model, method) if n_agents is None else _solver_for(model, method, n_agents)
    with threadpool_limits(limits=1, user_api="blas"):  # for small matrices threads only wait
        if not progress:
            return solver(problem, observer=observer, **options)
        with Console(stderr=True, highlight=False).status("solving") as status:

            def show(step: Step) -> None:
                status.update(str(step))
                if observer is not None:
                    observer(step)

            return solver(problem, observer=show, **options)


def _solver_of(
    model: MeanFieldModel | PopulationGame, method: str
) -> tuple[Callable[..., Equilibrium], MeanFieldModel | PopulationGame]:
    """The solver of a name, and what it takes: a model, or the game where it learns from play."""
    choice("method", method, ("auto", *methods()))

    @cache
    def limit() -> MeanFieldModel:
        if not isinstance(model, PopulationGame):
            return model
        own = model.mean_field()
        if own is None:
            raise refusal("model", model.name, "a game that has a mean-field model as it is configured")
        return own

    solver = methods()[limit().solver if method == "auto" else method]
    if not learns_from_play(solver):
        return solver, limit()
    if not isinstance(model, PopulationGame):
        raise refusal("method", method, "one that takes a model: this one learns from play, in a game")
    return solver, model


def _solver_for(
    game: MeanFieldModel | PopulationGame, method: str, n_agents: int
) -> tuple[Callable[..., Equilibrium], FiniteGame]:
    """The solver of a name for few agents, and the game of so many."""
    name = choice("method", method, ("auto", *finite_methods()))
    if not isinstance(game, PopulationGame):
        raise refusal("n_agents", n_agents, "None for a mean-field model; a game is solved for N agents")
    n_agents = whole("n_agents", n_agents, 2)
    own = as_finite(game)
    if own.n_agents != n_agents:
        own = type(own)(own.config, n_agents=n_agents)
    return finite_methods()["logit_path" if name == "auto" else name], own
