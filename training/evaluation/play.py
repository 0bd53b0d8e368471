"""Playing policies: how they did, in one game or over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.policies.tabular import TabularPolicy
from karma_envs.display import data_frame, html_table
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.outcome import Estimate, Metric, Outcome, as_columns, headlines, summarise
from karma_envs.transitions import even_parts, play_on

if TYPE_CHECKING:
    from pandas import DataFrame

Summary = Mapping[str, Estimate]
"""Metrics by name, see :func:`karma_envs.outcome.summarise`."""


@dataclass(frozen=True)
class Evaluation:
    """How a policy did, played by the whole population.

    Attributes:
        name: what was played.
        metrics: what was measured.
        summary: the metrics over the steps after the burn-in, with standard errors: within the run for
            one seed, over the seeds for several.
        steps: steps measured, per seed. Fairness depends on them, see :mod:`karma_envs.metrics`.
        seeds: number of seeds.
        by_type: the same metrics of the agents of each type alone, by its name, if there are several types;
            efficiency is then the mean reward of the type's agents, fairness that among them.
    """

    name: str
    metrics: tuple[Metric, ...]
    summary: Summary = field(hash=False)
    steps: int
    seeds: int
    by_type: Mapping[str, Summary] = field(default_factory=dict, hash=False)

    def to_row(self) -> dict[str, Any]:
        """As a row of a table."""
        return {"name": self.name, "steps": self.steps, "seeds": self.seeds, **as_columns(self.summary)}

    def type_rows(self) -> list[dict[str, Any]]:
        """A row of a table for each type, which has its number and its name; none where there is one type."""
        where = {"name": self.name, "steps": self.steps, "seeds": self.seeds}
        return [
            {**where, "type": number, "type_name": name, **as_columns(summary)}
            for number, (name, summary) in enumerate(self.by_type.items())
        ]

    def __repr__(self) -> str:
        numbers = ", ".join(
            f"{metric.title} {self.summary[metric.name].concise()}" for metric in headlines(self.metrics)
        )
        return f"Evaluation({self.name}: {numbers}; {self.steps} steps, {self.seeds} seed(s))"

    def _repr_html_(self) -> str:
        return Evaluations([self])._repr_html_()


class Evaluations(list[Evaluation]):
    """Evaluations of one game over equally many steps, to be compared; a notebook shows them as a table."""

    def __repr__(self) -> str:
        return f"Evaluations({len(self)}: {'; '.join(item.name for item in self)})"

    def _repr_html_(self) -> str:
        rows = [
            {"played": name, **{each.name: summary[each.name].concise() for each in headlines(item.metrics)}}
            for item in self
            for name, summary in {item.name: item.summary, **item.by_type}.items()
        ]
        steps = ", ".join(f"{item.steps} steps, {item.seeds} seed(s)" for item in self[:1])
        note = f"{steps}; in brackets the standard error, in units of the last digit"
        return html_table(rows, note, most=100)

    def to_frame(self, *, by_type: bool = False) -> DataFrame:
        """A row per evaluation with all metrics and their standard errors ``<metric>_se``.

        Args:
            by_type: a row for each type of each evaluation instead.

        Raises:
            ImportError: where pandas is missing.
        """
        if by_type:
            return data_frame([row for item in self for row in item.type_rows()])
        return data_frame([item.to_row() for item in self])


def as_played(game: PopulationGame, policy: Any) -> Any:
    """A policy of :func:`agents.solve` as all agents of a game play it: of a table the row of each's type."""
    return policy.fitted_to(game) if isinstance(policy, TabularPolicy) else policy


def play(
    game: PopulationGame,
    policy: SamplingPolicy,
    *,
    n_steps: int = 10_000,
    burn_in: int = 1000,
    batches: int = 20,
    seed: int | Sequence[int] = 0,
) -> list[Outcome]:
    """Play a policy from a reset, and total up what happens after a burn-in.

    Args:
        game: the game; it is reset.
        policy: what the agents play.
        n_steps: steps to measure, at least ``batches``.
        burn_in: steps before, which are not measured.
        batches: stretches of equal length to divide the steps into, for standard errors.
        seed: of all random draws.

    Returns:
        the outcome of each stretch.
    """
    game.reset(np.random.default_rng(seed))

    def advance(steps: int) -> Outcome:
        play_on(game, policy, steps)
        return game.outcome()

    marks = [advance(burn_in)]
    marks += [advance(steps) for steps in even_parts(n_steps, batches)]
    return [after.since(before) for before, after in pairwise(marks)]


def measure(game: PopulationGame, policy: Any, **how: Any) -> dict[str, Estimate]:
    """The game's metrics of a policy that all agents play.

    Args:
        game: the game; it is reset.
        policy: what the agents play.
        **how: arguments of :func:`play`: how long, and with which seed.
    """
    return summarise(play(game, policy, **how), game.metrics)


def over_seeds(summaries: Sequence[Summary]) -> Summary:
    """Means over seeds with their standard errors; one summary is returned as it is."""
    if len(summaries) == 1:
        return summaries[0]
    estimates: dict[str, Estimate] = {}
    for name in summaries[0]:
        values = np.array([summary[name].value for summary in summaries])
        error = float(values.std(ddof=1) / np.sqrt(len(values)))
        estimates[name] = Estimate(float(values.mean()), error)
    return estimates


def by_type_of(game: PopulationGame, outcomes: Sequence[Sequence[Outcome]]) -> dict[str, Summary]:
    """The metrics of each type's agents, by its name; nothing where there is one type.

    Args:
        game: what was played.
        outcomes: for each seed the outcomes of consecutive stretches.
    """
    names = game.type_names
    members = [np.flatnonzero(game.type_of_agent == number) for number in range(len(names))]
    if len(names) == 1:
        return {}
    return {
        name: over_seeds(
            [summarise([stretch.of_agents(agents) for stretch in each], game.metrics) for each in outcomes]
        )
        for name, agents in zip(names, members)
    }
