"""What is designed, and how."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agents.planners import Inner, Limit, Objective, Space
from agents.planners.study import find_method
from karma_envs.config import choice, refusal, suggestion, whole
from karma_envs.plugins import import_named
from karma_envs.registry import game_class
from training.common.config import GameRunConfig
from training.common.provenance import source_of
from training.planning.objectives import as_texts, read_limit, read_objective
from training.planning.ranges import configurations, read_over, space_of
from training.runs.config import TrainConfig

INNERS = {
    "solve": "agents.planners.inner.equilibrium:EquilibriumInner",
    "train": "agents.planners.inner.learning:LearningInner",
}
"""What says how selfish agents play under a mechanism, by name: an equilibrium, or learning."""

_EPOCHS = 1000  # of learning, unless the game's source or options say otherwise


@dataclass(frozen=True)
class DesignConfig(GameRunConfig):
    """Configuration of a design: what may be chosen, and what is to come of it.

    Attributes:
        game: name of the game.
        game_config: the game's configuration, or its fields that differ from the defaults: the mechanism as
            it is, with which others are compared.
        over: what may be chosen: NAME=LOW:HIGH, with :log at its end by orders of magnitude, with :whole in
            whole numbers, or NAME=VALUE,VALUE; a field of the game, redistribution.rate of its rule, or
            tax.rate, which puts that rule in its place; may be repeated.
        objective: what is to be great: a measure such as efficiency; -NAME for little of it; a weighted sum
            efficiency+0.5*reward_fairness; min(A,B); several, one a flag, make a Pareto front.
        limit: what is acceptable, such as karma_gini<=0.3; may be repeated.
        inner: how selfish agents play: solve, the equilibrium of many agents, or train, learning in the game
            of n_agents.
        options: further options of that, as a mapping: of solve method, rationality, warm and those of the
            solver; of train n_epochs and epoch_length (default as the game's source trains, or 1000 of 1000
            steps), n_steps (that are measured), burn_in, warm and learner, a mapping of its fields, with its
            kind where that is not the game's.
        method: bayesian, gradient (of solve), random, none, or module:METHOD of your own.
        budget: how many mechanisms are tried, >= 1.
        seeds: evaluations of each, for standard errors.
        workers: mechanisms that are chosen and tried at once.
        seed: of all random draws, >= 0.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    TITLE: ClassVar[str] = "the design"
    REPEATED: ClassVar[frozenset[str]] = frozenset({"over", "objective", "limit"})

    over: Any = field(default_factory=dict)
    objective: Any = ("efficiency",)
    limit: Any = ()
    inner: str = "solve"
    options: Any = None
    method: str = "bayesian"
    budget: int = 60
    seeds: int = 1
    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(
            over=read_over(self.over),
            objective=as_texts("objective", self.objective),
            limit=as_texts("limit", self.limit),
            options=_mapping(self.options),
            budget=whole("budget", self.budget, 1, 1_000_000),
            seeds=whole("seeds", self.seeds, 1, 10_000),
            workers=whole("workers", self.workers, 1, 10_000),
            seed=whole("seed", self.seed, 0, 2**63 - 1),
        )
        choice("inner", self.inner, INNERS)
        find_method(self.method)  # may be refused
        if not self.objective:
            raise refusal("objective", self.objective, "one or more")
        self.objectives()
        self.limits()

    def space(self) -> Space:
        """What may be chosen.

        Raises:
            ConfigError: when the game has no such parameter, or refuses its values.
        """
        return space_of(self.over, self.game_config)

    def provenance(self) -> dict[str, str]:
        """Of the game as it is, of all that may be chosen, and of the method: what is the user's of them."""
        named = super().provenance()
        if ":" in self.method:
            named |= source_of(f"method {self.method}", find_method(self.method))
        for config in configurations(self.space(), self.game_config):
            named |= config.provenance()
        return named

    def objectives(self) -> list[Objective]:
        """What is to be great."""
        return [read_objective(text) for text in self.objective]

    def limits(self) -> list[Limit]:
        """What is acceptable."""
        return [read_limit(text) for text in self.limit]

    def inner_problem(self) -> Inner:
        """How selfish agents play.

        Raises:
            ConfigError: for options that there are not, or a game that it is not for.
        """
        inner = import_named("inner", INNERS[self.inner], "module:class")
        known = inspect.signature(inner).parameters
        names = [name for name in known if name not in ("game", "measures", "options")]
        takes_others = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
        for name in self.options:
            if name not in names and not takes_others:
                raise refusal("options", name, ", ".join(names) + suggestion(name, names))
        options = dict(self.options)
        if self.method == "gradient":
            if "derivatives" not in known:
                raise refusal("method", self.method, f"another where inner is {self.inner}")
            options["derivatives"] = True
        if "learner" in known:
            learner = {"learner": options["learner"]} if "learner" in options else {}
            trained = TrainConfig.from_flat(self.game, None, learner)
            lengths = {"n_epochs": _EPOCHS}
            if "n_steps" in TrainConfig.as_in_source(game_class(self.game)):
                lengths = {"n_epochs": trained.n_epochs, "epoch_length": trained.epoch_length}
            options = {**lengths, **options, "learner": trained.learner}
        made: Inner = inner(self.make_game(), **options)
        return made


def _mapping(options: Any) -> dict[str, Any]:
    if options is None or options == "none":
        return {}
    if not isinstance(options, Mapping):
        raise refusal(
            "options", options, "a mapping of the inner problem's options, such as {rationality: 50}"
        )
    return dict(options)
