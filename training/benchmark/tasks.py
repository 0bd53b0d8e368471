"""The tasks of algorithms that learn to play, and all tasks. Adding one is adding an entry to :data:`TASKS`.

Any game is a task, too. Tasks of planners are entries of :mod:`training.benchmark.planner_tasks`.

Differences from the source: the settings are the Thesis', the budgets are ours. In most tasks every agent
acts 10^6 times, where the Thesis trains 3.2 * 10^7 steps in the matching game; in the Thesis' city it is
10^7 as there. Games other than these are tasks of ours, scored by the exact numbers that their models give:
how exploitable a policy is or, where agents are a team, between the exact payoffs of selfish agents and of
the team's optimum. ``matching-n4`` is scored by how exploitable a policy is among four agents, where the mean
field says little. ``matching-tiny`` is ours, too: it shows in a minute or two that a trainer learns at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from karma_envs.config import choice, whole
from karma_envs.game import PopulationGame
from karma_envs.games.matching.config import PRESETS as MATCHING
from karma_envs.plugins import import_named
from karma_envs.registry import configured, game_class, names
from training.benchmark.algorithms import ARGUMENTS, Algorithm, Trained, algorithms, find
from training.benchmark.best_response import BestResponseGame
from training.benchmark.columns import Column, columns
from training.benchmark.measure import meaning_of, measure, measure_reference
from training.benchmark.planner_tasks import PLANNER_TASKS
from training.benchmark.task import BenchmarkTask, Contender
from training.common.tables import Row


@dataclass(frozen=True)
class Task(BenchmarkTask):
    """What algorithms that learn a policy are compared in.

    Attributes:
        name: as on the command line.
        title: what it is, in a line.
        budget: the most agent-steps that an algorithm may train for.
        game: a game's name in the registry, or a game's class.
        game_config: fields of the game's configuration that differ from the defaults.
        n_steps: steps that a policy is measured for.
        burn_in: steps before, which are not measured.
        references: two of the game's references or baselines, which score 0 and 1, by name, and what they
            are in words; none where a policy is scored by the game's first metric itself.
        by_exploitability: score what a best response gains instead: no gain, as in an equilibrium, scores 1,
            the gain of the one policy in ``references`` 0.
        finite: exploitability is that of the game of so few agents itself, not of the mean field.
    """

    game: str | type[PopulationGame] = "matching"
    game_config: Mapping[str, Any] = field(default_factory=dict)
    n_steps: int = 10_000
    burn_in: int = 1000
    references: Mapping[str, str] = field(
        default_factory=lambda: {"COIN": "a coin toss", "DICT": "a benevolent dictator"}
    )
    by_exploitability: bool = False
    finite: bool = False

    heading = "Algorithms that learn to play"
    contender = "algorithm"
    arguments = ARGUMENTS
    unit = "agent-steps"
    spent = "agent_steps"

    @classmethod
    def contenders(cls) -> Mapping[str, Algorithm]:
        """The built-in algorithms, by name."""
        return algorithms()

    @classmethod
    def find(cls, name: str) -> Algorithm:
        """A built-in algorithm, or one of the user's by ``module:function``."""
        return find(name)

    @classmethod
    def columns(cls, tasks: Iterable[Task]) -> dict[str, Column]:
        """The score, what the game measures, and what it took."""
        return columns(tasks)

    def make(self) -> PopulationGame:
        """The game, not yet reset."""
        return configured(self.game_class, None, dict(self.game_config))

    @property
    def game_class(self) -> type[PopulationGame]:
        """Of the game."""
        return game_class(self.game) if isinstance(self.game, str) else self.game

    @property
    def size_text(self) -> str:
        """How long is trained, and measured, as printed; fairness depends on the latter."""
        return f"{self.budget_text} agent-steps, measured over {self.n_steps:,} steps"

    @property
    def numbers_text(self) -> str:
        """How long is trained and measured, and which exploitability is told."""
        meaning = meaning_of(self)
        return self.size_text + ("" if meaning is None else f"; exploitability: {meaning}")

    @property
    def reference_names(self) -> tuple[str, ...]:
        """What scores 0 and 1."""
        return tuple(self.references)

    def measure_references(self) -> dict[str, float]:
        """The first metric of what scores 0 and 1, by name."""
        return measure_reference(self)

    def run(self, contender: Contender, seed: int, budget: int, reference: Row) -> Row:
        """Train, and measure what was learned."""
        game = self.make()
        started = time.perf_counter()
        policy = contender.function(game, budget, seed)
        seconds = time.perf_counter() - started
        trained = policy if isinstance(policy, Trained) else Trained(policy, budget)
        steps = whole("agent_steps", trained.agent_steps, 0, budget)
        return {
            **measure(self, trained.policy, seed, reference),
            "agent_steps": steps,
            "seconds": seconds,
            "steps_per_second": steps / seconds if steps else None,
        }

    def definition(self) -> dict[str, Any]:
        """What numbers depend on, as plain data; results of another definition are not comparable."""
        definition = {
            "game": self.game_class.__name__,
            "game_config": self.game_class.config_class(**self.game_config).to_dict(),
            "budget": self.budget,
            "n_steps": self.n_steps,
            "burn_in": self.burn_in,
            **{name: True for name in ("by_exploitability", "finite") if getattr(self, name)},
        }
        plain: dict[str, Any] = json.loads(json.dumps(definition))
        return plain


