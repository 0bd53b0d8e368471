"""Which solver and which learner runs in which game, by trying: the page ``docs/runs-where.md``.

``python -m tests.agents.solvers.runs_where`` writes it anew; a test holds it to what is so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import karma_envs
from agents.learners import learners
from agents.solvers import Step, methods, solve
from karma_envs.config import ConfigError
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.tabulated import TabulatedGame

PAGE = Path(__file__).parents[3] / "docs" / "runs-where.md"
CELLS = 21
_SMALL_CITY = {"rows": 2, "columns": 2, "n_agents": 4, "karma_max": 2, "karma_mean": 1}
SMALLER: Mapping[str, Mapping[str, Any]] = {"grid_city": _SMALL_CITY, "grid_city_routes": _SMALL_CITY}
"""Fields of games whose defaults take a method seconds to begin in."""
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "learned_response": {"budget": 10_000},
    "played_refinement": {"burn_in": 0, "assess_steps": 100},
}
"""What makes the beginning of a method short."""

_TEXT = """\
# Which method runs in which game

Made by trying each: `yes` where it begins, `–` where it refuses the game in one line that says why. Methods
are names for `agents.solve(game, method)` and `karma-envs solve GAME --method METHOD`; learners are kinds for
`karma-envs train GAME --learner KIND`. A game of your own runs with all that its kind allows: finite games
with what `auction` has, games written against a statistic with what `malware` or `spatial_congestion` have.
*Cells* are `karma_envs.tabulated.tabulated(game, cells={cells})`. The cities are small ones: for the
Thesis' city, of 1000 agents, the homotopy takes too much memory and says so; `prior_descent` does not.

"""


class _BegunError(Exception):
    """The method has begun."""


def begins(game: PopulationGame, method: str) -> bool:
    """Whether a method of ``solve`` takes a game."""

    def stop(step: Step) -> None:
        raise _BegunError

    try:
        solve(game, method, observer=stop, **OPTIONS.get(method, {}))
    except _BegunError:
        return True
    except ConfigError:
        return False
    raise AssertionError(f"{method} ended in {game.name} without a step that an observer saw")


def learns(game: PopulationGame, kind: str) -> bool:
    """Whether a kind of learners takes a game."""
    learner = learners()[kind]
    try:
        learner.check(learner.prepare(game, learner.config_class()))
    except ConfigError:
        return False
    return True


def games() -> dict[str, PopulationGame]:
    """The games that have a mean-field model, by heading; those with a model of cells twice."""
    made = {name: karma_envs.make(name, **SMALLER.get(name, {})) for name in karma_envs.names()}
    chosen = {name: game for name, game in made.items() if game.mean_field() is not None}
    for name, game in list(chosen.items()):
        cells = _in_cells(game)
        if cells is not None and cells.mean_field() is not None:
            chosen[f"{name}, cells"] = cells
    return dict(sorted(chosen.items()))


def _in_cells(game: PopulationGame) -> TabulatedGame | None:
    """The game in cells, where that is another game and has bounds."""
    try:
        return None if isinstance(game, FiniteGame) else TabulatedGame(game, CELLS)
    except ConfigError:
        return None


def table(of: Mapping[str, PopulationGame], rows: Mapping[str, str], runs: Callable[..., bool]) -> str:
    """Markdown: a row for each name, a column for each game.

    Args:
        of: the games by heading.
        rows: what each name is, in words.
        runs: whether ``runs(game, name)``.
    """
    lines = [f"| | {' | '.join(of)} | |", "| --- |" + " --- |" * (len(of) + 1)]
    for name in rows:
        cells = ("yes" if runs(game, name) else "–" for game in of.values())
        lines.append(f"| `{name}` | {' | '.join(cells)} | {rows[name]} |")
    return "\n".join([*lines, ""])


def meaning(method: str) -> str:
    """The first line of a solver's module, without what it says of itself."""
    module = inspect.getmodule(inspect.unwrap(methods()[method]))
    return (inspect.getdoc(module) or "").partition("\n")[0].removesuffix(".")


def page() -> str:
    """The page, as it is by trying."""
    names = sorted(methods())
    solvers = {name: meaning(name) for name in names}
    kinds = dict.fromkeys(sorted(learners()), "")
    chosen = games()
    return (
        _TEXT.format(cells=CELLS)
        + table(chosen, solvers, begins)
        + "\n## Learners\n\n"
        + table(chosen, kinds, learns)
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
