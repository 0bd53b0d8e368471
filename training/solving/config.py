"""What is solved and how."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agents.solvers import Equilibrium, finite_methods, methods
from agents.solvers.continuation.quantal_response import check_derivatives
from agents.solvers.equilibrium import learns_from_play
from agents.solvers.sensitivity.sensitivity import check_size
from karma_envs.config import ConfigError, choice, real, refusal, whole, yes_or_no
from karma_envs.mean_field import as_finite_model
from training.common.config import GameRunConfig

FINITE_METHOD = "logit_path"
_NOTHING = "none"  # as the command shows it
_NO_OPTIONS = ("model", "game", "tolerance", "observer")  # parameters that are fields, or not said


@dataclass(frozen=True)
class SolveConfig(GameRunConfig):
    """Configuration of a solver.

    Attributes:
        game: name of the game.
        game_config: the game's configuration, or its fields that differ from the defaults.
        method: auto (the game's own; of games with tables mostly the homotopy) or the name of a solver,
            see karma-envs list.
        tolerance: normalised exploitability to reach, > 0; none for the method's own default.
        rationality: beta, for a logit equilibrium softmax(beta Q) in place of a Nash equilibrium; per unit
            of payoff, so that 5 for urgencies 1 and 5 is .05 for 100 and 500. none for Nash.
        exploration: epsilon of the population, in [0, 1].
        options: further options of the method, as a mapping, or none.
        search: random starts of a search for several equilibria, besides; 0 for no search.
        search_seed: seed of the search's starts, >= 0.
        sensitivity: parameters of the game to differentiate the equilibrium by, such as
            discount,karma_mean,urgencies[1]; all, or none.
        finite: solve the game of the configuration's n_agents itself, exactly, instead of its mean-field
            limit; for few agents.
        certify: bound what one agent gains by leaving the mean field's equilibrium in the game of the
            configuration's n_agents; exactly for few of them, by simulation for many.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    TITLE = "the solver"

    method: str = "auto"
    tolerance: float | None = None
    rationality: float | None = None
    exploration: float = 0.0
    options: Any = None
    search: int = 0
    search_seed: int = 0
    sensitivity: str = _NOTHING
    finite: bool = False
    certify: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        yes_or_no("finite", self.finite)
        yes_or_no("certify", self.certify)
        choice("method", self.method, ("auto", *self.known_methods()))
        for name in ("tolerance", "rationality", "options"):
            if getattr(self, name) == _NOTHING:
                self._set(**{name: None})
        self._set(exploration=real("exploration", self.exploration, 0, 1))
        if self.tolerance is not None:
            self._set(tolerance=real("tolerance", self.tolerance, 0, open_low=True))
        if self.rationality is not None:
            self._set(rationality=real("rationality", self.rationality, 0, 1e9, open_low=True))
        self._set(
            search=whole("search", self.search, 0, 1_000_000),
            search_seed=whole("search_seed", self.search_seed, 0, 2**63 - 1),
        )
        if self.search and (self.rationality is not None or self.exploration > 0):
            raise refusal(
                "search", self.search, "0 with a rationality or exploration: it is for Nash equilibria"
            )
        if self.search and self.finite:
            raise refusal(
                "search", self.search, "0 where few agents are solved for: it is for the mean field"
            )
        if self.search:
            self._check_search()
        if self.sensitivity != _NOTHING:
            self._check_sensitivity()
        if self.options is not None and not isinstance(self.options, dict):
            raise refusal("options", self.options, "a mapping of the method's options")
        if self.method_options():
            known = inspect.signature(self.known_methods()[self.own_method]).parameters
            for name, option in self.method_options().items():
                if name in ("rationality", "exploration") and name not in known:
                    raise refusal(
                        name, option, f"none with {self.own_method}; of use with {self._methods_with(name)}"
                    )
                if name not in known:
                    shown = ", ".join(each for each in known if each not in _NO_OPTIONS)
                    raise refusal(f"{name} of method {self.method}", option, shown)

    def _methods_with(self, option: str) -> str:
        """The methods that take an option, and no play."""
        takers = [
            name
            for name, solver in self.known_methods().items()
            if option in inspect.signature(solver).parameters and not learns_from_play(solver)
        ]
        return ", ".join(takers)

    def _check_search(self) -> None:
        """Refuse a search that cannot be, before anything is solved."""
        model = as_finite_model(self.model())
        try:
            check_derivatives(model)
        except ConfigError as error:
            raise refusal(
                "search", self.search, f"0 here: it follows paths of the homotopy ({error})"
            ) from error

    def _check_sensitivity(self) -> None:
        """Refuse derivatives that cannot be had, before anything is solved."""
        if not isinstance(self.sensitivity, str):
            raise refusal("sensitivity", self.sensitivity, "names separated by commas, all, or none")
        if self.finite:
            raise refusal("sensitivity", self.sensitivity, "none for few agents: it is of the mean field")
        if self.exploration > 0 and self.rationality is None:
            raise refusal("sensitivity", self.sensitivity, "none with exploration but without a rationality")
        model = as_finite_model(self.model())
        try:
            check_size(model, model.initial_statistic.size)
        except ConfigError as error:
            instead = "none here, where two solutions tell the difference that a parameter makes"
            raise refusal("sensitivity", self.sensitivity, f"{instead} ({error})") from error
        known = list(self.make_game().config.parameters())
        if self.rationality is not None:
            known += ["rationality", "exploration"]
        for name in self.sensitivity_parameters or ():
            choice("sensitivity", name, known)

    @property
    def sensitivity_parameters(self) -> tuple[str, ...] | None:
        """The parameters to differentiate by; nothing for none of them, None for all."""
        if self.sensitivity == "all":
            return None
        return () if self.sensitivity == _NOTHING else tuple(map(str.strip, self.sensitivity.split(",")))

    @property
    def own_method(self) -> str:
        """The method's name, also where that is left to the game."""
        if self.method != "auto":
            return self.method
        return FINITE_METHOD if self.finite else self.model().solver

    def known_methods(self) -> Mapping[str, Callable[..., Equilibrium]]:
        """The methods by name, of the mean field or of few agents."""
        return finite_methods() if self.finite else methods()

    def method_options(self) -> dict[str, Any]:
        """What is passed to the method besides the tolerance."""
        given: dict[str, Any] = dict(self.options or {})
        if self.rationality is not None:
            given["rationality"] = self.rationality
        if self.exploration > 0:
            given["exploration"] = self.exploration
        return given