_TINY = {"n_agents": 10, "karma_max": 6, "karma_mean": 3, "discount": 0.9}
_SMALL_CITY = {"n_agents": 100, "rows": 2, "columns": 2}
_AT_RANDOM = {"random": "who acts at random"}

TASKS: dict[str, BenchmarkTask] = {
    task.name: task
    for task in (
        Task("matching-pbp", "matching, the winner pays its bid to the peer", 10**8),
        Task(
            "matching-pbs", "matching, the winner pays its bid to society", 10**8, game_config=MATCHING["pbs"]
        ),
        Task(
            "matching-rare-urgency",
            "matching, high urgency is rare",
            10**8,
            game_config=MATCHING["rare-high-urgency"],
        ),
        Task(
            "matching-two-discounts",
            "matching, half of the agents are less patient",
            2 * 10**8,
            game_config=MATCHING["two-discounts"],
        ),
        Task(
            "matching-two-urgencies",
            "matching, half of the agents are urgent less often",
            2 * 10**8,
            game_config=MATCHING["two-urgencies"],
        ),
        Task(
            "matching-n4",
            "matching, four agents",
            10**8,
            game_config={"n_agents": 4},
            n_steps=100_000,
            references=_AT_RANDOM,
            by_exploitability=True,
            finite=True,
        ),
        Task("matching-n1000", "matching, a thousand agents", 10**9, game_config={"n_agents": 1000}),
        Task(
            "matching-tiny",
            "matching, ten agents who learn for 10,000 steps",
            10**5,
            game_config=_TINY,
            finite=True,
        ),
        Task("city-small", "a city of 2 x 2 nodes, 100 agents", 2 * 10**8, "grid_city", _SMALL_CITY),
        Task("city-thesis", "the Thesis' city, 1000 agents", 10**10, "grid_city"),
        Task("city-routes", "the Thesis' city with a choice of routes", 10**9, "grid_city_routes"),
        Task(
            "meeting-time",
            "when a meeting starts, of a hundred agents",
            10**7,
            "meeting_time",
            references=_AT_RANDOM,
            by_exploitability=True,
        ),
        Task(
            "auction",
            "repeated second-price auctions with budgets",
            10**8,
            "auction",
            references=_AT_RANDOM,
            by_exploitability=True,
        ),
        Task(
            "malware",
            "a thousand agents repair what malware does",
            10**8,
            "malware",
            n_steps=1000,
            burn_in=100,
            references=_AT_RANDOM,
            by_exploitability=True,
        ),
        Task(
            "malware-team",
            "the same as a team that wants the mean reward of all",
            10**8,
            "malware",
            {"cooperative": True},
            n_steps=1000,
            burn_in=100,
            references={"smfe": "the selfish equilibrium", "smfto": "the team's optimum, both exact"},
        ),
        Task(
            "two-state-control",
            "a planner's problem of two places, a thousand agents",
            10**8,
            "two_state_control",
            n_steps=1000,
            burn_in=100,
            references={"selfish": "the selfish equilibrium", "planner": "the planner's optimum, both exact"},
        ),
        Task(
            "spatial-congestion",
            "a thousand agents spread where it is good to be",
            10**7,
            "spatial_congestion",
            n_steps=100,
            burn_in=0,
            references=_AT_RANDOM,
            by_exploitability=True,
        ),
        Task(
            "supply",
            "two hundred firms follow a demand that moves",
            10**8,
            "supply",
            n_steps=600,
            burn_in=0,
            references=_AT_RANDOM,
            by_exploitability=True,
        ),
        Task(
            "lq-regulator",
            "two hundred agents steer to a target at quadratic costs",
            10**8,
            "lq_regulator",
            n_steps=2000,
            burn_in=200,
            references=_AT_RANDOM,
            by_exploitability=True,
        ),
        Task(
            "best-response",
            "one learner among agents who play the equilibrium of matching-pbp",
            10**6,
            BestResponseGame,
            n_steps=200_000,
        ),
        *PLANNER_TASKS,
    )
}
"""The tasks of all kinds by name."""

_ALLOWED = "a task, a game, or module:Class or module:TASK of one's own"
_STEPS_OF_AN_AGENT = 10**6


def find_task(name: str) -> BenchmarkTask:
    """What a name stands for: one of :data:`TASKS`, a game, or a task, of any kind, or game of the user's.

    In the task that is made of a game every agent acts 10^6 times in the game's default configuration, and a
    policy is scored by the game's first metric, as nothing says which scores are 0 and 1.

    Args:
        name: a task's name, a game's, ``module:TASK`` or ``module:Class``.

    Raises:
        ConfigError: when there is no such task or game.
    """
    if name in TASKS:
        return TASKS[name]
    if ":" not in name:
        choice("tasks", name, (*TASKS, *names(), "module:Class", "module:TASK"))
    elif isinstance(own := import_named("tasks", name, _ALLOWED), BenchmarkTask):
        return replace(own, name=name)
    game = game_class(name, "tasks")
    n_agents = game.config_class().n_agents  # type: ignore[attr-defined]  # as every game's
    return Task(name, f"the game {name}", n_agents * _STEPS_OF_AN_AGENT, game, references={})
